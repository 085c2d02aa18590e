#include "engine/detail/pipeline_runner.h"

#include <algorithm>
#include <utility>

#include "engine/detail/dead_letter_writer.h"

namespace tidegate::detail {
namespace {

/// A commit costs some microseconds by itself. Below this many events the pipeline's thread may as well do it.
constexpr std::uint64_t kWorthACommit = 500;

/// Whether a row passes a function of the host's on its way to the sink.
bool callsHost(const PipelineSpec& spec) {
  return std::any_of(spec.tables.begin(), spec.tables.end(), [](const TableRoute& route) {
    return std::any_of(route.transforms.begin(), route.transforms.end(),
                       [](const Transform& t) { return std::holds_alternative<Transform::Map>(t.step); });
  });
}

}  // namespace

PipelineRunner::PipelineRunner(const PipelineSpec& spec, Parts parts)
    : spec_(spec),
      parts_(std::move(parts)),
      link_(spec.maxQueuedEvents, spec.maxQueuedBytes, parts_.scheduler),
      stats_(spec.name, spec.source),
      router_(spec, parts_.source, parts_.clock, parts_.observer, parts_.pool),
      backoff_(spec.retry, parts_.seed),
      letters_(std::make_unique<DeadLetterWriter>(spec, parts_.source, parts_.clock)) {}

PipelineRunner::~PipelineRunner() = default;

void PipelineRunner::check(const std::vector<Shape>& shapes) {
  names_.clear();
  const SinkTraits traits = spec_.sink->traits();
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const TablePlan plan(spec_.tables[i], shapes[i]);
    if (plan.target->key.empty() && !traits.keyless) {
      throw Error(ErrorCode::invalidConfig, Retry::afterOperator,
                  "table \"" + shapes[i]->schema.table + "\" has no key, and the sink of pipeline \"" + spec_.name +
                      "\" needs one: give it a primary key, or choose a sink that takes rows without");
    }
    names_.push_back(shapes[i]->schema.table);
  }
  router_.tables().name(names_);
  link_.tableCount(names_.size());
  wholeTransactions_ = traits.wholeTransactions;
  keepsCheckpoints_ = traits.keepsCheckpoints;
  neverWaits_ = traits.applyNeverWaits && !callsHost(spec_);
}

void PipelineRunner::open() {
  const auto now = parts_.clock.steadyNow();
  nextSweep_.clear();
  for (const TableRoute& route : spec_.tables) {
    anyTtl_ = anyTtl_ || route.ttl;
    nextSweep_.push_back(now + (route.ttl ? Micros(route.ttl->sweepInterval) : Micros(0)));
  }
  adopt(spec_.sink->open({.pipeline = spec_.name, .stop = sinkStop_.get_token()}));
  loadLetters();
  prepareKnown();
  publish();
  link_.offer();
}

/// Takes over what the sink says of itself.
void PipelineRunner::adopt(const std::optional<std::string>& text) {
  Checkpoint checkpoint;
  if (text) {
    checkpoint = readCheckpoint(*text, parts_.source);
    const Position told = parts_.source.lastAckedPosition();
    // Only an isolation that was acknowledged past leaves a checkpoint behind what the source was told.
    const bool passed = spec_.acknowledgePastIsolation && !told.empty() && !checkpoint.position.empty() &&
                        parts_.source.comparePositions(checkpoint.position, told) < 0;
    if (checkpoint.source != spec_.source || !parts_.source.supportsResume() || passed) {
      const std::uint64_t number = checkpoint.number;
      checkpoint = {};
      checkpoint.number = number;
    }
  }
  number_ = checkpoint.number;
  durableText_ = text;
  pendingText_.reset();
  router_.tables().adopt(checkpoint);
  const auto& tables = router_.tables().all();
  const bool fresh = std::all_of(tables.begin(), tables.end(), [](const RouteTable& table) {
    return table.now.phase != TablePhase::ready && table.now.phase != TablePhase::carried;
  });
  setPlace(fresh ? Position{} : checkpoint.position);
  router_.passGates(durable_);
  unit_.clear();
  arrived_.clear();
}

void PipelineRunner::setPlace(const Position& place) {
  durable_ = seen_ = border_ = place;
  inTransaction_ = false;
}

void PipelineRunner::prepareKnown() {
  for (RouteTable& table : router_.tables().all()) {
    if (!table.durablePlan || table.durable.phase == TablePhase::wanted) {
      // A sink that was opened anew knows nothing of it any more.
      table.prepared = false;
      continue;
    }
    spec_.sink->prepareTable(table.durablePlan->target);
    table.prepared = true;
  }
}

Checkpoint PipelineRunner::makeCheckpoint() {
  Checkpoint checkpoint;
  checkpoint.source = spec_.source;
  checkpoint.number = number_ + 1;
  checkpoint.position = border_;
  if (router_.tables().changed || std::exchange(router_.tables().stale, false)) {
    router_.tables().fill(checkpoint);
    tablesJson_ = checkpointTablesJson(checkpoint, parts_.source);
  }
  return checkpoint;
}

void PipelineRunner::publish() {
  PipelineProgress progress;
  progress.durable = durable_;
  progress.whole = true;
  for (const RouteTable& table : router_.tables().all()) {
    const Position& from = table.durable.from;
    // One that is passed would begin the stream before what the source was told.
    if (!from.empty() && (durable_.empty() || !router_.drop().atOrBefore(from, durable_))) {
      progress.froms.push_back(from);
    }
    progress.whole = progress.whole && table.durable.phase == TablePhase::ready;
    if (table.now.phase != TablePhase::ready && table.now.phase != TablePhase::carried) {
      progress.missing.insert(table.name);
    }
  }
  // Before a hole, and never past what is durable: the place before a hole that was just met is not yet.
  const auto& hole = router_.tables().hole;
  const bool held = hole && !durable_.empty() && !hole->before.empty();
  parts_.acks.durable(parts_.ackIndex, held   ? parts_.source.meet(hole->before, durable_)
                                       : hole ? Position{}
                                              : durable_);
  stats_.tables(router_.tables().all());
  stats_.durable(durable_.empty() ? std::string() : parts_.source.positionToText(durable_), lastCommitMicros_,
                 link_.queue.empty());
  link_.publish(std::move(progress));
}

void PipelineRunner::setState(PipelineState state, std::string reason) {
  const PipelineState before = stats_.setState(state);
  if (before != state) parts_.observer.onPipelineState(spec_.name, before, state, reason);
}

void PipelineRunner::settleState() {
  const auto& tables = router_.tables().all();
  const bool whole =
      std::all_of(tables.begin(), tables.end(), [](const RouteTable& t) { return t.now.phase == TablePhase::ready; });
  setState(whole ? PipelineState::streaming : PipelineState::baselining,
           whole ? "every table is whole" : "a table's baseline is not whole yet");
}

bool PipelineRunner::runCommand() {
  const bool sinkWorks = health_ == Health::working && unit_.empty() && !inTransaction_;
  auto command = link_.nextCommand(sinkWorks);
  if (!command) return false;
  command->run();
  return true;
}

/// Does `work`. What it fails with is the pipeline's failure.
template <typename Work>
void PipelineRunner::guarded(Work work) {
  try {
    return work();
  } catch (const Error& e) {
    failed(e);
  } catch (const std::exception& e) {
    failed(Error(ErrorCode::queryFailed, Retry::later,
                 "pipeline \"" + spec_.name + "\" failed: " + redactSecrets(e.what())));
  }
  handled();
}

/// The popped item needs no room any more.
void PipelineRunner::handled() {
  link_.queue.done();
  parts_.control.roomMade();
}

PipelineRunner::Step PipelineRunner::step() {
  const std::lock_guard one(stepMutex_);
  Step did{.worked = true};
  guarded([&] { did = stepLocked(); });
  if (!did.worked) sleepsUntil_ = did.due.value_or(Micros::max());
  return did;
}

PipelineRunner::Step PipelineRunner::stepLocked() {
  if (runCommand()) return {.worked = true};
  if (health_ == Health::isolated || health_ == Health::stopped) {
    parts_.acks.tick();  // an isolation may be on the source's thread, where it is told nothing
    return {};
  }
  if (hasOutsideFailure_.exchange(false)) {
    const std::lock_guard lock(failureMutex_);
    throw Error(*outsideFailure_);
  }
  const Micros now = parts_.clock.steadyNow();
  if (health_ == Health::broken) {
    if (now < retryAt_) return {.due = retryAt_};
    recover();
    return {.worked = true};
  }
  commitIfDue(false);  // `applyQueued` leaves a full unit alone
  QueueItem item;
  if (!link_.queue.pop(item)) return idle(now);
  process(item);
  if (anyTtl_) sweep(now);
  handled();
  return {.worked = true};
}

bool PipelineRunner::workAtSource() {
  if (!neverWaits_) return false;
  const std::unique_lock one(stepMutex_, std::try_to_lock);
  if (!one.owns_lock()) return false;
  while (applyQueued()) {
  }
  if (commitAtSource()) applyQueued();  // a batch may have been cut behind its last whole transaction
  const bool nothingOpen = unit_.empty() && !ahead() && !router_.tables().changed;
  return mayWorkAtSource() && nothingOpen && link_.queue.empty() && !isDueSooner();
}

bool PipelineRunner::mayWorkAtSource() const {
  return health_ == Health::working && !careful_ && !hasOutsideFailure_ && !link_.hasCommands();
}

bool PipelineRunner::applyQueued() {
  if (!mayWorkAtSource() || (atBorder() && unitIsFull(parts_.clock.steadyNow()))) return false;
  QueueItem item;
  if (!link_.queue.popEvents(item)) return false;
  guarded([&] {
    processEvents(item, Commit::later);
    handled();
  });
  return true;
}

bool PipelineRunner::commitAtSource() {
  const bool worth = unit_.events() >= kWorthACommit || unitIsFull(parts_.clock.steadyNow());
  if (!worth || !atBorder() || !mayWorkAtSource()) return false;
  bool did = false;
  guarded([&] { did = commitBy([this](const std::string& checkpoint) { return spec_.sink->tryCommit(checkpoint); }); });
  return did;
}

/// When the next timer runs. Those that need a unit's end, or a transaction's, are not due before it.
std::optional<PipelineRunner::Micros> PipelineRunner::nextDue() const {
  std::optional<Micros> next = parts_.acks.due();
  const auto sooner = [&next](Micros due) { next = next ? std::min(*next, due) : due; };
  if (!unit_.empty()) return next;
  if (ahead() && atBorder()) sooner(lastCheckpoint_ + parts_.ackInterval);
  if (!anyTtl_ || inTransaction_) return next;
  for (std::size_t i = 0; i < nextSweep_.size(); ++i) {
    if (spec_.tables[i].ttl) sooner(nextSweep_[i]);
  }
  return next;
}

/// Whether a timer runs before the pipeline's thread means to wake.
bool PipelineRunner::isDueSooner() const {
  const std::optional<Micros> due = nextDue();
  return due && sleepsUntil_ && *due < *sleepsUntil_;
}

/// Nothing is queued: what can be made durable is, and timers run.
PipelineRunner::Step PipelineRunner::idle(Micros now) {
  commitIfDue(true);
  sweep(now);
  parts_.acks.tick();
  if (unit_.empty() && !inTransaction_ && link_.hasCommands()) return {.worked = true};  // one had to wait for that
  stats_.caughtUp(unit_.empty() && !ahead());
  return {.due = nextDue()};
}

bool PipelineRunner::drained() const {
  if (health_ == Health::isolated || health_ == Health::stopped) return true;
  return health_ == Health::working && link_.queue.empty() && !hasOutsideFailure_;
}

bool PipelineRunner::finish() {
  const std::lock_guard one(stepMutex_);
  bool whole = health_ == Health::working && link_.queue.empty();
  if (whole && unit_.empty() && ahead() && !inTransaction_) {
    try {
      commit();
    } catch (const std::exception&) {
      // The checkpoint stays where it was; nothing but time is lost.
    }
  }
  whole = whole && unit_.empty() && !inTransaction_ && !undone_;
  if (!unit_.empty()) spec_.sink->rollback();
  spec_.sink->close();
  unit_.clear();
  link_.leave();
  link_.end();
  if (health_ != Health::isolated) setState(PipelineState::stopped, whole ? "drained" : "rolled back");
  health_ = Health::stopped;
  return whole;
}

void PipelineRunner::fail(Error error) {
  {
    const std::lock_guard lock(failureMutex_);
    outsideFailure_ = std::move(error);
  }
  hasOutsideFailure_ = true;
  link_.waker.wake();
}

void PipelineRunner::countDropped(std::uint64_t events) {
  stats_.dropped(events);
  parts_.observer.onDropped(spec_.name, events);
  link_.waker.wake();
}

PipelineStatus PipelineRunner::status() const {
  PipelineStatus status = stats_.status(parts_.clock.steadyNow(), parts_.clock.wallNow());
  status.queuedEvents = link_.queue.events();
  status.queuedBytes = link_.queue.bytes();
  return status;
}

std::optional<Error> PipelineRunner::stoppedBy() const { return stats_.stoppedBy(); }

}  // namespace tidegate::detail
