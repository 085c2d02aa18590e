#include "engine/detail/router.h"

#include <algorithm>
#include <utility>

#include "engine/detail/row_router.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace {

bool isMarker(ChangeOp op) {
  return op == ChangeOp::schemaChange || op == ChangeOp::baselineBegin || op == ChangeOp::baselineEnd;
}

bool isRow(ChangeOp op) {
  return op == ChangeOp::insert || op == ChangeOp::update || op == ChangeOp::erase || op == ChangeOp::read;
}

/// An old change as its table is now, by the columns' names. What the table got since is unknown to an update, and null
/// in a row that is new. @throws Error{invalidArgument} where the key is another one.
ChangeEvent inShape(const ChangeEvent& event, const Shape& shape) {
  const TableShape& old = *event.shape;
  ChangeEvent made = event;
  made.shape = shape;
  const std::size_t columns = shape->columns->size();
  made.before.assign(event.before.empty() ? 0 : columns, Null{});
  made.after.assign(event.after.empty() ? 0 : columns, Null{});
  made.unchanged.clear();
  made.beforeAbsent.clear();
  const auto holds = [](const std::vector<std::uint32_t>& list, std::size_t column) {
    return std::binary_search(list.begin(), list.end(), static_cast<std::uint32_t>(column));
  };
  for (std::uint32_t i = 0; i < columns; ++i) {
    const auto from = old.columns->find((*shape->columns)[i]);
    if (!from && std::find(shape->key.begin(), shape->key.end(), i) != shape->key.end()) {
      throw Error(ErrorCode::invalidArgument, Retry::afterOperator,
                  "table \"" + shape->schema.table + "\" has another key since; reload the table and purge the letter");
    }
    if (!made.before.empty()) {
      if (from) made.before[i] = event.before[*from];
      if (!from || holds(event.beforeAbsent, *from)) made.beforeAbsent.push_back(i);
    }
    if (made.after.empty()) continue;
    if (from) made.after[i] = event.after[*from];
    const bool isNew = event.op == ChangeOp::insert || event.op == ChangeOp::read;
    if (from ? holds(event.unchanged, *from) : !isNew) made.unchanged.push_back(i);
  }
  return made;
}

}  // namespace

void Router::streamBegins(const Position& seen) {
  drop_.streamBegins(seen);
  passGates({});
}

void Router::baselineBegins(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    RouteTable* table = tables_.find(name);
    if (table == nullptr) continue;
    table->now.phase = TablePhase::copying;
    table->now.from = {};
  }
  tables_.changed = true;
}

void Router::baselineEnds(const std::vector<std::string>& names, const Position& from) {
  for (const std::string& name : names) {
    RouteTable* table = tables_.find(name);
    // Asked for anew meanwhile: it stays so.
    if (table == nullptr || table->now.phase == TablePhase::wanted) continue;
    table->now.phase = table->now.phase == TablePhase::copied ? TablePhase::ready : TablePhase::carried;
    if (drop_.judges() || table->now.phase == TablePhase::carried) table->now.from = from;
  }
  tables_.changed = true;
}

void Router::want(RouteTable& table) {
  table.now.phase = TablePhase::wanted;
  table.now.from = {};
  tables_.changed = true;
  wanted_ = true;
}

void Router::passGates(const Position& position) {
  gates_ = 0;
  for (RouteTable& table : tables_.all()) {
    if (table.now.from.empty()) continue;
    if (!position.empty() && drop_.atOrBefore(table.now.from, position)) {
      table.now.from = table.durable.from = {};
      tables_.stale = true;
    } else {
      gates_ += drop_.judges() ? 1 : 0;
    }
  }
}

/// Whether every event can be used as it is but for its shape, or left out. Looks only.
bool Router::fitsInPlace(const RouteInput& input, const Piece& piece) {
  if (!piece.source_.alone() || !drop_.passed() || gates_ > 0) return false;
  const TableShape* last = nullptr;
  const RouteTables::Lookup* found = nullptr;
  const ChangeBatch& events = piece.source_->events;
  for (std::size_t i = input.first; i < input.last; ++i) {
    const ChangeEvent& event = events[i];
    if (event.op == ChangeOp::progress) continue;
    if (event.shape.get() != last) {
      last = event.shape.get();
      found = tables_.known(event.shape);
      if (found == nullptr) return false;
      if (found->table != nullptr &&
          (found->plan != found->table->plan || !found->table->prepared || !found->plan->plain()))
        return false;
    }
    if (found->table == nullptr) continue;
    if (isMarker(event.op)) return false;
    if (event.op == ChangeOp::update && keyChanged(event)) return false;
  }
  return true;
}

void Router::routeInPlace(const RouteInput& input, Piece& piece) {
  SharedBatch& batch = *piece.source_;
  ChangeBatch& events = batch.events;
  if (batch.shapes.size() < events.size()) batch.shapes.resize(events.size());
  const TableShape* last = nullptr;
  const RouteTables::Lookup* found = nullptr;
  std::size_t kept = 0;
  for (std::size_t i = input.first; i < input.last; ++i) {
    ChangeEvent& event = events[i];
    if (event.op == ChangeOp::progress) continue;
    if (event.shape.get() != last) {
      last = event.shape.get();
      found = tables_.known(event.shape);
    }
    if (event.transactionBegin) beginLost_ = true;
    const bool ends = event.transactionEnd;
    if (found->table == nullptr || leftOut(*found->table, event, input.baseline)) {
      if (ends && !beginLost_ && kept > 0) events[kept - 1].transactionEnd = true;
      if (ends) beginLost_ = false;
      continue;
    }
    count(*found->table, event, false);
    event.transactionBegin = std::exchange(beginLost_, false);
    if (kept != i) std::swap(events[kept], event);
    if (batch.shapes[kept] != found->plan->target) batch.shapes[kept] = found->plan->target;
    events[kept].shape.swap(batch.shapes[kept]);
    ++kept;
  }
  while (events.size() > kept) events.dropLast();
  piece.inPlace_ = piece.shown_ = true;
}

void Router::routeByCopy(const RouteInput& input, Piece& piece) {
  const ChangeBatch& events = piece.source_->events;
  piece.own_ = pool_.take();
  piece.own_->bytes = piece.source_->bytes;
  std::size_t i = input.first;
  if (!input.baseline) i = drop_.firstNew(events, input.first, input.last);
  for (; i < input.last; ++i) {
    if (events[i].op == ChangeOp::progress || (!input.baseline && drop_.isOld(events[i]))) continue;
    const std::size_t before = piece.own_->events.size();
    routeOne(input, i, piece);
    keepBorders(events[i], before, piece);
    piece.origins_.resize(piece.own_->events.size(), static_cast<std::uint32_t>(i));
  }
}

void Router::route(const RouteInput& input, Piece& piece) {
  nowMicros_ = clock_.wallNow().count();
  if (fitsInPlace(input, piece))
    routeInPlace(input, piece);
  else
    routeByCopy(input, piece);
}

/// Where a filter takes a transaction's first or last change away, its neighbour takes over the mark.
void Router::keepBorders(const ChangeEvent& event, std::size_t sizeBefore, Piece& piece) {
  if (event.transactionBegin) beginLost_ = true;
  const bool added = piece.own_->events.size() > sizeBefore;
  if (added) {
    for (std::size_t i = sizeBefore; i < piece.own_->events.size(); ++i) {
      piece.own_->events[i].transactionBegin = piece.own_->events[i].transactionEnd = false;
    }
    piece.own_->events[sizeBefore].transactionBegin = beginLost_;
    beginLost_ = false;
  }
  if (!event.transactionEnd) return;
  // A begin that is still lost means that nothing of the transaction was kept.
  if (!beginLost_ && !piece.own_->events.empty())
    piece.own_->events[piece.own_->events.size() - 1].transactionEnd = true;
  beginLost_ = false;
}

void Router::routeOne(const RouteInput& input, std::size_t at, Piece& piece) {
  const ChangeEvent& event = piece.source_->events[at];
  const RouteTables::Lookup found = tables_.lookup(event.shape);
  if (found.table == nullptr || leftOut(*found.table, event, input.baseline)) return;
  RouteTable& table = *found.table;
  if (found.plan != table.plan || event.op == ChangeOp::schemaChange) follow(table, found.plan, event, piece);
  if (!table.prepared) {
    piece.prepare.push_back(table.plan->target);
    table.prepared = true;
  }
  if (event.op == ChangeOp::schemaChange) return;
  if (isMarker(event.op)) {
    if (!marker(table, event, input.baseline)) return;
  }
  if (isRow(event.op)) return routeChange(table, *table.plan, at, piece);
  ChangeEvent& made = piece.own_->events.add(event.op, table.plan->target);
  made.position = event.position;
  made.commitMicros = event.commitMicros;
  made.transactionId = event.transactionId;
  count(table, event, false);
}

void Router::routeChange(RouteTable& table, const TablePlan& plan, std::size_t at, Piece& piece) {
  const ChangeEvent& event = piece.source_->events[at];
  if (plan.ttlColumn && event.after.size() > *plan.ttlColumn) table.timeLike = event.after[*plan.ttlColumn];
  const std::size_t before = piece.own_->events.size();
  try {
    const RoutedRow routed = routeRow(plan, event, nowMicros_, piece.own_->events);
    count(table, event, routed.filtered);
    if (routed.needsReload || (routed.mayBeMissed && !table.warned)) {
      table.warned = true;
      observer_.onWarning(
          spec_.name, "table \"" + table.name +
                          "\": an update left columns out that the filter or a changed key needs; " +
                          (routed.needsReload ? "the table is read anew" : "rows may be missing until they change") +
                          ". Set REPLICA IDENTITY FULL on it");
    }
    if (routed.needsReload) want(table);
  } catch (const Error& e) {
    while (piece.own_->events.size() > before) piece.own_->events.dropLast();
    piece.faults.push_back({static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(before), e});
  } catch (const std::exception& e) {
    while (piece.own_->events.size() > before) piece.own_->events.dropLast();
    piece.faults.push_back(
        {static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(before),
         Error(ErrorCode::invalidArgument, Retry::never,
               "a map function of table \"" + table.name + "\" failed: " + redactSecrets(e.what()))});
  }
}

void Router::routeAlone(const ChangeEvent& event, ChangeBatch& out) {
  const RouteTables::Lookup found = tables_.lookup(event.shape);
  if (found.table == nullptr) {
    throw Error(ErrorCode::tableNotFound, Retry::afterOperator,
                "pipeline \"" + spec_.name + "\" has no table \"" + event.shape->schema.table + "\"; purge the letter");
  }
  nowMicros_ = clock_.wallNow().count();
  const std::size_t before = out.size();
  const Plan& now = found.table->plan ? found.table->plan : found.plan;
  const bool same = now->source->schema == event.shape->schema;
  routeRow(*now, same ? event : inShape(event, now->source), nowMicros_, out);
  if (out.size() == before) return;
  out[before].transactionBegin = true;
  out[out.size() - 1].transactionEnd = true;
}

bool Router::leftOut(const RouteTable& table, const ChangeEvent& event, bool baseline) const {
  const TablePhase phase = table.now.phase;
  if (baseline) return phase != TablePhase::copying;
  if (phase == TablePhase::wanted || phase == TablePhase::copying || phase == TablePhase::copied) return true;
  if (table.now.from.empty() || event.op == ChangeOp::read || event.op == ChangeOp::baselineBegin ||
      event.op == ChangeOp::baselineEnd)
    return false;
  return drop_.atOrBefore(event.position, table.now.from);
}

/// The table has another shape from here on: the sink is told what became of it, also where the source does not know.
void Router::follow(RouteTable& table, const Plan& plan, const ChangeEvent& event, Piece& piece) {
  const Plan old = std::exchange(table.plan, plan);
  if (table.now.shape != event.shape) {
    table.now.shape = event.shape;
    tables_.changed = true;
  }
  if (!old || old->source->schema == plan->source->schema) {
    // The same columns, and rows that no event brings: the table was made anew, or was not watched for a time.
    const bool unseen = event.op == ChangeOp::schemaChange && event.schemaChange && event.schemaChange->rowsChanged;
    if (unseen && spec_.reloadOnRowsChanged && table.now.phase == TablePhase::ready) want(table);
    return;
  }
  // Nobody saw what became of the rows unless the source says so.
  SchemaChange told{.before = old->source, .rowsChanged = true};
  if (event.op == ChangeOp::schemaChange && event.schemaChange && event.schemaChange->before)
    told = *event.schemaChange;
  observer_.onSchemaChange(spec_.name, table.name, told);
  if (const auto change = transformedChange(told, old.get(), *plan)) {
    if (!table.prepared) {
      piece.prepare.push_back(old->target);
      table.prepared = true;
    }
    ChangeEvent& made = piece.own_->events.add(ChangeOp::schemaChange, plan->target);
    made.position = event.position;
    made.commitMicros = event.commitMicros;
    made.transactionId = event.transactionId;
    made.schemaChange = change;
  }
  const bool baselined = event.op == ChangeOp::baselineBegin;
  if (told.rowsChanged && spec_.reloadOnRowsChanged && !baselined && table.now.phase == TablePhase::ready) want(table);
}

/// @return whether the sink is to be told.
bool Router::marker(RouteTable& table, const ChangeEvent& event, bool baseline) {
  if (event.op == ChangeOp::baselineBegin) {
    table.baselineRows = 0;
    observer_.onBaselineBegin(spec_.name, table.name);
    return true;
  }
  table.now.phase = baseline ? TablePhase::copied : TablePhase::ready;
  tables_.changed = true;
  if (tables_.hole && tables_.hole->tables.erase(table.name) > 0 && tables_.hole->tables.empty()) tables_.hole.reset();
  observer_.onBaselineEnd(spec_.name, table.name, table.baselineRows);
  return true;
}

void Router::count(RouteTable& table, const ChangeEvent& event, bool filtered) noexcept {
  if (isMarker(event.op)) return;
  if (event.op == ChangeOp::read)
    ++table.baselineRows;
  else
    ++table.changes;
  if (filtered) ++table.filtered;
}

}  // namespace tidegate::detail
