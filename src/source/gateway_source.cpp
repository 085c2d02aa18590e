#include "tidegate/source/gateway_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "source/detail/delta_shapes.h"

namespace tidegate {
namespace {

/// A place in the gateway's log. `step` 1: a schemaChange before the entry that follows `stamp` was delivered too.
struct GatewayPlace {
  std::uint64_t stamp = 0;
  std::uint8_t step = 0;
  auto operator<=>(const GatewayPlace&) const = default;
};

Position toPosition(GatewayPlace place) {
  Position position;
  for (int shift = 56; shift >= 0; shift -= 8) position.octets.push_back(static_cast<char>(place.stamp >> shift));
  position.octets.push_back(static_cast<char>(place.step));
  return position;
}

std::optional<GatewayPlace> toPlace(const Position& position) {
  if (position.octets.size() != 9) return std::nullopt;
  GatewayPlace place;
  for (std::size_t i = 0; i < 8; ++i) place.stamp = place.stamp << 8 | static_cast<std::uint8_t>(position.octets[i]);
  place.step = static_cast<std::uint8_t>(position.octets[8]);
  return place;
}

GatewayPlace requireGatewayPlace(const Position& position) {
  if (const auto place = toPlace(position)) return *place;
  throw Error(ErrorCode::invalidArgument, Retry::never,
              position.empty() ? "an empty position says nothing: take a baseline first"
                               : "this is not a position of a GatewaySource");
}

}  // namespace

struct GatewaySource::Impl {
  Impl(Gateway& g, GatewaySourceOptions o)
      : gateway(g), options(std::move(o)), shapes(options.schemas, options.rowIdColumn) {}

  Shape shapeOf(const std::string& table) const {
    const std::lock_guard lock(mutex);
    return shapes.find(table);
  }
  void requireOpen();
  /// Learns the columns of tables of which nothing is known yet, from a snapshot.
  void learnTables(const std::vector<std::string>& tables);
  void wake();
  bool waitWhilePaused(SourceState back, const std::stop_token& stop);
  /// Waits for a commit after `from`, for a stop, or for `wake`.
  void waitForNews(std::uint64_t from, const std::stop_token& stop);
  bool offer(ChangeBatch& batch, const ChangeHandler& handler, SourceState back, const std::stop_token& stop);
  void session(const std::set<std::string>& tables, GatewayPlace at, const ChangeHandler& handler,
               const std::stop_token& stop);
  /// Adds what one delta says; `at` is the place before it.
  void add(const RowDelta& delta, ChangeOp op, GatewayPlace before, GatewayPlace after, ChangeBatch& batch);
  PullResult pull(std::uint64_t since);

  Gateway& gateway;
  const GatewaySourceOptions options;
  SourceContext context;
  const Clock* clock = &systemClock();
  SourceStateMachine state;

  mutable std::mutex mutex;
  std::condition_variable_any changed;
  // guarded by mutex
  detail::DeltaShapes shapes;
  bool paused = false;
  Subscription* bell = nullptr;  ///< rings at the next commit, while the stream waits
  std::optional<GatewayPlace> delivered;
  Position acked;
};

void GatewaySource::Impl::requireOpen() {
  if (state.state() == SourceState::closed) {
    throw Error(ErrorCode::stopped, Retry::never, "the source was closed: make another one");
  }
  if (state.state() == SourceState::error) state.to(SourceState::connecting, "trying again");
  if (state.state() != SourceState::connected) state.to(SourceState::connected, "reads the gateway in process");
}

void GatewaySource::Impl::learnTables(const std::vector<std::string>& tables) {
  std::set<std::string> unknown;
  for (const std::string& table : tables) {
    if (!shapeOf(table)) unknown.insert(table);
  }
  if (unknown.empty()) return;
  GatewaySnapshot snapshot = gateway.snapshot(options.claims);
  for (RowDelta row; snapshot.next(row);) {
    if (!unknown.contains(row.table)) continue;
    const std::lock_guard lock(mutex);
    shapes.learn(row);
  }
}

void GatewaySource::Impl::wake() {
  const std::lock_guard lock(mutex);
  if (bell != nullptr) bell->close();
  changed.notify_all();
}

bool GatewaySource::Impl::waitWhilePaused(SourceState back, const std::stop_token& stop) {
  {
    const std::lock_guard lock(mutex);
    if (!paused) return !stop.stop_requested();
  }
  state.to(SourceState::paused, "paused");
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, stop, [&] { return !paused; });
  }
  if (stop.stop_requested()) return false;
  state.to(back, "resumed");
  return true;
}

void GatewaySource::Impl::waitForNews(std::uint64_t from, const std::stop_token& stop) {
  // A fallback only: commits, stops and `wake` ring the bell.
  constexpr std::chrono::seconds kLongest{10};
  Subscription news =
      gateway.subscribe({.clientId = options.clientId, .sinceHlc = Hlc{from}, .maxBatch = 1}, options.claims);
  {
    const std::lock_guard lock(mutex);
    if (paused) return;
    bell = &news;
  }
  // Subscribed at 0 it hears only of what comes from now on: what came before is there to be pulled.
  const bool missed = from == 0 && gateway.stats().lastHlc.raw != 0;
  const std::stop_callback stopped(stop, [&] { news.close(); });
  if (!missed && !stop.stop_requested()) news.next(kLongest);
  const std::lock_guard lock(mutex);
  bell = nullptr;
}

bool GatewaySource::Impl::offer(ChangeBatch& batch, const ChangeHandler& handler, SourceState back,
                                const std::stop_token& stop) {
  const auto last = toPlace(batch.back().position);
  do {
    if (!waitWhilePaused(back, stop)) return false;
  } while (handler(batch) == Taken::full);
  if (back == SourceState::streaming) {
    const std::lock_guard lock(mutex);
    delivered = last;
  }
  batch.clear();
  return true;
}

void GatewaySource::Impl::add(const RowDelta& delta, ChangeOp op, GatewayPlace before, GatewayPlace after,
                              ChangeBatch& batch) {
  const std::lock_guard lock(mutex);
  const auto micros = static_cast<std::int64_t>(Hlc{after.stamp}.millis()) * 1'000;
  const auto begin = [&](ChangeOp what, GatewayPlace place) -> ChangeEvent& {
    ChangeEvent& event = batch.add(what, shapes.shapeOf(delta.table));
    event.transactionBegin = event.transactionEnd = true;
    event.position = toPosition(place);
    event.commitMicros = micros;
    return event;
  };
  if (auto change = shapes.learn(delta)) begin(ChangeOp::schemaChange, before).schemaChange = std::move(change);
  ChangeEvent& event = begin(op, after);
  if (op == ChangeOp::erase) {
    shapes.values(delta, event.before, event.beforeAbsent);
  } else {
    shapes.values(delta, event.after, event.unchanged);
    if (op != ChangeOp::update) event.unchanged.clear();
  }
}

PullResult GatewaySource::Impl::pull(std::uint64_t since) {
  PullResult page = gateway.handlePull(
      {.clientId = options.clientId, .sinceHlc = Hlc{since}, .maxDeltas = options.batchEvents, .stamps = true},
      options.claims);
  if (page.mustResync) {
    throw Error(ErrorCode::positionLost, Retry::afterOperator,
                "the gateway cannot go on from " + std::to_string(since) + ": " + page.reason);
  }
  return page;
}

void GatewaySource::Impl::session(const std::set<std::string>& tables, GatewayPlace at, const ChangeHandler& handler,
                                  const std::stop_token& stop) {
  ChangeBatch batch;
  std::uint64_t since = at.stamp;
  while (waitWhilePaused(SourceState::streaming, stop)) {
    if (state.state() == SourceState::connected) state.to(SourceState::streaming, "follows the log");
    const PullResult page = pull(since);
    for (std::size_t i = 0; i < page.deltas.size(); ++i) {
      const RowDelta& delta = page.deltas[i];
      const std::uint64_t stamp = page.stamps[i].raw;
      if (tables.contains(delta.table)) {
        const ChangeOp op = delta.op == DeltaOp::insert  ? ChangeOp::insert
                            : delta.op == DeltaOp::erase ? ChangeOp::erase
                                                         : ChangeOp::update;
        add(delta, op, {since, 1}, {stamp, 0}, batch);
      }
      since = stamp;
    }
    if (batch.empty() && page.serverHlc.raw > at.stamp) {
      ChangeEvent& progress = batch.add(ChangeOp::progress, nullptr);
      progress.transactionBegin = progress.transactionEnd = true;
      progress.position = toPosition({page.serverHlc.raw, 0});
    }
    since = std::max(since, page.serverHlc.raw);
    at.stamp = since;
    if (!batch.empty()) {
      if (!offer(batch, handler, SourceState::streaming, stop)) return;
    } else if (!page.hasMore) {
      waitForNews(since, stop);
    }
  }
}

GatewaySource::GatewaySource(Gateway& gateway, GatewaySourceOptions options)
    : impl_(std::make_unique<Impl>(gateway, std::move(options))) {}
GatewaySource::~GatewaySource() = default;

void GatewaySource::init(const SourceContext& context) {
  impl_->context = context;
  if (context.clock != nullptr) impl_->clock = context.clock;
  impl_->state.setListener(context.onState);
  impl_->requireOpen();
}

std::vector<TableIssue> GatewaySource::validateTables(const std::vector<std::string>& tables) {
  std::vector<TableIssue> found;
  impl_->learnTables(tables);
  for (const std::string& table : tables) {
    const Shape shape = impl_->shapeOf(table);
    if (!shape) {
      found.push_back({table, ErrorCode::tableNotFound,
                       "the gateway has no row of table \"" + table + "\": give its schema in `schemas`", true});
      continue;
    }
    for (const std::uint32_t column : shape->key) {
      if (detail::DeltaShapes::readable(shape->schema.columns[column].kind)) continue;
      found.push_back({table, ErrorCode::typeUnsupported,
                       fmt::format("table \"{}\": key column \"{}\" is {}, which cannot be read back from a row id: "
                                   "declare it as text",
                                   table, (*shape->columns)[column], toString(shape->schema.columns[column].kind)),
                       true});
    }
  }
  return found;
}

Shape GatewaySource::describeTable(const std::string& table) {
  impl_->learnTables({table});
  if (Shape shape = impl_->shapeOf(table)) return shape;
  throw Error(ErrorCode::tableNotFound, Retry::afterOperator,
              "the gateway has no row of table \"" + table + "\": give its schema in `schemas`");
}

Position GatewaySource::baseline(const std::vector<std::string>& tables, const ChangeHandler& handler,
                                 std::stop_token stop) {
  impl_->requireOpen();
  impl_->learnTables(tables);
  GatewaySnapshot snapshot = impl_->gateway.snapshot(impl_->options.claims, impl_->options.clientId);
  const GatewayPlace at{snapshot.serverHlc().raw, 0};
  ChangeBatch batch;
  const auto flush = [&](std::size_t atLeast) {
    if (batch.size() < atLeast || batch.empty()) return;
    if (!impl_->offer(batch, handler, SourceState::connected, stop)) {
      throw Error(ErrorCode::queryCancelled, Retry::later, "the baseline was stopped; take a new one");
    }
  };
  const auto border = [&](ChangeOp op, const std::string& table) {
    const std::lock_guard lock(impl_->mutex);
    ChangeEvent& event = batch.add(op, impl_->shapes.shapeOf(table));
    event.transactionBegin = event.transactionEnd = true;
    event.position = toPosition(at);
  };
  // The rows of several tables may come mixed.
  const std::set<std::string> wanted(tables.begin(), tables.end());
  for (const std::string& table : wanted) border(ChangeOp::baselineBegin, table);
  for (RowDelta row; snapshot.next(row);) {
    if (!wanted.contains(row.table)) continue;
    impl_->add(row, ChangeOp::read, at, at, batch);
    flush(impl_->options.batchEvents);
  }
  for (const std::string& table : wanted) border(ChangeOp::baselineEnd, table);
  flush(1);
  if (stop.stop_requested()) {
    throw Error(ErrorCode::queryCancelled, Retry::later, "the baseline was stopped; take a new one");
  }
  return toPosition(at);
}

void GatewaySource::stream(const std::vector<std::string>& tables, const Position& from, const ChangeHandler& handler,
                           std::stop_token stop) {
  const GatewayPlace at = requireGatewayPlace(from);
  impl_->requireOpen();
  impl_->learnTables(tables);
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->delivered = at;
  }
  try {
    impl_->session({tables.begin(), tables.end()}, at, handler, stop);
  } catch (const Error& e) {
    impl_->state.to(e.code() == ErrorCode::positionLost ? SourceState::error : SourceState::connected, e.message());
    throw;
  } catch (...) {
    impl_->state.to(SourceState::connected, "the reader failed");
    throw;
  }
  impl_->state.to(SourceState::connected, "stopped");
}

void GatewaySource::ack(const Position& position) {
  const GatewayPlace place = requireGatewayPlace(position);
  const std::lock_guard lock(impl_->mutex);
  const auto known = toPlace(impl_->acked);
  if (!known || *known < place) impl_->acked = position;
}

Position GatewaySource::lastAckedPosition() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->acked;
}

std::partial_ordering GatewaySource::comparePositions(const Position& a, const Position& b) const {
  const auto left = toPlace(a), right = toPlace(b);
  if (!left || !right) return a == b ? std::partial_ordering::equivalent : std::partial_ordering::unordered;
  return *left <=> *right;
}

Position GatewaySource::meet(const Position& a, const Position& b) const {
  return toPosition(std::min(requireGatewayPlace(a), requireGatewayPlace(b)));
}

std::string GatewaySource::positionToText(const Position& position) const {
  const GatewayPlace place = requireGatewayPlace(position);
  return fmt::format("{}{}", place.stamp, place.step == 0 ? "" : "+");
}

Position GatewaySource::positionFromText(std::string_view text) const {
  GatewayPlace place;
  std::string_view digits = text;
  if (digits.ends_with('+')) {
    place.step = 1;
    digits.remove_suffix(1);
  }
  if (const auto stamp = Hlc::parse(digits)) {
    place.stamp = stamp->raw;
    return toPosition(place);
  }
  throw Error(ErrorCode::parseError, Retry::never, fmt::format("\"{}\" is no stamp of a gateway's log", text));
}

void GatewaySource::pause() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->paused = true;
  }
  impl_->wake();
}

void GatewaySource::resume() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->paused = false;
  }
  impl_->wake();
}

SourceState GatewaySource::state() const { return impl_->state.state(); }

SourceLag GatewaySource::lag() const {
  std::uint64_t at = 0;
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->delivered) at = impl_->delivered->stamp;
  }
  SourceLag lag;
  lag.time = std::chrono::milliseconds(0);
  if (impl_->gateway.stats().lastHlc.raw <= at) {
    lag.bytes = 0;
  } else {
    const std::int64_t now = impl_->clock->wallNow().count() / 1'000;
    lag.time = std::chrono::milliseconds(std::max<std::int64_t>(0, now - static_cast<std::int64_t>(Hlc{at}.millis())));
  }
  return lag;
}

void GatewaySource::close() { impl_->state.to(SourceState::closed, "closed"); }

namespace {

/// A table's rows of a snapshot.
class SnapshotRows final : public RowStream {
 public:
  SnapshotRows(GatewaySnapshot snapshot, detail::DeltaShapes shapes, std::string table)
      : snapshot_(std::move(snapshot)), shapes_(std::move(shapes)), table_(std::move(table)) {}
  const Columns& columns() const override { return shapes_.find(table_)->columns; }
  bool next(std::vector<Value>& values) override {
    std::vector<std::uint32_t> absent;
    for (RowDelta row; snapshot_.next(row);) {
      if (row.table != table_) continue;
      shapes_.values(row, values, absent);
      return true;
    }
    return false;
  }

 private:
  GatewaySnapshot snapshot_;
  detail::DeltaShapes shapes_;
  std::string table_;
};

}  // namespace

std::unique_ptr<RowStream> GatewaySource::readTable(const std::string& table, std::stop_token) {
  GatewaySnapshot snapshot = impl_->gateway.snapshot(impl_->options.claims);
  const std::lock_guard lock(impl_->mutex);
  if (!impl_->shapes.find(table)) {
    throw Error(ErrorCode::tableNotFound, Retry::afterOperator,
                "the source has not read table \"" + table + "\" yet: describe it first");
  }
  return std::make_unique<SnapshotRows>(std::move(snapshot), impl_->shapes, table);
}

}  // namespace tidegate
