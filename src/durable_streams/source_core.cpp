#include "durable_streams/detail/source_core.h"

#include <fmt/format.h>

#include <algorithm>

#include "durable_streams/detail/entity_view.h"

namespace tidegate::durable_streams::detail {
namespace {

/// How long one look at the stream takes when nothing comes: a pause is noticed by then.
constexpr std::chrono::milliseconds kLook{100};

/// Failures are this source's to retry: it tells its states, and its waiting can be stopped.
DurableStreamClientOptions withoutOwnRetries(DurableStreamClientOptions options) {
  options.retry.maxRetries = 0;
  return options;
}

bool isGone(const StreamError& e) {
  return e.failure() == StreamFailure::notFound || e.failure() == StreamFailure::gone;
}

[[noreturn]] void refuseStopped() {
  throw Error(ErrorCode::queryCancelled, Retry::later, "the baseline was stopped; take a new one");
}

}  // namespace

SourceCore::SourceCore(SourceOptions options)
    : options_(std::move(options)),
      name_(options_.name.empty() ? options_.stream : options_.name),
      mapper_(options_),
      client_(withoutOwnRetries(options_.server)) {}

void SourceCore::init(const SourceContext& context) {
  context_ = context;
  if (context.clock != nullptr) clock_ = context.clock;
  if (context.scheduler != nullptr) scheduler_ = context.scheduler;
  state_.setListener(context.onState);
}

DurableStream SourceCore::streamOf() { return client_.stream(options_.stream); }

std::string SourceCore::unknownTable(const std::string& table) const {
  return fmt::format("stream \"{}\" is not read as a table \"{}\": declare it in `tables`", name_, table);
}

void SourceCore::requireOpen() {
  if (state_.state() == SourceState::closed) {
    throw Error(ErrorCode::stopped, Retry::never, "the source was closed: make another one");
  }
  if (state_.state() == SourceState::error) state_.to(SourceState::connecting, "trying again");
}

/// 404, 410, and an offset that the server does not know: the place is gone.
void SourceCore::refuse(const StreamError& e, bool hadPlace) {
  const bool lost = isGone(e) || (hadPlace && e.status() == 400);
  if (!lost) throw e;
  const std::string what = hadPlace
                               ? "is gone, or no longer has what follows the place that was reached"
                               : "does not exist; set createMissing, or make it with content type application/json";
  if (hadPlace && options_.lost == Lost::rebaseline) {
    throw Error(ErrorCode::positionLost, Retry::afterOperator,
                fmt::format("stream \"{}\" {}: {}", name_, what, e.message()));
  }
  throw Error(ErrorCode::tableNotFound, Retry::afterOperator,
              fmt::format("stream \"{}\" {} ({}){}", name_, what, e.message(),
                          hadPlace ? ". What was read of it stays in the target. To read another one under its name, "
                                     "remove the pipeline's checkpoint, or set lost = Lost::rebaseline"
                                   : ""));
}

void SourceCore::requireStream(const std::stop_token& stop) {
  requireOpen();
  Backoff backoff(options_.backoff, context_.jitterSeed);
  for (;;) {
    try {
      if (options_.createMissing && !streamOf().find(stop)) {
        streamOf().create({.contentType = "application/json"}, stop);
      }
      const StreamHead head = streamOf().head(stop);
      if (!head.contentType.starts_with("application/json")) {
        throw Error(ErrorCode::typeUnsupported, Retry::afterOperator,
                    fmt::format("stream \"{}\" is {}; only streams of application/json have messages that can be rows",
                                name_, head.contentType));
      }
      if (state_.state() != SourceState::connected) state_.to(SourceState::connected, "the stream is there");
      return;
    } catch (const StreamError& e) {
      if (isGone(e)) refuse(e, false);
      if (!waitToRetry(e, backoff, state_, *scheduler_, stop)) refuseStopped();
    }
  }
}

std::vector<TableIssue> SourceCore::streamIssues() {
  try {
    requireStream({});
  } catch (const Error& e) {
    if (e.code() != ErrorCode::tableNotFound && e.code() != ErrorCode::typeUnsupported) throw;
    return {{name_, e.code(), e.message(), true}};
  }
  return {};
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

void SourceCore::malformed(const Error& why, const StreamPlace& at) {
  const std::string what =
      fmt::format("stream \"{}\": message {} from offset {} on (number {}) does not fit its tables: {}", name_, at.skip,
                  at.offset, at.number, why.message());
  if (options_.malformed == Malformed::stop) {
    throw Error(ErrorCode::parseError, Retry::afterOperator,
                what + ". Declare the table as its messages are, or set malformed = Malformed::skip");
  }
  if (context_.onWarning) context_.onWarning(what + "; it was left out");
}

StreamDelivery SourceCore::deliveryFor(const std::vector<std::string>& tables, const ChangeHandler& handler,
                                       SourceState back, const std::stop_token& stop) {
  for (const std::string& table : tables) {
    if (!shapeOf(table)) throw Error(ErrorCode::tableNotFound, Retry::afterOperator, unknownTable(table));
  }
  const auto offer = [this, &handler, back, stop](ChangeBatch& batch) {
    do {
      if (!waitWhilePaused(back, stop)) return false;
    } while (handler(batch) == Taken::full);
    return true;
  };
  return StreamDelivery(mapper_, {tables.begin(), tables.end()}, options_.batchEvents, back == SourceState::connected,
                        {.offer = offer,
                         .malformed = [this](const Error& why, const StreamPlace& at) { malformed(why, at); },
                         .nowMicros = [this] { return clock_->wallNow().count(); }});
}

/// Reads on until the stream's end as it is now; what comes meanwhile is read too.
void SourceCore::catchUp(const std::string& from, const std::stop_token& stop,
                         const std::function<bool(const Chunk& chunk)>& onChunk) {
  Reader reader = streamOf().reader({.offset = from, .live = Live::no});
  Backoff backoff(options_.backoff, context_.jitterSeed);
  while (!reader.ended()) {
    if (!waitWhilePaused(SourceState::connected, stop)) refuseStopped();
    try {
      const auto chunk = reader.next(kLook, stop);
      if (!chunk) continue;
      if (!onChunk(*chunk)) refuseStopped();
      backoff.reset();
      if (chunk->upToDate) return;
    } catch (const StreamError& e) {
      if (isGone(e)) refuse(e, true);
      if (!waitToRetry(e, backoff, state_, *scheduler_, stop)) refuseStopped();
      state_.to(SourceState::connected, "reads on");
    }
  }
}

/// The stream as it is now: each row of an entity table once, each message of an event table.
tidegate::Position SourceCore::baseline(const std::vector<std::string>& tables, const ChangeHandler& handler,
                                        const std::stop_token& stop) {
  requireStream(stop);
  StreamDelivery delivery = deliveryFor(tables, handler, SourceState::connected, stop);
  StreamPlace from{.offset = std::string(kStreamStart)};
  if (options_.start == Start::now) from.base = from.offset = streamOf().head(stop).offset;
  delivery.begin(from);
  for (const std::string& table : tables) delivery.border(ChangeOp::baselineBegin, shapeOf(table));
  if (options_.start == Start::beginning) {
    catchUp(from.offset, stop, [&](const Chunk& chunk) { return delivery.take(chunk); });
  }
  if (!delivery.tellEntities()) refuseStopped();
  for (const std::string& table : tables) delivery.border(ChangeOp::baselineEnd, shapeOf(table));
  if (!delivery.flush() || stop.stop_requested()) refuseStopped();
  return positionOf(delivery.place());
}

void SourceCore::stream(const std::vector<std::string>& tables, const tidegate::Position& from,
                        const ChangeHandler& handler, const std::stop_token& stop) {
  const StreamPlace at = requirePlace(from);
  requireOpen();
  StreamDelivery delivery = deliveryFor(tables, handler, SourceState::streaming, stop);
  delivery.begin(at);
  note(delivery, false);
  Backoff backoff(options_.backoff, context_.jitterSeed);
  try {
    follow(delivery, backoff, stop);
  } catch (const Error& e) {
    if (state_.state() != SourceState::error && state_.state() != SourceState::closed) {
      const bool over = e.retry() == Retry::never || e.retry() == Retry::afterOperator;
      state_.to(over ? SourceState::error : SourceState::connected, e.message());
    }
    throw;
  } catch (...) {
    state_.to(SourceState::connected, "the reader failed");
    throw;
  }
  if (state_.state() != SourceState::closed) {
    if (state_.state() == SourceState::reconnecting) state_.to(SourceState::connected, "stopped while reconnecting");
    if (state_.state() == SourceState::connecting) state_.to(SourceState::connected, "stopped while connecting");
    state_.to(SourceState::connected, "stopped");
  }
}

void SourceCore::follow(StreamDelivery& delivery, Backoff& backoff, const std::stop_token& stop) {
  Reader reader = streamOf().reader({.offset = delivery.place().offset, .live = options_.live});
  if (state_.state() != SourceState::connected) state_.to(SourceState::connected, "reads the stream");
  state_.to(SourceState::streaming, "follows the stream");
  while (waitWhilePaused(SourceState::streaming, stop)) {
    try {
      if (!readOn(reader, delivery, backoff, stop)) return;
    } catch (const StreamError& e) {
      if (isGone(e) || e.status() == 400) refuse(e, true);
      if (!waitToRetry(e, backoff, state_, *scheduler_, stop)) return;
      state_.to(SourceState::connected, "asks again");
      state_.to(SourceState::streaming, "follows the stream");
    }
  }
}

/// @return false: stopped.
bool SourceCore::readOn(Reader& reader, StreamDelivery& delivery, Backoff& backoff, const std::stop_token& stop) {
  const std::uint64_t before = reader.stats().reconnects + reader.stats().retries;
  const auto chunk = reader.next(kLook, stop);
  if (reader.stats().reconnects + reader.stats().retries != before) {
    state_.to(SourceState::reconnecting, "the event stream ended");
    state_.to(SourceState::connected, "asks again");
    state_.to(SourceState::streaming, "follows the stream");
  }
  if (chunk) {
    if (!delivery.take(*chunk)) return false;
    backoff.reset();
    note(delivery, chunk->upToDate);
  }
  if (!reader.ended()) return true;
  if (context_.onWarning) {
    context_.onWarning(fmt::format("stream \"{}\" is closed: all of it was read, and nothing will follow", name_));
  }
  waitAtEnd(stop);
  return false;
}

void SourceCore::waitAtEnd(const std::stop_token& stop) {
  while (waitWhilePaused(SourceState::streaming, stop)) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, stop, [&] { return paused_; });
  }
}

void SourceCore::note(const StreamDelivery& delivery, bool upToDate) {
  const std::lock_guard lock(mutex_);
  upToDate_ = upToDate;
  lastCommitMicros_ = delivery.lastCommitMicros();
}

std::vector<std::vector<Value>> SourceCore::rowsOf(const std::string& table, const std::stop_token& stop) {
  requireStream(stop);
  const Shape shape = shapeOf(table);
  std::vector<std::vector<Value>> rows;
  EntityView view;
  const auto declared = std::find_if(options_.tables.begin(), options_.tables.end(),
                                     [&](const StreamTable& t) { return t.schema.table == table; });
  const bool events = !declared->fields.empty();
  StreamPlace at{.offset = std::string(kStreamStart)};
  MappedMessage mapped;
  streamOf().read(
      {.offset = at.offset},
      [&](Chunk&& chunk) {
        for (const std::string_view message : chunk.messages()) {
          if (!events) {
            view.take(message);
          } else {
            mapper_.map(message, {at, clock_->wallNow().count()}, {table}, mapped);
            for (ChangeEvent& event : mapped.events) rows.push_back(std::move(event.after));
          }
          ++at.number;
          ++at.skip;
        }
        at.offset = chunk.nextOffset;
        at.skip = 0;
        return true;
      },
      stop);
  const std::string& type = declared->type.empty() ? table : declared->type;
  for (const auto& [key, entity] : view.of(type).entities) {
    rowFromJson(shape->schema, entity.value, rows.emplace_back());
  }
  return rows;
}

void SourceCore::ack(const tidegate::Position& position) {
  const StreamPlace place = requirePlace(position);
  const std::lock_guard lock(mutex_);
  const auto known = parsePlace(acked_.octets);
  if (!known || comparePlaces(*known, place) == std::partial_ordering::less) acked_ = position;
}

tidegate::Position SourceCore::lastAcked() const {
  const std::lock_guard lock(mutex_);
  return acked_;
}

void SourceCore::setPaused(bool paused) {
  const std::lock_guard lock(mutex_);
  paused_ = paused;
  changed_.notify_all();
}

SourceLag SourceCore::lag() const {
  const std::lock_guard lock(mutex_);
  SourceLag lag;
  lag.time = std::chrono::milliseconds(0);
  if (!upToDate_ && lastCommitMicros_ != 0) {
    lag.time =
        std::chrono::milliseconds(std::max<std::int64_t>(0, (clock_->wallNow().count() - lastCommitMicros_) / 1'000));
  }
  return lag;
}

}  // namespace tidegate::durable_streams::detail
