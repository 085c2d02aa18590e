/// The process under test: Postgres into SQLite, Postgres and MariaDB at once. The chaos program starts it, talks to it
/// over its standard streams, and kills it.
#pragma once

#include <cstdint>
#include <string>

namespace tidegate::chaos {

struct EngineProcessOptions {
  std::uint64_t seed = 1;   ///< varies queue sizes, commit sizes, protocol version, baseline modes
  std::string sourceUrl{};  ///< through the proxy
  std::string sqlitePath{};
  std::string replicaUrl{};
  std::string mysqlUrl{};
};

/// Reads commands from standard input, one a line, until "stop" or its end:
///   ready   waits for the baselines; answers "ready" or "not ready: …"
///   verify  answers "ok", or the differences, one a line
///   status  answers the engine's status in JSON
/// Each answer ends with a line that holds a full stop.
int runEngineProcess(const EngineProcessOptions& options);

}  // namespace tidegate::chaos
