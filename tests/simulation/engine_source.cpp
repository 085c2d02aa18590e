#include "simulation/engine_source.h"

#include <algorithm>

#include "simulation/engine_rows.h"

namespace tidegate::sim {
namespace {

Position positionAt(const LogPlace& place) { return {placeText(place)}; }

}  // namespace

EngineSource::EngineSource(EngineDatabase& database, const EngineSourcePlan& plan,
                           std::shared_ptr<EngineProcess> process, AckCheck onAck)
    : database_(database),
      plan_(plan),
      process_(std::move(process)),
      world_(process_->world()),
      onAck_(std::move(onAck)) {}

void EngineSource::init(const SourceContext& context) {
  process_->enter(plan_.name, "init");
  scheduler_ = context.scheduler;
  state_.setListener(context.onState);
  maybeFail("init");
}

void EngineSource::maybeFail(const char* what) {
  if (!world_.faults || !world_.plan.sourceFaults || !world_.random.permille(15)) return;
  world_.trace.line(plan_.name, "{} fails", what);
  if (state_.state() != SourceState::error) state_.to(SourceState::error, what);
  throw Error(world_.random.chance(50) ? ErrorCode::connectionFailed : ErrorCode::queryFailed, Retry::later,
              fmt::format("{} fails, as simulated", what));
}

std::vector<TableIssue> EngineSource::validateTables(const std::vector<std::string>&) {
  process_->enter(plan_.name, "validateTables");
  return {};
}

Shape EngineSource::describeTable(const std::string& table) {
  process_->enter(plan_.name, "describeTable");
  const auto found = database_.find(table);
  if (!found) throw Error(ErrorCode::tableNotFound, Retry::afterOperator, "no table " + table);
  return database_.tables()[*found].shape;
}

void EngineSource::connect(const char* why) {
  if (state_.state() == SourceState::error) state_.to(SourceState::connecting, why);
  if (state_.state() != SourceState::connected) state_.to(SourceState::connected, why);
}

/// @return false if it was stopped before the batch was taken.
bool EngineSource::offer(ChangeBatch& batch, const ChangeHandler& handler, std::stop_token stop, bool baseline) {
  const LogPlace last = batch.empty() ? LogPlace{} : placeFromText(batch.back().position.octets);
  for (;;) {
    process_->enter(plan_.name, baseline ? "a batch of a baseline" : "a batch");
    if (handler(batch) == Taken::yes) break;
    if (stop.stop_requested()) return false;
    world_.tick();
  }
  batch.clear();
  if (baseline) return true;
  taken_ = last;
  world_.trace.line(plan_.name, "delivers up to {}", placeText(last));
  if (world_.mutation == EngineMutation::ackReceived) ack(positionAt(last));
  return true;
}

Position EngineSource::baseline(const std::vector<std::string>& tables, const ChangeHandler& handler,
                                std::stop_token stop) {
  process_->enter(plan_.name, "baseline");
  connect("baseline");
  database_.makeSlot();
  const LogPlace place = database_.end();
  std::vector<SourceTable> picture;
  for (const std::string& table : tables) picture.push_back(database_.tables()[*database_.find(table)]);
  world_.trace.line(plan_.name, "baseline of {} at {}", fmt::join(tables, ", "), placeText(place));
  ChangeBatch batch;
  const auto add = [&](ChangeOp op, const SourceTable& table) -> ChangeEvent& {
    ChangeEvent& event = batch.add(op, table.shape);
    event.position = positionAt(place);
    event.transactionBegin = event.transactionEnd = true;
    return event;
  };
  const auto flush = [&] {
    world_.tick();
    maybeFail("baseline");
    if (stop.stop_requested() || !offer(batch, handler, stop, true)) {
      throw Error(ErrorCode::queryCancelled, Retry::later, "stopped");
    }
  };
  for (const SourceTable& table : picture) {
    add(ChangeOp::baselineBegin, table);
    for (const auto& [key, row] : table.rows) {
      add(ChangeOp::read, table).after = row;
      if (world_.random.chance(25)) flush();
    }
    add(ChangeOp::baselineEnd, table);
    if (world_.random.chance(50)) flush();
  }
  if (!batch.empty()) flush();
  taken_.reset();
  return positionAt(world_.mutation == EngineMutation::baselineGap ? database_.end() : place);
}

/// Only from a place on that the log still has; an early start goes back a few transactions.
LogPlace EngineSource::startOf(const LogPlace& from) {
  if (!database_.has(from)) {
    if (!database_.lostByDrop(from)) {
      process_->fail("a stream never begins before what was acknowledged", "from " + placeText(from));
    }
    state_.to(SourceState::error, "the position is lost");
    throw Error(ErrorCode::positionLost, Retry::afterOperator, "the log no longer has what follows " + placeText(from));
  }
  if (!plan_.earlyStart) return from;
  LogPlace at = from;
  for (auto back = world_.random.below(4); back > 0 && at.transaction > 1; --back) {
    const LogPlace earlier{at.transaction - 1, database_.commit(at.transaction - 1).changes.size()};
    if (!database_.has(earlier)) break;
    at = earlier;
  }
  return at;
}

void EngineSource::stream(const std::vector<std::string>& tables, const Position& from, const ChangeHandler& handler,
                          std::stop_token stop) {
  process_->enter(plan_.name, "stream");
  connect("stream");
  maybeFail("stream");
  LogPlace at = startOf(placeFromText(from.octets));
  taken_ = placeFromText(from.octets);
  world_.trace.line(plan_.name, "streams from {}, asked for {}", placeText(at), from.octets);
  state_.to(SourceState::streaming, "stream");
  const std::set<std::string> wanted(tables.begin(), tables.end());
  ChangeBatch batch;
  while (!stop.stop_requested()) {
    world_.tick();
    if (interrupted(at, stop)) continue;
    const LogPlace next = fill(batch, at, wanted);
    if (batch.empty()) {
      waitIdle(stop);
      continue;
    }
    if (!offer(batch, handler, stop, false)) break;
    at = next;
    const bool border = at.changes == database_.commit(at.transaction).changes.size();
    if (plan_.bestEffort && border && world_.faults && world_.random.chance(5)) at = startOf(at);
  }
  if (state_.state() != SourceState::connected) state_.to(SourceState::connected, "stopped");
}

/// Handles what keeps a stream from going on. @return whether there was something.
bool EngineSource::interrupted(const LogPlace& at, std::stop_token stop) {
  if (paused_) {
    if (state_.state() == SourceState::streaming) state_.to(SourceState::paused, "asked to");
    waitIdle(stop);
    return true;
  }
  if (state_.state() == SourceState::paused) state_.to(SourceState::streaming, "asked to");
  maybeFail("the stream");
  if (!database_.has(at)) {
    state_.to(SourceState::error, "the slot is gone");
    throw Error(ErrorCode::positionLost, Retry::afterOperator, "the slot is gone");
  }
  if (!std::exchange(broken_, false)) return false;
  state_.to(SourceState::reconnecting, "the connection broke");
  waitIdle(stop);
  state_.to(SourceState::connected, "again");
  state_.to(SourceState::streaming, "again");
  return true;
}

void EngineSource::waitIdle(std::stop_token stop) {
  scheduler_->waitFor(std::chrono::milliseconds(world_.random.between(5, 200)), stop);
}

/// The next events, up to a size drawn anew each time. Transactions are split between batches as it comes.
LogPlace EngineSource::fill(ChangeBatch& batch, LogPlace at, const std::set<std::string>& tables) {
  batch.clear();
  const auto most = static_cast<std::size_t>(world_.random.between(1, 12));
  const LogPlace end = database_.end();
  while (at < end && batch.size() < most) {
    if (at.transaction == 0 || at.changes == database_.commit(at.transaction).changes.size()) {
      at = {at.transaction + 1, 0};
    }
    const SimCommit& commit = database_.commit(at.transaction);
    std::size_t first = commit.changes.size(), last = 0;
    for (std::size_t i = 0; i < commit.changes.size(); ++i) {
      if (!tables.contains(commit.changes[i].shape->schema.table)) continue;
      first = std::min(first, i), last = i;
    }
    const auto i = static_cast<std::size_t>(at.changes);
    at.changes = i + 1;
    const SimChange& change = commit.changes[i];
    if (!tables.contains(change.shape->schema.table)) continue;
    add(batch, change, at);
    batch.back().transactionBegin = i == first;
    batch.back().transactionEnd = i == last;
    batch.back().transactionId = at.transaction;
    batch.back().commitMicros = commit.micros;
  }
  // Nothing for these tables: the place moves on all the same.
  const bool border = at.transaction > 0 && at.changes == database_.commit(at.transaction).changes.size();
  if (border && (!taken_ || at > *taken_) &&
      (batch.empty() || (batch.back().transactionEnd && world_.random.chance(30)))) {
    batch.add(ChangeOp::progress, nullptr).position = positionAt(at);
  }
  return at;
}

/// Tells as much of the change as the table's replica identity allows.
void EngineSource::add(ChangeBatch& batch, const SimChange& change, const LogPlace& after) const {
  ChangeEvent& event = batch.add(change.op, change.shape);
  event.before = change.before;
  event.after = change.after;
  event.unchanged = change.unchanged;
  event.schemaChange = change.schema;
  event.position = positionAt(after);
  for (const std::uint32_t column : event.unchanged) event.after[column] = Null{};
  if (!plan_.keyImages || change.before.empty()) return;
  if (change.op == ChangeOp::update && !change.keyChanged) {
    event.before.clear();
    return;
  }
  const auto& key = change.shape->key;
  for (std::uint32_t i = 0; i < event.before.size(); ++i) {
    if (std::find(key.begin(), key.end(), i) != key.end()) continue;
    event.before[i] = Null{};
    event.beforeAbsent.push_back(i);
  }
}

void EngineSource::ack(const Position& position) {
  if (process_->dead()) return;
  process_->enter(plan_.name, "ack");
  const LogPlace place = placeFromText(position.octets);
  world_.trace.line(plan_.name, "is told that {} is durable", placeText(place));
  onAck_(*process_, place);
  database_.ack(place);
  process_->leave(plan_.name, "ack");
}

Position EngineSource::lastAckedPosition() const {
  const auto& acked = database_.acked();
  return acked ? positionAt(*acked) : Position{};
}

std::partial_ordering EngineSource::comparePositions(const Position& a, const Position& b) const {
  return placeFromText(a.octets) <=> placeFromText(b.octets);
}

Position EngineSource::meet(const Position& a, const Position& b) const {
  return positionAt(std::min(placeFromText(a.octets), placeFromText(b.octets)));
}

Position EngineSource::positionFromText(std::string_view text) const { return positionAt(placeFromText(text)); }

OrderingGuarantee EngineSource::orderingGuarantee() const {
  return plan_.bestEffort ? OrderingGuarantee::bestEffort : OrderingGuarantee::total;
}

std::unique_ptr<RowStream> EngineSource::readTable(const std::string& table, std::stop_token) {
  process_->enter(plan_.name, "readTable");
  const SourceTable& read = database_.tables()[*database_.find(table)];
  std::vector<std::vector<Value>> rows;
  for (const auto& [key, row] : read.rows) rows.push_back(row);
  return std::make_unique<SimRows>(read.shape->columns, std::move(rows));
}

SourceLag EngineSource::lag() const { return {}; }

void EngineSource::close() {
  if (!process_->enterQuietly(plan_.name, "close")) return;
  if (state_.state() != SourceState::closed) state_.to(SourceState::closed, "asked to");
}

}  // namespace tidegate::sim
