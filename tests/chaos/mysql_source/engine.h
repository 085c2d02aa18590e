/// The process under test: MariaDB's binlog into SQLite and PostgreSQL at once.
#pragma once

#include <cstdint>
#include <string>

namespace tidegate::chaos {

struct ShopEngineOptions {
  std::uint64_t seed = 1;   ///< varies positions, chunks, batches, queue and commit sizes
  std::string sourceUrl{};  ///< through the proxy
  std::string sqlitePath{};
  std::string postgresUrl{};
};

/// Reads commands from standard input, one a line, until "stop" or its end; each answer ends with a line that holds a
/// full stop:
///   ready   waits for the baselines; answers "ready" or "not ready: …"
///   verify  answers "ok", or the differences, one a line
///   status  answers the engine's status in JSON
int runShopEngine(const ShopEngineOptions& options);

}  // namespace tidegate::chaos
