#include "simulation/engine_simulation.h"

#include "simulation/engine_observer.h"

namespace tidegate::sim {
namespace {

/// In virtual time: longer than any back-off, so that whatever comes to rest does.
constexpr std::chrono::seconds kQuietTime{8};
constexpr int kQuietPasses = 8;

}  // namespace

EngineSimulation::EngineSimulation(const EngineRunOptions& options)
    : options_(options),
      random_(options.seed),
      faultRandom_(random_.fork()),
      trace_(clock_, options.print),
      plan_(makeEnginePlan(random_)),
      world_{.plan = plan_,
             .clock = clock_,
             .trace = trace_,
             .random = faultRandom_,
             .mutation = options.mutation,
             .tick = [this] { tick(); }},
      letters_(std::make_shared<SimLetters>(world_)) {
  for (const EngineSourcePlan& source : plan_.sources) {
    databases_.emplace_back(plan_, source, random_.fork(), clock_, trace_);
  }
  for (const PipelinePlan& pipeline : plan_.pipelines) targets_.emplace_back(plan_, pipeline);
  trace_.line("seed", "{}: {}", options.seed, plan_.describe());
}

EngineSimulation::~EngineSimulation() {
  if (process_) process_->kill();
}

EngineRunResult EngineSimulation::run() {
  result_.seed = options_.seed;
  result_.plan = plan_.describe();
  try {
    for (auto writes = random_.below(20); writes > 0; --writes) databases_.front().write();
    for (std::size_t i = 0; i < plan_.rounds; ++i) round();
  } catch (const CheckFailed&) {
    // told by the trace
  } catch (const std::exception& error) {
    try {
      trace_.fail("no exception leaves a public call", error.what());
    } catch (const CheckFailed&) {
    }
  }
  if (process_) process_->kill();
  engine_.reset();
  result_.failure = trace_.failure();
  if (result_.failure) result_.tail.assign(trace_.tail().begin(), trace_.tail().end());
  result_.traceHash = trace_.hash();
  result_.events = trace_.lines();
  for (const EngineDatabase& database : databases_) result_.transactions += database.end().transaction;
  return result_;
}

void EngineSimulation::round() {
  world_.faults = true;
  quiet_ = false;
  ticksLeft_ = plan_.ticksPerRound;
  while (ticksLeft_ > 0) {
    runInline();
    if (engine_ && plan_.hostStops && ticksLeft_ > 0 && random_.chance(35)) {
      endProcess(std::chrono::milliseconds(random_.chance(30) ? 0 : random_.between(1, 3'000)));
    }
  }
  quiesce();
  check();
}

/// Time passes, and somebody does something. Called wherever the engine waits or talks to somebody.
void EngineSimulation::tick() {
  if (ticking_ || trace_.failure()) return;
  ticking_ = true;
  clock_.advance(Micros(random_.between(0, 20'000)));
  if (quiet_) {
    if (clock_.steadyNow() >= quietUntil_) hostStop_.request_stop();
  } else if (ticksLeft_ == 0 || --ticksLeft_ == 0) {
    hostStop_.request_stop();
  } else {
    happen();
  }
  ticking_ = false;
}

void EngineSimulation::happen() {
  if (random_.chance(45)) {
    databases_[static_cast<std::size_t>(random_.below(databases_.size()))].write();
    return;
  }
  switch (random_.below(12)) {
    case 0:
      return happenToSinks();
    case 1:
      return happenToSource();
    case 2:
      return hostActs();
    default:
      return;
  }
}

void EngineSimulation::happenToSinks() {
  const auto pipeline = static_cast<std::size_t>(random_.below(targets_.size()));
  const std::string& name = plan_.pipelines[pipeline].name;
  if (plan_.fencing && random_.chance(15)) {
    trace_.line(name, "is fenced off");
    targets_[pipeline].fence();
  } else if (plan_.fullDisks && random_.chance(25)) {
    trace_.line(name, "has a full disk");
    targets_[pipeline].fillDisk(clock_.steadyNow() + std::chrono::milliseconds(random_.between(50, 4'000)));
  }
}

void EngineSimulation::happenToSource() {
  const auto source = static_cast<std::size_t>(random_.below(databases_.size()));
  if (plan_.lostSlots && random_.chance(10)) return databases_[source].dropSlot();
  if (plan_.disconnects && random_.chance(50) && engine_ && source < sources_.size()) {
    trace_.line(plan_.sources[source].name, "loses its connection");
    sources_[source]->disconnect();
  }
}

/// From another thread of the host, as it were.
void EngineSimulation::hostActs() {
  if (!engine_ || process_->dead() || process_->over()) return;
  if (plan_.hostStops && random_.chance(20)) {
    hostStop_.request_stop();
    return;
  }
  if (plan_.pauses && (paused_ || random_.chance(30))) {
    paused_ = !paused_;
    trace_.line("host", "{}", paused_ ? "pauses" : "resumes");
    return paused_ ? engine_->pause() : engine_->resume();
  }
  const auto pipeline = static_cast<std::size_t>(random_.below(plan_.pipelines.size()));
  const PipelinePlan& plan = plan_.pipelines[pipeline];
  if (plan_.reloads && random_.chance(30) && engine_->status().ready) {
    const std::string& table = plan_.sources[plan.source].tables[random_.pick(plan.routes).table].name;
    trace_.line("host", "reloads {} of {}", table, plan.name);
    return engine_->reload(plan.name, table);
  }
  if (isolated_.contains(plan.name) || random_.chance(10)) {
    trace_.line("host", "brings {} back", plan.name);
    engine_->retryIsolated(plan.name);
  }
}

/// No more faults and no more changes; everybody comes to rest.
void EngineSimulation::quiesce() {
  trace_.line("quiet", "begins");
  world_.faults = false;
  quiet_ = true;
  for (EngineTarget& target : targets_) target.mend();
  for (int pass = 0; pass < kQuietPasses; ++pass) {
    settlePass(pass == 0);
    if (pass > 0 && settled()) break;
  }
}

void EngineSimulation::settlePass(bool first) {
  quietUntil_ = clock_.steadyNow() + kQuietTime;
  runInline();
  if (!engine_) return;
  if (std::exchange(paused_, false)) engine_->resume();
  for (const PipelinePlan& plan : plan_.pipelines) {
    // What a full queue threw away only comes back with a new baseline.
    if (dropped_.contains(plan.name) || (first && plan.overflow == OverflowPolicy::dropOldest)) {
      dropped_.erase(plan.name);
      for (const RoutePlan& route : plan.routes) {
        engine_->reload(plan.name, plan_.sources[plan.source].tables[route.table].name);
      }
    }
    if (isolated_.contains(plan.name)) engine_->retryIsolated(plan.name);
  }
}

bool EngineSimulation::settled() const {
  if (!engine_ || !isolated_.empty() || !dropped_.empty()) return false;
  const EngineStatus status = engine_->status();
  if (!status.ready) return false;
  for (std::size_t i = 0; i < databases_.size(); ++i) {
    if (databases_[i].acked().value_or(LogPlace{}) < databases_[i].end()) return false;
  }
  return true;
}

void EngineSimulation::check() {
  if (!isolated_.empty()) trace_.fail("when quiet, no pipeline is isolated", *isolated_.begin());
  if (!engine_ || !engine_->status().ready) trace_.fail("when quiet, every table is whole", "one is not");
  for (std::size_t i = 0; i < databases_.size(); ++i) {
    const LogPlace acked = databases_[i].acked().value_or(LogPlace{});
    if (acked < databases_[i].end()) {
      trace_.fail(
          "when quiet, everything is acknowledged",
          fmt::format("{} up to {} of {}", plan_.sources[i].name, placeText(acked), placeText(databases_[i].end())));
    }
  }
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    if (const auto differences = oracle(i).differences(true); !differences.empty()) {
      trace_.fail("when quiet, a sink is its filtered source", plan_.pipelines[i].name + ": " + differences.front());
    }
  }
  world_.aside = true;
  for (std::size_t i = 0; i < targets_.size(); ++i) checkAside(i);
  world_.aside = false;
  if (random_.chance(50)) endProcess(std::chrono::seconds(5));
}

EngineRunResult runEngineSeed(const EngineRunOptions& options) { return EngineSimulation(options).run(); }

}  // namespace tidegate::sim
