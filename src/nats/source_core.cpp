#include "nats/detail/source_core.h"

#include <fmt/format.h>

#include <algorithm>

namespace tidegate::nats::detail {
namespace {

/// How long one look at the stream takes when nothing comes: a pause or a stop is noticed by then.
constexpr std::chrono::milliseconds kLook{50};
/// A message that waits on the server is taken for about that large: the server does not say.
constexpr std::uint64_t kMessageBytes = 300;

[[noreturn]] void refuseStopped() {
  throw Error(ErrorCode::queryCancelled, Retry::later, "the baseline was stopped; take a new one");
}

bool isBroken(const Error& e) { return e.code() == ErrorCode::connectionFailed; }

}  // namespace

void SourceCore::init(const SourceContext& context) {
  context_ = context;
  if (context.clock != nullptr) clock_ = context.clock;
  if (context.scheduler != nullptr) scheduler_ = context.scheduler;
  state_.setListener(context.onState);
}

void SourceCore::requireOpen() {
  if (state_.state() == SourceState::closed) {
    throw Error(ErrorCode::stopped, Retry::never, "the source was closed: make another one");
  }
  if (state_.state() == SourceState::error) state_.to(SourceState::connecting, "trying again");
}

void SourceCore::close() {
  session_.reset();
  state_.to(SourceState::closed, "closed");
}

std::string SourceCore::unknownTable(const std::string& table) const {
  return fmt::format("stream \"{}\" has no table \"{}\": no commit of the pipeline that writes it names one",
                     options_.stream, table);
}

SourceCore::Session& SourceCore::session() {
  if (!session_ || !session_->connection.isUp()) {
    session_.reset();
    ConnectOptions connect = options_.connect;
    if (connect.clock == nullptr) connect.clock = clock_;
    if (connect.scheduler == nullptr) connect.scheduler = scheduler_;
    session_ = std::make_unique<Session>(connect);
  }
  if (state_.state() != SourceState::connected) state_.to(SourceState::connected, "connected");
  return *session_;
}

bool SourceCore::connected(const std::stop_token& stop, const std::function<void(Session&)>& work) {
  requireOpen();
  Backoff backoff(options_.backoff, context_.jitterSeed);
  for (;;) {
    try {
      work(session());
      return true;
    } catch (const Error& e) {
      if (!isBroken(e)) throw;
      session_.reset();
      if (!waitToRetry(e, backoff, state_, *scheduler_, stop)) return false;
    }
  }
}

std::map<std::string, Shape> SourceCore::tables(const std::stop_token& stop) {
  std::map<std::string, Shape> found;
  const bool done = connected(stop, [&](Session& s) {
    found.clear();
    const StreamInfo info = s.js.info(options_.stream, stop);
    if (info.subject.empty()) return;
    const auto last = lastControl(s.js, {options_.stream, info.subject}, stop);
    if (!last) return;
    for (const auto& [table, name] : last->record.tables) {
      const auto shape = last->record.shapes.find(name);
      if (shape != last->record.shapes.end()) found[table] = shape->second;
    }
  });
  if (!done) refuseStopped();
  return found;
}

std::vector<TableIssue> SourceCore::validate(const std::vector<std::string>& tables) {
  std::vector<TableIssue> issues;
  try {
    const auto known = this->tables({});
    for (const std::string& table : tables) {
      if (!known.contains(table)) issues.push_back({table, ErrorCode::tableNotFound, unknownTable(table), true});
    }
  } catch (const Error& e) {
    if (e.code() != ErrorCode::tableNotFound) throw;
    issues.push_back({options_.stream, e.code(), e.message(), true});
  }
  return issues;
}

Shape SourceCore::describe(const std::string& table) {
  const auto known = tables({});
  const auto found = known.find(table);
  if (found == known.end()) throw Error(ErrorCode::tableNotFound, Retry::afterOperator, unknownTable(table));
  return found->second;
}

bool SourceCore::waitWhilePaused(SourceState back, const std::stop_token& stop) {
  {
    const std::lock_guard lock(mutex_);
    if (!paused_) return !stop.stop_requested();
  }
  state_.to(SourceState::paused, "paused");
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, stop, [&] { return !paused_; });
  }
  if (stop.stop_requested()) return false;
  state_.to(back, "resumed");
  return true;
}

bool SourceCore::offer(ChangeBatch& batch, const ChangeHandler& handler, SourceState back,
                       const std::stop_token& stop) {
  do {
    if (!waitWhilePaused(back, stop)) return false;
  } while (handler(batch) == Taken::full);
  return true;
}

/// Rows that the stream's beginning brought are in a baseline only if the stream still has its beginning, or a whole
/// reading of the table.
void SourceCore::requireWhole(const FoldedStream& folded, const std::string& table) const {
  if (folded.fromBeginning || folded.fold.sawBaseline(table)) return;
  throw Error(ErrorCode::positionLost, Retry::afterOperator,
              fmt::format("stream \"{}\" no longer has the beginning of table \"{}\": reload the table in the pipeline "
                          "that writes it, and let the stream keep more",
                          options_.stream, table));
}

bool SourceCore::tellRows(const FoldedStream& folded, const std::vector<std::string>& tables, const Position& at,
                          const std::function<bool(ChangeBatch&)>& offer) {
  ChangeBatch batch;
  const auto add = [&](ChangeOp op, const Shape& shape, std::vector<Value> row) {
    ChangeEvent& event = batch.add(op, shape);
    event.transactionBegin = event.transactionEnd = true;
    event.position = at;
    event.after = std::move(row);
    if (batch.size() < options_.batchEvents) return true;
    const bool taken = offer(batch);
    batch.clear();
    return taken;
  };
  for (const std::string& table : tables) {
    const Shape& shape = folded.tables.at(table);
    if (!add(ChangeOp::baselineBegin, shape, {})) return false;
    for (std::vector<Value>& row : folded.fold.rowsOf(*shape)) {
      if (!add(ChangeOp::read, shape, std::move(row))) return false;
    }
    if (!add(ChangeOp::baselineEnd, shape, {})) return false;
  }
  return batch.empty() || offer(batch);
}

Position SourceCore::baseline(const std::vector<std::string>& tables, const ChangeHandler& handler,
                              const std::stop_token& stop) {
  Position at;
  std::unique_ptr<FoldedStream> folded;
  const bool done = connected(stop, [&](Session& s) {
    folded = std::make_unique<FoldedStream>(options_.readBackBytes);
    const StreamInfo info = s.js.info(options_.stream, stop);
    foldStream(s.js, options_.stream, *folded, stop);
    at = positionOf({folded->committedAt, incarnationOf(info)});
  });
  if (!done) refuseStopped();
  for (const std::string& table : tables) {
    if (!folded->tables.contains(table)) {
      throw Error(ErrorCode::tableNotFound, Retry::afterOperator, unknownTable(table));
    }
    requireWhole(*folded, table);
  }
  const auto give = [&](ChangeBatch& batch) { return offer(batch, handler, SourceState::connected, stop); };
  if (!tellRows(*folded, tables, at, give) || stop.stop_requested()) refuseStopped();
  return at;
}

std::unique_ptr<RowStream> SourceCore::readTable(const std::string& table, const std::stop_token& stop) {
  std::unique_ptr<FoldedStream> folded;
  const bool done = connected(stop, [&](Session& s) {
    folded = std::make_unique<FoldedStream>(options_.readBackBytes);
    foldStream(s.js, options_.stream, *folded, stop);
  });
  if (!done) refuseStopped();
  const auto shape = folded->tables.find(table);
  if (shape == folded->tables.end()) throw Error(ErrorCode::tableNotFound, Retry::afterOperator, unknownTable(table));
  requireWhole(*folded, table);
  return std::make_unique<FoldedRows>(shape->second, folded->fold.rowsOf(*shape->second));
}

void SourceCore::stream(const std::vector<std::string>& tables, const Position& from, const ChangeHandler& handler,
                        const std::stop_token& stop) {
  const StreamPlace place = requirePlace(from);
  requireOpen();
  const auto give = [&](ChangeBatch& batch) {
    noteInHand(batch);
    return offer(batch, handler, SourceState::streaming, stop);
  };
  EventDelivery delivery({tables.begin(), tables.end()}, options_.batchEvents, place.incarnation, give);
  delivery.setTold(place.sequence);
  Backoff backoff(options_.backoff, context_.jitterSeed);
  try {
    follow(delivery, backoff, place, stop);
  } catch (...) {
    endStream(std::current_exception());
    throw;
  }
  endStream(nullptr);
}

/// The state after a stream: by what it ended with.
void SourceCore::endStream(const std::exception_ptr& failure) {
  const SourceState state = state_.state();
  if (state == SourceState::closed || state == SourceState::error) return;
  if (failure == nullptr) {
    state_.to(SourceState::connected, "stopped");
    return;
  }
  session_.reset();
  try {
    std::rethrow_exception(failure);
  } catch (const Error& e) {
    const bool over = e.retry() == Retry::never || e.retry() == Retry::afterOperator;
    state_.to(over ? SourceState::error : SourceState::connected, e.message());
  } catch (...) {
    state_.to(SourceState::connected, "the reader failed");
  }
}

void SourceCore::follow(EventDelivery& delivery, Backoff& backoff, const StreamPlace& from,
                        const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    try {
      return readOn(delivery, backoff, from, stop);
    } catch (const Error& e) {
      if (!isBroken(e)) throw;
      session_.reset();
      delivery.forget();
      if (!waitToRetry(e, backoff, state_, *scheduler_, stop)) return;
    }
  }
}

void SourceCore::checkPlace(const StreamInfo& info, const StreamPlace& place, std::uint64_t told) const {
  const bool another = incarnationOf(info) != place.incarnation || info.lastSequence < told;
  if (!another && info.firstSequence <= told + 1) return;
  throw Error(ErrorCode::positionLost, Retry::afterOperator,
              another
                  ? fmt::format("stream \"{}\" was deleted and made anew: take a new baseline", options_.stream)
                  : fmt::format("stream \"{}\" no longer has what follows message {}: it begins with {}. Take a new "
                                "baseline, and let the stream keep more",
                                options_.stream, told, info.firstSequence));
}

void SourceCore::readOn(EventDelivery& delivery, Backoff& backoff, const StreamPlace& from,
                        const std::stop_token& stop) {
  JetStream& js = session().js;
  checkPlace(js.info(options_.stream, stop), from, delivery.told());
  UnitReader reader(js, options_.stream, delivery.told(), {.bufferBytes = options_.bufferBytes});
  state_.to(SourceState::streaming, "follows the stream");
  const UnitReader::Visitor visitor{
      .event = [&](ChangeEvent& event, std::uint64_t sequence) { return delivery.take(event, sequence); },
      .unit =
          [&](const ControlRecord& record, std::uint64_t sequence) {
            if (!delivery.endUnit(sequence, record.runs.empty())) return false;
            backoff.reset();
            return true;
          }};
  while (waitWhilePaused(SourceState::streaming, stop)) {
    if (!reader.read(kLook, visitor, stop)) return;
    noteLag(delivery, reader.heldBytes() + reader.pending() * kMessageBytes);
  }
}

void SourceCore::noteInHand(const ChangeBatch& batch) {
  const std::size_t bytes = batch.empty() || batch.back().op == ChangeOp::progress ? 0 : batch.bytes();
  const std::lock_guard lock(mutex_);
  waitingBytes_ = bytes;
}

void SourceCore::noteLag(const EventDelivery& delivery, std::uint64_t waitingBytes) {
  const std::lock_guard lock(mutex_);
  waitingBytes_ = waitingBytes;
  lastCommitMicros_ = delivery.lastCommitMicros();
}

SourceLag SourceCore::lag() const {
  const std::lock_guard lock(mutex_);
  SourceLag lag;
  lag.bytes = waitingBytes_;
  lag.time = std::chrono::milliseconds(0);
  if (waitingBytes_ > 0 && lastCommitMicros_ != 0) {
    const std::int64_t micros = clock_->wallNow().count() - lastCommitMicros_;
    lag.time = std::chrono::milliseconds(std::max<std::int64_t>(0, micros / 1'000));
  }
  return lag;
}

void SourceCore::ack(const Position& position) {
  const StreamPlace place = requirePlace(position);
  const std::lock_guard lock(mutex_);
  const auto known = placeOf(acked_);
  if (!known || known->incarnation != place.incarnation || known->sequence < place.sequence) acked_ = position;
}

Position SourceCore::lastAcked() const {
  const std::lock_guard lock(mutex_);
  return acked_;
}

void SourceCore::setPaused(bool paused) {
  const std::lock_guard lock(mutex_);
  paused_ = paused;
  changed_.notify_all();
}

}  // namespace tidegate::nats::detail
