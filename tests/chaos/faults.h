/// What goes wrong, when, and how it is mended again. A round's schedule comes from its seed.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::chaos {

enum class Fault {
  killSource,     ///< kill -9 of the source's server, then a start
  restartSource,  ///< a fast shutdown, then a start
  killReplica,    ///< kill -9 of the Postgres sink's server
  killMySql,      ///< kill -9 of the MariaDB sink's server
  killEngine,     ///< kill -9 of the process under test
  stopEngine,     ///< it ends by itself
  cut,            ///< the source's connections break
  freeze,         ///< the source's connections hang for a while
  slow,           ///< the source's connections are slow for a while
  fillDisk,       ///< the SQLite sink's disk is full for a while
  dropSlot        ///< the replication slot is dropped under the engine
};
std::string_view toString(Fault fault) noexcept;

struct PlannedFault {
  std::chrono::milliseconds at{0};  ///< from the round's start
  Fault fault = Fault::cut;
};

struct RoundPlan {
  std::uint64_t seed = 1;
  std::chrono::milliseconds length{0};
  std::size_t writers = 2;
  std::vector<PlannedFault> faults{};  ///< by time
};

RoundPlan planRound(std::uint64_t seed);
std::string toText(const RoundPlan& plan);

}  // namespace tidegate::chaos
