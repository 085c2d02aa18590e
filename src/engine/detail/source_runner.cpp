#include "engine/detail/source_runner.h"

#include <algorithm>
#include <utility>

namespace tidegate::detail {

SourceRunner::SourceRunner(const SourceSpec& spec, BatchPool& pool, Parts parts)
    : spec_(spec),
      source_(*spec.source),
      parts_(std::move(parts)),
      pool_(pool),
      waker_(parts_.scheduler),
      backoff_(spec.retry, parts_.seed),
      total_(source_.orderingGuarantee() == OrderingGuarantee::total) {
  status_.name = spec.name;
}

void SourceRunner::open() {
  touched_ = true;
  initialise();
  validate();
  tables_.clear();
  for (PipelineRunner* pipeline : pipelines_) {
    std::vector<Shape> shapes;
    for (const TableRoute& route : pipeline->spec().tables) shapes.push_back(source_.describeTable(route.table));
    pipeline->check(shapes);
    tables_.insert(tables_.end(), pipeline->tables().begin(), pipeline->tables().end());
  }
  std::sort(tables_.begin(), tables_.end());
  tables_.erase(std::unique(tables_.begin(), tables_.end()), tables_.end());
}

/// Once: a start that failed later leaves the source as it is, for the next try.
void SourceRunner::initialise() {
  if (initialised_) return;
  source_.init({.name = spec_.name,
                .clock = &parts_.clock,
                .scheduler = &parts_.scheduler,
                .jitterSeed = parts_.seed,
                .onState = [this](const SourceStateChange& change) { onState(change); },
                .onWarning =
                    [this](const std::string& message) {
                      if (!closed_) parts_.observer.onWarning(spec_.name, message);
                    }});
  initialised_ = true;
}

void SourceRunner::validate() {
  std::vector<std::string> asked;
  for (const PipelineRunner* pipeline : pipelines_) {
    for (const TableRoute& route : pipeline->spec().tables) asked.push_back(route.table);
  }
  std::sort(asked.begin(), asked.end());
  asked.erase(std::unique(asked.begin(), asked.end()), asked.end());
  std::optional<ErrorCode> code;
  std::string reasons;
  std::vector<TableIssue> issues = source_.validateTables({});  // the source itself
  for (TableIssue& issue : source_.validateTables(asked)) issues.push_back(std::move(issue));
  for (const TableIssue& issue : issues) {
    parts_.observer.onTableIssue(spec_.name, issue);
    if (!issue.fatal) continue;
    code = code.value_or(issue.code);
    reasons += reasons.empty() ? "" : "; ";
    reasons += issue.table.empty() ? issue.message : "table \"" + issue.table + "\": " + issue.message;
  }
  if (code) throw Error(*code, Retry::afterOperator, "source \"" + spec_.name + "\" cannot be streamed: " + reasons);
}

void SourceRunner::close() {
  if (touched_) source_.close();
  closed_ = true;
}

std::stop_token SourceRunner::beginCall(const std::stop_token& stop) {
  const std::lock_guard lock(mutex_);
  call_ = std::stop_source();
  batches_ = 0;
  if (stop.stop_requested()) call_.request_stop();
  return call_.get_token();
}

void SourceRunner::endTurn() {
  std::stop_source call;
  {
    const std::lock_guard lock(mutex_);
    call = call_;
  }
  call.request_stop();
}

void SourceRunner::restart() {
  finished_ = false;
  std::stop_source call;
  {
    const std::lock_guard lock(mutex_);
    call = call_;
  }
  call.request_stop();
  waker_.wake();
}

void SourceRunner::halt(const Error& error, bool everything) {
  {
    const std::lock_guard lock(mutex_);
    if (!haltedBy_) haltedBy_ = error;
    status_.lastError = error.what();
  }
  restart();
  if (everything) parts_.haltEverything(error);
}

void SourceRunner::mend() {
  {
    const std::lock_guard lock(mutex_);
    haltedBy_.reset();
  }
  mended_ = true;
  waker_.wake();
}

void SourceRunner::pause() {
  paused_ = true;
  source_.pause();
}

void SourceRunner::resume() {
  paused_ = false;
  source_.resume();
  waker_.wake();
}

SourceRunner::Result SourceRunner::turn(std::stop_token stop) {
  if (stop.stop_requested()) return {Turn::stopped};
  const std::stop_callback forward(stop, [this] { endTurn(); });
  beginCall(stop);
  if (haltedBy()) return {Turn::waiting};
  if (mended_.exchange(false)) backoff_.succeeded();
  if (const Micros now = parts_.clock.steadyNow(); now < retryAt_) return {Turn::waiting, retryAt_};
  try {
    return streamOrBaseline(stop);
  } catch (const Error& e) {
    for (PipelineRunner* pipeline : pipelines_) pipeline->link().abandonBaseline();
    if (stop.stop_requested()) return {Turn::stopped};
    bool asked = false;
    {
      const std::lock_guard lock(mutex_);
      asked = call_.stop_requested();
    }
    if (asked && e.code() != ErrorCode::positionLost) return {Turn::worked};
    return failed(e);
  } catch (const std::exception& e) {
    for (PipelineRunner* pipeline : pipelines_) pipeline->link().abandonBaseline();
    return failed(Error(ErrorCode::queryFailed, Retry::later, redactSecrets(e.what())));
  }
}

SourceRunner::Result SourceRunner::streamOrBaseline(const std::stop_token& stop) {
  if (!total_ && streamed_ && !finished_) {
    // Without a total order nothing tells what was delivered before: all begin at what is durable.
    streamed_ = false;
    for (PipelineRunner* pipeline : pipelines_) {
      if (pipeline->link().joined()) pipeline->resetSession();
    }
  }
  if (!joinAll()) return {Turn::waiting};
  if (std::exchange(lost_, false)) parts_.acks.suspend();
  if (readBaselines()) return {Turn::worked};
  if (finished_) return {Turn::finished};
  streamed_ = true;
  stream();
  if (stop.stop_requested()) return {Turn::stopped};
  const std::lock_guard lock(mutex_);
  if (!call_.stop_requested()) finished_ = true;
  return {Turn::worked};
}

bool SourceRunner::joinAll() {
  taking_.clear();
  for (PipelineRunner* pipeline : pipelines_) {
    if (pipeline->resetting()) return false;
    if (pipeline->link().join()) taking_.push_back(pipeline);
  }
  return !taking_.empty();
}

/// @return whether there was something to read.
bool SourceRunner::readBaselines() {
  struct Share {
    PipelineRunner* pipeline;
    std::vector<std::string> tables;
  };
  std::vector<Share> shares;
  std::set<std::string> all;
  for (PipelineRunner* pipeline : taking_) {
    std::vector<std::string> tables = pipeline->link().beginBaseline();
    if (tables.empty()) continue;
    all.insert(tables.begin(), tables.end());
    shares.push_back({pipeline, std::move(tables)});
  }
  if (shares.empty()) return false;
  finished_ = false;
  taking_.clear();
  for (const Share& share : shares) taking_.push_back(share.pipeline);
  std::stop_token stop;
  {
    const std::lock_guard lock(mutex_);
    stop = call_.get_token();
  }
  const Position from = source_.baseline(
      {all.begin(), all.end()}, [this](ChangeBatch& batch) { return offer(batch, true); }, stop);
  for (const Share& share : shares) share.pipeline->link().endBaseline(share.tables, from);
  {
    const std::lock_guard lock(mutex_);
    if (received_.empty()) received_ = from;
  }
  backoff_.succeeded();
  if (inline_.delivered) inline_.delivered();
  return true;
}

std::optional<Position> SourceRunner::startOfStream(const std::vector<PipelineRunner*>& joined) const {
  std::optional<Position> start;
  for (const PipelineRunner* pipeline : joined) {
    for (const Position& position : pipeline->link().resumeFrom()) {
      start = start ? source_.meet(*start, position) : position;
    }
  }
  return start;
}

void SourceRunner::stream() {
  const auto from = startOfStream(taking_);
  if (!from) {
    throw Error(ErrorCode::internal, Retry::never, "source \"" + spec_.name + "\": no pipeline says where to begin");
  }
  parts_.acks.received(*from);
  if (!total_) parts_.acks.restartAt(*from);
  for (PipelineRunner* pipeline : taking_) {
    QueueItem item;
    item.kind = QueueItem::Kind::streamBegins;
    item.position = *from;
    pipeline->link().queue.push(std::move(item));
    pipeline->link().waker.wake();
  }
  std::stop_token stop;
  {
    const std::lock_guard lock(mutex_);
    stop = call_.get_token();
  }
  source_.stream(
      tables_, *from, [this](ChangeBatch& batch) { return offer(batch, false); }, stop);
}

SourceRunner::Result SourceRunner::failed(const Error& error) {
  {
    const std::lock_guard lock(mutex_);
    status_.lastError = error.what();
  }
  if (error.code() == ErrorCode::positionLost) {
    parts_.observer.onPositionLost(spec_.name, error);
    if (spec_.onPositionLost == PositionLostPolicy::rebaseline) {
      positionLost();
      return {Turn::worked};
    }
    halt(error, false);
    return {Turn::waiting};
  }
  const RetryDecision decision = backoff_.failed(error);
  if (!decision.again) {
    halt(error, false);
    return {Turn::waiting};
  }
  retryAt_ = parts_.clock.steadyNow() + decision.delay;
  parts_.observer.onWarning(spec_.name, std::string("trying again in ") +
                                            std::to_string(decision.delay.count() / 1000) + " ms: " + error.what());
  return {Turn::waiting, retryAt_};
}

/// Everything is read anew, by isolated pipelines when they come back. What is queued is of the place that was lost: a
/// baseline among it must not pass for the new one.
void SourceRunner::positionLost() {
  lost_ = true;
  for (PipelineRunner* pipeline : pipelines_) {
    pipeline->link().force(pipeline->tables());
    if (pipeline->link().joined()) pipeline->resetSession();
  }
}

void SourceRunner::onState(const SourceStateChange& change) {
  if (closed_) return;
  {
    const std::lock_guard lock(mutex_);
    if (change.to == SourceState::reconnecting) ++status_.reconnects;
  }
  parts_.observer.onSourceState(spec_.name, change);
}

SourceStatus SourceRunner::status() const {
  SourceStatus status;
  Position received;
  {
    const std::lock_guard lock(mutex_);
    status = status_;
    received = received_;
  }
  status.state = source_.state();
  status.lag = source_.lag();
  if (!received.empty()) status.receivedPosition = source_.positionToText(received);
  const Position acked = parts_.acks.acked();
  if (!acked.empty()) status.ackedPosition = source_.positionToText(acked);
  return status;
}

std::optional<Error> SourceRunner::haltedBy() const {
  const std::lock_guard lock(mutex_);
  return haltedBy_;
}

}  // namespace tidegate::detail
