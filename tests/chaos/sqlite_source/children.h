/// The processes of a round: an engine that follows a SQLite database into two others, and programs that write to it.
#pragma once

#include <cstdint>
#include <string>

namespace tidegate::chaos {

/// Reads commands as `runEngineProcess` does (ready, verify, status, stop).
int runSqliteEngine(std::uint64_t seed, const std::string& folder);
/// Commits random transactions until its standard input ends.
int runSqliteWriter(std::uint64_t seed, const std::string& folder);

inline std::string sourceFile(const std::string& folder) { return folder + "/shop.db"; }
inline std::string replicaFile(const std::string& folder, int n) {
  return folder + "/replica" + std::to_string(n) + ".db";
}

}  // namespace tidegate::chaos
