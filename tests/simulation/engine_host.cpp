/// The process of an engine simulation: how it is started, run, stopped and killed.
#include <algorithm>

#include "simulation/engine_observer.h"

namespace tidegate::sim {
namespace {

Filter engineFilter(const FilterPlan& plan) {
  using Kind = FilterPlan::Kind;
  const Filter region = Filter::equals("region", plan.text);
  const Filter amount = Filter::compare("amount", Comparison::ge, plan.number);
  switch (plan.kind) {
    case Kind::none:
      return {};
    case Kind::region:
      return region;
    case Kind::amount:
      return amount;
    case Kind::either:
      return Filter::any({region, amount});
    case Kind::both:
      return Filter::all({region, amount});
    case Kind::note:
      return Filter::prefix("note", "n1");
  }
  return {};
}

std::vector<Transform> engineTransforms(const TransformPlan& plan) {
  std::vector<Transform> steps;
  if (plan.dropNote) steps.push_back(Transform::drop({"note"}));
  if (plan.doubleAmount) {
    steps.push_back(Transform::map("amount", ValueKind::int64, [](const Value& value) {
      return value.isNull() ? value : Value(2 * value.as<std::int64_t>());
    }));
  }
  if (plan.renameAmount) steps.push_back(Transform::rename("amount", "total"));
  if (plan.constant) steps.push_back(Transform::addConstant("origin", "sim"));
  return steps;
}

}  // namespace

EngineOracle EngineSimulation::oracle(std::size_t pipeline) {
  return {databases_[plan_.pipelines[pipeline].source], targets_[pipeline], *letters_};
}

PipelineSpec EngineSimulation::specOf(std::size_t pipeline) const {
  const PipelinePlan& plan = plan_.pipelines[pipeline];
  const EngineSourcePlan& source = plan_.sources[plan.source];
  PipelineSpec spec{.name = plan.name, .source = source.name};
  for (const RoutePlan& route : plan.routes) {
    spec.tables.push_back({.table = source.tables[route.table].name,
                           .target = route.target,
                           .filter = engineFilter(route.filter),
                           .transforms = engineTransforms(route.transform)});
  }
  spec.overflow = plan.overflow;
  spec.maxQueuedEvents = plan.maxQueuedEvents;
  spec.commitEvents = plan.commitEvents;
  spec.commitInterval = plan.commitInterval;
  spec.retry = {.attempts = plan.attempts,
                .firstDelay = std::chrono::milliseconds(20),
                .maxDelay = std::chrono::milliseconds(1'000)};
  spec.onFailure = plan.failure;
  spec.acknowledgePastIsolation = plan.acknowledgePastIsolation;
  return spec;
}

EngineOptions EngineSimulation::engineOptions() {
  EngineOptions options;
  for (std::size_t i = 0; i < plan_.sources.size(); ++i) {
    sources_.push_back(std::make_shared<EngineSource>(
        databases_[i], plan_.sources[i], process_,
        [this, i](EngineProcess& process, const LogPlace& place) { checkAck(process, i, place); }));
    options.sources.push_back({.name = plan_.sources[i].name,
                               .source = sources_.back(),
                               .retry = {.attempts = UINT32_MAX,
                                         .firstDelay = std::chrono::milliseconds(20),
                                         .maxDelay = std::chrono::milliseconds(1'000)}});
  }
  for (std::size_t i = 0; i < plan_.pipelines.size(); ++i) {
    PipelineSpec spec = specOf(i);
    const EngineDatabase& database = databases_[plan_.pipelines[i].source];
    spec.sink = std::make_shared<EngineSink>(
        targets_[i], process_,
        [this, i](EngineProcess& process, const std::set<std::uint64_t>& transactions) {
          checkCommit(process, i, transactions);
        },
        [&database](const LogPlace& place) {
          const SimChange& change = database.commit(place.transaction).changes[place.changes - 1];
          return change.op == ChangeOp::update && !change.keyChanged;
        });
    if (spec.onFailure == FailurePolicy::deadLetter) spec.deadLetters = letters_;
    options.pipelines.push_back(std::move(spec));
  }
  options.observer = std::make_shared<Observer>(*this, process_);
  options.clock = &clock_;
  options.scheduler = waiter_.get();
  options.jitterSeed = random_.next() | 1;
  options.ackInterval = plan_.ackInterval;
  return options;
}

void EngineSimulation::startProcess() {
  ++result_.processes;
  trace_.line("process", "{} starts", result_.processes);
  process_ = std::make_shared<EngineProcess>(world_);
  waiter_ = std::make_unique<Waiter>(*this, process_);
  sources_.clear();
  isolated_.clear();
  paused_ = false;
  engine_ = std::make_unique<Engine>(engineOptions());
}

/// Runs the engine until it ends, the host wants to, or the process dies.
void EngineSimulation::runInline() {
  if (!engine_) startProcess();
  hostStop_ = std::stop_source();
  const std::size_t before = ticksLeft_;
  try {
    engine_->runInline(hostStop_.get_token());
    trace_.rethrow();
  } catch (const ProcessDied&) {
    trace_.rethrow();
    killProcess();
  } catch (const Error& error) {
    trace_.rethrow();
    // Something cannot be opened: its owner starts it again later.
    trace_.line("host", "cannot start: {}", error.what());
    endProcess(std::chrono::milliseconds(0));
    clock_.advance(std::chrono::milliseconds(random_.between(200, 2'000)));
  }
  if (ticksLeft_ == before) tick();
}

void EngineSimulation::killProcess() {
  ++result_.deaths;
  process_->kill();
  engine_.reset();
  for (EngineTarget& target : targets_) target.processGone();
}

void EngineSimulation::endProcess(std::chrono::milliseconds deadline) {
  StopOutcome outcome = StopOutcome::rolledBack;
  try {
    outcome = engine_->stop(deadline);
    trace_.rethrow();
  } catch (const ProcessDied&) {
    trace_.rethrow();
    return killProcess();
  }
  process_->end();
  trace_.line("host", "stops the engine: {}", outcome == StopOutcome::drained ? "drained" : "rolled back");
  if (outcome == StopOutcome::drained) checkDrained();
  if (quiet_ && outcome != StopOutcome::drained) trace_.fail("when quiet, a stop drains", "it was rolled back");
  engine_.reset();
  trace_.rethrow();
  for (EngineTarget& target : targets_) target.processGone();
}

void EngineSimulation::checkDrained() {
  const EngineStatus status = engine_->status();
  const auto whole = [&](std::size_t pipeline) {
    const auto& tables = status.pipelines[pipeline].tables;
    return std::all_of(tables.begin(), tables.end(), [](const TableStatus& table) { return table.ready; });
  };
  for (std::size_t i = 0; i < plan_.pipelines.size(); ++i) {
    const auto& taken = sources_[plan_.pipelines[i].source]->taken();
    // A baseline that was cut short begins anew, and brings what the stream had brought.
    if (!taken || !whole(i) || dropped_.contains(plan_.pipelines[i].name)) continue;
    if (const auto missing = oracle(i).firstMissing(*taken)) {
      trace_.fail("a stop that drained left nothing open",
                  fmt::format("{} lacks the change at {}", plan_.pipelines[i].name, placeText(*missing)));
    }
  }
}

/// A pipeline that lets the source be acknowledged past it was isolated.
void EngineSimulation::mayBePassed(std::string_view pipeline) {
  for (const EngineTarget& target : targets_) {
    const PipelinePlan& plan = target.pipeline();
    if (plan.name == pipeline && plan.acknowledgePastIsolation) passed_[plan.name] = target.baselines();
  }
}

/// Whether it still is without a new baseline since.
bool EngineSimulation::passed(std::size_t pipeline) {
  const PipelinePlan& plan = plan_.pipelines[pipeline];
  const auto at = passed_.find(plan.name);
  if (at == passed_.end()) return false;
  for (const RoutePlan& route : plan.routes) {
    if (targets_[pipeline].baselineNumber(route.target) <= at->second) return true;
  }
  passed_.erase(at);
  return false;
}

/// What is acknowledged is durable in every pipeline, but for those that are isolated and say that it need not be.
void EngineSimulation::checkAck(EngineProcess& process, std::size_t source, const LogPlace& place) {
  ++result_.acks;
  if (place > databases_[source].end()) process.fail("an acknowledged place exists", placeText(place));
  for (std::size_t i = 0; i < plan_.pipelines.size(); ++i) {
    const PipelinePlan& plan = plan_.pipelines[i];
    if (plan.source != source) continue;
    if (passed(i)) continue;
    if (const auto missing = oracle(i).firstMissing(place)) {
      process.fail(
          "an acknowledgement never passes what is durable",
          fmt::format("up to {}, and {} lacks the change at {}", placeText(place), plan.name, placeText(*missing)));
    }
  }
}

void EngineSimulation::checkCommit(EngineProcess& process, std::size_t pipeline,
                                   const std::set<std::uint64_t>& transactions) {
  const PipelinePlan& plan = plan_.pipelines[pipeline];
  if (!plan.traits.wholeTransactions || plan_.sources[plan.source].bestEffort) return;
  for (const std::uint64_t transaction : transactions) {
    if (const auto missing = oracle(pipeline).missingOf(transaction)) {
      process.fail("readers never see half a transaction",
                   fmt::format("{} lacks the change at {}", plan.name, placeText(*missing)));
    }
  }
}

}  // namespace tidegate::sim
