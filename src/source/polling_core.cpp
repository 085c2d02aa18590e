#include "source/detail/polling_core.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "source/detail/later_reading.h"
#include "source/detail/poll_state.h"
#include "source/detail/polling_tables.h"

namespace tidegate::detail {
namespace {

/// Warnings of the pollers are the source's.
class PollingWarnings final : public PollObserver {
 public:
  explicit PollingWarnings(std::function<void(const std::string&)> warn) : warn_(std::move(warn)) {}
  void onWarning(const std::string&, const std::string& message) override {
    if (warn_) warn_(message);
  }

 private:
  std::function<void(const std::string&)> warn_;
};

bool lostConnection(const Error& e) {
  return e.code() == ErrorCode::connectionFailed || e.code() == ErrorCode::authenticationFailed;
}

constexpr std::uint64_t kMostEvents = (std::uint64_t{1} << 48) - 1;

}  // namespace

struct PollingCore::Runner {
  std::string table;
  std::unique_ptr<PollRunner> polls;
  std::optional<std::string> lastWarning{};
};

PollingCore::PollingCore(IngestSourceConfig given, PollingSourceOptions o)
    : config(std::move(given)),
      options(std::move(o)),
      staged_(options.state ? options.state : std::make_shared<MemoryStateStore>(), "polling/"),
      snapshots_(options.snapshots ? options.snapshots : memorySnapshotStore()),
      shapes_(options.schemas, "row_id") {
  validate(config);
  for (const TableSchema& schema : options.schemas) {
    const IngestTableConfig& table = tableOf(schema.table);
    if (schema.primaryKey != table.rowIdColumns) {
      throw Error(ErrorCode::invalidConfig, Retry::never,
                  fmt::format("source \"{}\", table \"{}\": the schema's primaryKey must be its rowIdColumns",
                              config.name, schema.table));
    }
  }
}

const IngestTableConfig& PollingCore::tableOf(const std::string& table) const {
  for (const IngestTableConfig& each : config.tables) {
    if (each.table == table) return each;
  }
  throw Error(ErrorCode::tableNotFound, Retry::never,
              fmt::format("source \"{}\" polls no table \"{}\": add it to its tables", config.name, table));
}

void PollingCore::init(const SourceContext& context) {
  context_ = context;
  if (context.clock != nullptr) clock_ = context.clock;
  if (context.scheduler != nullptr) scheduler_ = context.scheduler;
  stamps_ = std::make_unique<HlcClock>(*clock_);
  observer_ = std::make_shared<PollingWarnings>(context.onWarning);
  state.setListener(context.onState);
  {
    const std::lock_guard lock(mutex_);
    lastWhole_ = clock_->steadyNow();
  }
  readMeta();
  for (const IngestTableConfig& table : config.tables) {
    if (!std::holds_alternative<DiffStrategy>(table.strategy)) continue;
    const bool lasts = snapshots_.of(snapshotKey(config.name, table.table)).realOutlivesProcess();
    snapshotsLast_ = snapshotsLast_ && lasts;
  }
  beginEpoch();
  connect();
}

void PollingCore::connect() {
  if (state.state() == SourceState::closed) {
    throw Error(ErrorCode::stopped, Retry::never, "the source was closed: make another one");
  }
  if (state.state() == SourceState::error) state.to(SourceState::connecting, "trying again");
  if (state.state() != SourceState::connected) state.to(SourceState::connected, "connects with the first query");
}

bool PollingCore::resumes() const { return options.state != nullptr && snapshotsLast_; }

void PollingCore::readMeta() {
  const std::string key = staged_.realKey("place/" + config.name);
  const auto saved = staged_.store().get(key);
  if (!saved) {
    firstEpoch_ = place_.epoch =
        static_cast<std::uint64_t>(std::max<std::int64_t>(1, clock_->wallNow().count() / 1000));
    return;
  }
  const std::string_view octets(*saved);
  const auto first = placeFromOctets(octets.substr(0, 12));
  const auto last = octets.size() >= 24 ? placeFromOctets(octets.substr(12, 12)) : std::nullopt;
  const auto acked = octets.size() == 36 ? placeFromOctets(octets.substr(24)) : std::nullopt;
  if (!first || !last || (octets.size() != 24 && !acked)) {
    throw Error(ErrorCode::storeCorrupt, Retry::afterOperator,
                "the saved state \"" + key + "\" cannot be read: remove it, and take new baselines");
  }
  firstEpoch_ = first->epoch;
  place_ = *last;
  unknownBefore_ = PollingPlace{last->epoch, kMostEvents};
  flushed_ = acked;
  const std::lock_guard lock(mutex_);
  acked_ = acked;
}

void PollingCore::writeMeta() {
  std::string octets = toOctets({firstEpoch_, 0}) + toOctets({place_.epoch, 0});
  if (flushed_) octets += toOctets(*flushed_);
  staged_.store().put(staged_.realKey("place/" + config.name), octets);
}

void PollingCore::beginEpoch() {
  place_ = {place_.epoch + 1, 0};
  writeMeta();
}

void PollingCore::requirePlace(PollingPlace from) const {
  const char* reason = nullptr;
  if (from.epoch < firstEpoch_ || from > place_)
    reason = "it was given with other stores than these, which know nothing of it";
  else if (flushed_ && from < *flushed_)
    reason = "later changes were acknowledged, and what was known at that place is forgotten";
  if (reason == nullptr) return;
  throw Error(
      ErrorCode::positionLost, Retry::afterOperator,
      fmt::format("source \"{}\" cannot go on from {}: {}; take a new baseline", config.name, toText(from), reason));
}

void PollingCore::rewind(PollingPlace from, const std::vector<std::string>& tables) {
  std::map<std::string, const IngestTableConfig*> byKey;
  for (const std::string& table : tables) {
    const std::string key = stateKey(config.name, table);
    byKey[key] = &tableOf(table);
    (void)staged_.get(key);  // takes part only once it is read
  }
  const auto deliveredSince = [&](std::string_view key, PollingPlace since) {
    const auto table = byKey.find(std::string(key));
    if (table == byKey.end()) return true;
    if (unknownBefore_ && since < *unknownBefore_) return true;
    const auto last = lastOf_.find(table->second->table);
    return last != lastOf_.end() && last->second > since;
  };
  const auto weaken = [&](std::string_view key, std::string_view octets) {
    const auto table = byKey.find(std::string(key));
    if (table == byKey.end()) return std::string(octets);
    const std::uint64_t hash = configHash(*table->second);
    DecodedState saved = decodeState(octets, hash);
    return saved.problem.empty() ? encodeState(saved.state, hash, false) : std::string(octets);
  };
  staged_.rewind(from, deliveredSince, weaken);
  snapshots_.forEach([&](StagedSnapshot& snapshot) { snapshot.rewind(from); });
}

void PollingCore::flush() {
  const auto place = acked();
  if (!place || (flushed_ && *place <= *flushed_)) return;
  snapshots_.forEach([&](StagedSnapshot& snapshot) { snapshot.flush(*place); });
  staged_.flush(*place);
  flushed_ = place;
  writeMeta();
}

void PollingCore::delivered() {
  staged_.at(place_);
  snapshots_.forEach([&](StagedSnapshot& snapshot) { snapshot.at(place_); });
}

PollingFeed PollingCore::makeFeed(const ChangeHandler& handler, bool baseline, std::stop_source& polls,
                                  const std::stop_token& stop) {
  const SourceState back = baseline ? SourceState::connected : SourceState::streaming;
  return PollingFeed({.handler = handler,
                      .shapes = shapes_,
                      .shapesMutex = shapesMutex_,
                      .place = place_,
                      .lastOf = lastOf_,
                      .batchEvents = std::max<std::size_t>(1, options.batchEvents),
                      .baseline = baseline,
                      .micros = clock_->wallNow().count(),
                      .mayDeliver = [this, back, stop] { return waitWhilePaused(back, stop); },
                      .readerFailed = [&polls] { polls.request_stop(); },
                      .learned = [this](const std::string& table) { saveColumns(table); }});
}

/// A table may be empty when the next process looks at it, and its rows' erases must still name their keys.
void PollingCore::saveColumns(const std::string& table) {
  const Shape shape = shapes_.shapeOf(table);
  staged_.store().put(staged_.realKey("columns/" + snapshotKey(config.name, table)),
                      encodeTable({shape->schema, shapes_.untyped(table)}));
}

std::unique_ptr<PollingCore::Runner> PollingCore::makeRunner(const std::string& table, PollingFeed& feed) {
  IngestSourceConfig one = config;
  one.tables = {tableOf(table)};
  const Shape shape = describe(table);
  const bool keysKnown = std::none_of(shape->key.begin(), shape->key.end(), [&](std::uint32_t column) {
    return shape->schema.columns[column].kind == ValueKind::null;
  });
  if (!keysKnown) {
    one.query = watchKeys(config.query, one.tables[0].rowIdColumns,
                          [&feed](const std::vector<ValueKind>& kinds) { feed.keyKinds(kinds); });
  }
  auto runner = std::make_unique<Runner>();
  runner->table = table;
  runner->polls = std::make_unique<PollRunner>(
      PollRunner::Options{.config = std::move(one),
                          .stamps = *stamps_,
                          .push =
                              [this, &feed](const SyncPush& push, PushContext) {
                                PushResult result = feed.push(push);
                                delivered();
                                return result;
                              },
                          .clock = *clock_,
                          .state = std::shared_ptr<StateStore>(std::shared_ptr<void>(), &staged_),
                          .snapshots = std::shared_ptr<SnapshotStore>(std::shared_ptr<void>(), &snapshots_),
                          .observer = observer_,
                          .images = [&feed](SeenRow image) { feed.image(std::move(image)); }});
  return runner;
}

Shape PollingCore::knownShape(const std::string& table) const {
  const std::lock_guard lock(shapesMutex_);
  return shapes_.find(table);
}

Shape PollingCore::describe(const std::string& table) {
  if (Shape known = knownShape(table)) return known;
  LearnedTable learned = learnTable(config.query, tableOf(table), options.learnRows, {});
  if (const auto saved = staged_.store().get(staged_.realKey("columns/" + snapshotKey(config.name, table)))) {
    recall(decodeTable(*saved), learned);
  }
  {
    const std::lock_guard lock(shapesMutex_);
    shapes_.set(std::move(learned.schema), std::move(learned.untyped));
  }
  saveColumns(table);
  return knownShape(table);
}

std::string PollingCore::readyKey(const std::string& table) const {
  return staged_.realKey("ready/" + snapshotKey(config.name, table));
}

/// The first time the poller itself reads the table: that is where its cursor, or its picture, begins.
void PollingCore::firstBaseline(const std::string& table, PollingFeed& feed, const std::stop_token& polls) {
  staged_.remove(stateKey(config.name, table));
  StagedSnapshot* snapshot = nullptr;
  if (std::holds_alternative<DiffStrategy>(tableOf(table).strategy)) {
    snapshot = &snapshots_.of(snapshotKey(config.name, table));
    snapshot->clear();
    snapshot->setDirect(true);
  }
  const auto runner = makeRunner(table, feed);
  PollGuard guard;
  const std::atomic<bool> never{false};
  const PollReport report = runner->polls->poll({guard, polls, never}, never);
  if (snapshot != nullptr) snapshot->setDirect(false);
  if (feed.readerFailure()) std::rethrow_exception(feed.readerFailure());
  if (report.tables.empty()) throw Error(ErrorCode::queryCancelled, Retry::later, "the baseline was stopped");
  if (report.tables[0].error) throw Error(*report.tables[0].error);
}

/// Read beside the picture of a diff-polled table, at another moment.
void PollingCore::laterBaseline(const std::string& table, PollingFeed& feed, const std::stop_token& polls) {
  const IngestTableConfig& polled = tableOf(table);
  std::optional<LaterReading> reading;
  if (std::holds_alternative<DiffStrategy>(polled.strategy)) {
    reading.emplace(snapshots_.of(snapshotKey(config.name, table)), polled.rowIdColumns);
  }
  readWholeTable(config.query, polled, config.queryTimeout, polls,
                 [&](const Columns& columns, std::vector<Value>& row) {
                   if (reading) reading->row(columns, row);
                   feed.row(table, columns, row);
                 });
  if (reading) reading->finish();
}

Position PollingCore::baseline(const std::vector<std::string>& tables, const ChangeHandler& handler,
                               std::stop_token stop) {
  connect();
  flush();
  std::stop_source polls;
  const std::stop_callback forward(stop, [&] { polls.request_stop(); });
  PollingFeed feed = makeFeed(handler, true, polls, stop);
  try {
    for (const std::string& table : tables) {
      describe(table);
      feed.border(ChangeOp::baselineBegin, table);
      const bool ready = staged_.store().get(readyKey(table)).has_value();
      if (ready) {
        laterBaseline(table, feed, polls.get_token());
      } else {
        firstBaseline(table, feed, polls.get_token());
      }
      feed.border(ChangeOp::baselineEnd, table);
      feed.flush();
      delivered();
      if (!ready) staged_.store().put(readyKey(table), "1");
    }
  } catch (const Error& e) {
    if (feed.readerFailure()) std::rethrow_exception(feed.readerFailure());
    if (stop.stop_requested()) {
      throw Error(ErrorCode::queryCancelled, Retry::later, "the baseline was stopped; take a new one");
    }
    if (lostConnection(e)) state.to(SourceState::error, e.message());
    throw;
  }
  return {toOctets(place_)};
}

std::optional<Error> PollingCore::pollAll(Runners& runners, PollingFeed& feed, const std::stop_token& polls,
                                          bool& whole) {
  const std::atomic<bool> never{false};
  feed.setMicros(clock_->wallNow().count());
  for (const auto& runner : runners) {
    PollGuard guard;
    const PollReport report = runner->polls->poll({guard, polls, never}, never);
    if (feed.readerFailure()) std::rethrow_exception(feed.readerFailure());
    whole = whole && !report.tables.empty() && report.ok();
    if (polls.stop_requested()) return std::nullopt;
    if (report.ok()) {
      runner->lastWarning.reset();
      continue;
    }
    const Error& error = *report.tables[0].error;
    if (lostConnection(error)) return error;
    // Said once for each new failure; the schedule goes on (law 5.6).
    if (runner->lastWarning != error.message() && context_.onWarning) context_.onWarning(error.message());
    runner->lastWarning = error.message();
  }
  return std::nullopt;
}

void PollingCore::session(Runners& runners, PollingFeed& feed, const std::stop_token& polls,
                          const std::stop_token& stop) {
  const auto least = std::max<std::chrono::milliseconds>(config.interval, std::chrono::milliseconds(100));
  Backoff slower({.firstDelay = least, .maxDelay = std::max(least, config.maxBackoff), .maxRetries = UINT32_MAX},
                 context_.jitterSeed);
  Backoff reconnect(options.backoff, context_.jitterSeed);
  while (waitWhilePaused(SourceState::streaming, stop)) {
    if (state.state() != SourceState::streaming) {
      if (state.state() == SourceState::reconnecting) state.to(SourceState::connected, "trying again");
      state.to(SourceState::streaming, "polls");
    }
    flush();
    const auto began = clock_->steadyNow();
    bool whole = true;
    if (const auto failure = pollAll(runners, feed, polls, whole)) {
      if (!waitToRetry(*failure, reconnect, state, *scheduler_, stop)) return;
      continue;
    }
    if (stop.stop_requested()) return;
    reconnect.reset();
    if (whole) {
      slower.reset();
      const std::lock_guard lock(mutex_);
      lastWhole_ = began;
    }
    waitForNext(whole ? config.interval : *slower.next(), stop);
  }
}

void PollingCore::stream(const std::vector<std::string>& tables, PollingPlace from, const ChangeHandler& handler,
                         std::stop_token stop) {
  connect();
  std::stop_source polls;
  const std::stop_callback forward(stop, [&] {
    polls.request_stop();
    wake();
  });
  PollingFeed feed = makeFeed(handler, false, polls, stop);
  try {
    flush();
    requirePlace(from);
    rewind(from, tables);
    beginEpoch();
    delivered();
    Runners runners;
    for (const std::string& table : tables) runners.push_back(makeRunner(table, feed));
    session(runners, feed, polls.get_token(), stop);
  } catch (const Error& e) {
    if (state.state() != SourceState::error) {
      const bool reader = feed.readerFailure() != nullptr;
      state.to(reader ? SourceState::connected : SourceState::error, reader ? "the reader failed" : e.message());
    }
    throw;
  } catch (...) {
    state.to(SourceState::connected, "the reader failed");
    throw;
  }
  if (state.state() != SourceState::reconnecting) state.to(SourceState::connected, "stopped");
}

bool PollingCore::waitWhilePaused(SourceState back, const std::stop_token& stop) {
  {
    const std::lock_guard lock(mutex_);
    if (!paused_) return !stop.stop_requested();
  }
  if (stop.stop_requested()) return false;
  state.to(SourceState::paused, "paused");
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, stop, [&] { return !paused_; });
  }
  if (stop.stop_requested()) return false;
  state.to(back, "resumed");
  return true;
}

void PollingCore::waitForNext(std::chrono::microseconds time, const std::stop_token& stop) {
  const auto end = clock_->steadyNow() + time;
  for (;;) {
    std::stop_token woken;
    {
      const std::lock_guard lock(mutex_);
      if (paused_ || stop.stop_requested()) return;
      if (wakeUp_.stop_requested()) wakeUp_ = std::stop_source();
      woken = wakeUp_.get_token();
    }
    // After the token: an acknowledgement from here on ends the wait.
    flush();
    const auto left = end - clock_->steadyNow();
    if (left.count() <= 0 || scheduler_->waitFor(left, woken)) return;
  }
}

void PollingCore::wake() {
  std::stop_source waiting;
  {
    const std::lock_guard lock(mutex_);
    waiting = wakeUp_;
  }
  waiting.request_stop();
}

void PollingCore::ack(PollingPlace place) {
  {
    const std::lock_guard lock(mutex_);
    if (acked_ && *acked_ >= place) return;
    acked_ = place;
  }
  wake();
}

std::optional<PollingPlace> PollingCore::acked() const {
  const std::lock_guard lock(mutex_);
  return acked_;
}

void PollingCore::setPaused(bool paused) {
  {
    const std::lock_guard lock(mutex_);
    paused_ = paused;
  }
  changed_.notify_all();
  wake();
}

SourceLag PollingCore::lag() const {
  const std::lock_guard lock(mutex_);
  SourceLag lag;
  lag.time = std::chrono::duration_cast<std::chrono::milliseconds>(clock_->steadyNow() - lastWhole_);
  return lag;
}

}  // namespace tidegate::detail
