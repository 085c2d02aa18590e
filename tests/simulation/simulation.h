/// One run: everything from one seed, on one thread, in virtual time. docs/simulation.md says how to read it.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "simulation/plan.h"
#include "simulation/sim_client.h"
#include "simulation/sim_database.h"
#include "simulation/sim_gateway.h"
#include "simulation/sim_poller.h"

namespace tidegate::sim {

struct RunOptions {
  std::uint64_t seed = 1;
  Mutation mutation = Mutation::none;
  bool print = false;    ///< the trace, as it happens
  bool several = false;  ///< gateways over one replicated log, instead of one over a store
};

struct RunResult {
  std::uint64_t seed = 0;
  std::optional<std::string> failure;  ///< the failed check and what differs
  std::vector<std::string> tail;       ///< the newest trace lines of a failed run
  std::string plan;
  std::uint64_t traceHash = 0;
  std::uint64_t events = 0, polls = 0, pages = 0, restarts = 0;
};

/// Runs one seed to its end or to the first check that fails.
RunResult runSeed(const RunOptions& options);

class Simulation {
 public:
  explicit Simulation(const RunOptions& options);
  RunResult run();

 private:
  void round();
  void step();
  void admin();
  void passTime();
  void recover();
  void quiesce();
  void check();
  void checkSource(const SimPoller& poller);

  const RunOptions options_;
  SimRandom random_;
  SimClock clock_;
  Trace trace_;
  Plan plan_;
  SimDatabase database_;
  SimGateway gateway_;
  std::deque<SimPoller> pollers_;
  std::deque<SimClient> clients_;
};

}  // namespace tidegate::sim
