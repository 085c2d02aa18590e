/// One run of the engine simulation: everything from one seed, on one thread, in virtual time. docs/simulation.md says
/// how to read it.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "simulation/engine_oracle.h"
#include "simulation/engine_source.h"
#include "simulation/engine_target.h"
#include "tidegate/engine/engine.h"

namespace tidegate::sim {

struct EngineRunOptions {
  std::uint64_t seed = 1;
  EngineMutation mutation = EngineMutation::none;
  bool print = false;
};

struct EngineRunResult {
  std::uint64_t seed = 0;
  std::optional<std::string> failure{};
  std::vector<std::string> tail{};
  std::string plan{};
  std::uint64_t traceHash = 0;
  std::uint64_t events = 0, processes = 0, deaths = 0, transactions = 0, acks = 0, isolations = 0;
};

EngineRunResult runEngineSeed(const EngineRunOptions& options);

class EngineSimulation {
 public:
  explicit EngineSimulation(const EngineRunOptions& options);
  ~EngineSimulation();
  EngineRunResult run();

 private:
  class Observer;
  class Waiter;

  // engine_simulation.cpp: rounds, and what else happens.
  void round();
  void tick();
  void happen();
  void happenToSinks();
  void happenToSource();
  void hostActs();
  void quiesce();
  void settlePass(bool first);
  bool settled() const;
  void check();
  // engine_aside.cpp: dead letters, comparing and repair.
  void checkAside(std::size_t pipeline);
  void compare(std::size_t pipeline, bool repair);
  // engine_host.cpp: the process and the engine in it.
  void startProcess();
  EngineOptions engineOptions();
  PipelineSpec specOf(std::size_t pipeline) const;
  void runInline();
  void endProcess(std::chrono::milliseconds deadline);
  void killProcess();
  void checkAck(EngineProcess& process, std::size_t source, const LogPlace& place);
  void checkCommit(EngineProcess& process, std::size_t pipeline, const std::set<std::uint64_t>& transactions);
  void checkDrained();
  void mayBePassed(std::string_view pipeline);
  bool passed(std::size_t pipeline);
  EngineOracle oracle(std::size_t pipeline);

  const EngineRunOptions options_;
  SimRandom random_, faultRandom_;
  SimClock clock_;
  Trace trace_;
  EnginePlan plan_;
  EngineWorld world_;
  std::deque<EngineDatabase> databases_;
  std::deque<EngineTarget> targets_;
  std::shared_ptr<SimLetters> letters_;
  EngineRunResult result_;

  std::size_t ticksLeft_ = 0;
  bool ticking_ = false, quiet_ = false;
  Micros quietUntil_{0};

  // Of the process.
  std::shared_ptr<EngineProcess> process_;
  std::unique_ptr<Waiter> waiter_;
  std::vector<std::shared_ptr<EngineSource>> sources_;
  std::unique_ptr<Engine> engine_;
  std::stop_source hostStop_;
  bool paused_ = false;
  std::set<std::string> isolated_;

  // Of pipelines, whatever happens to processes.
  std::set<std::string> dropped_;
  std::map<std::string, std::uint64_t> passed_;  ///< isolated ones that allow it, and how many baselines had ended then
};

}  // namespace tidegate::sim
