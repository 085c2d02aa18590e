#include "source/detail/polling_feed.h"

#include <algorithm>
#include <utility>

namespace tidegate::detail {

void PollingFeed::flush() {
  if (batch_.empty()) return;
  for (;;) {
    if (!options_.mayDeliver()) {
      batch_.clear();
      throw Error(ErrorCode::queryCancelled, Retry::later, "stopped before all that was read was delivered");
    }
    Taken taken = Taken::full;
    try {
      taken = options_.handler(batch_);
    } catch (...) {
      readerFailure_ = std::current_exception();
      batch_.clear();
      options_.readerFailed();
      throw Error(ErrorCode::queryCancelled, Retry::later, "whoever reads the source failed");
    }
    if (taken == Taken::yes) break;
  }
  batch_.clear();
}

ChangeEvent& PollingFeed::begin(ChangeOp op, const std::string& table) {
  if (batch_.size() >= options_.batchEvents) flush();
  ++options_.place.event;
  options_.lastOf[table] = options_.place;
  ChangeEvent& event = batch_.add(op, options_.shapes.shapeOf(table));
  event.transactionBegin = event.transactionEnd = true;
  event.position.octets = toOctets(options_.place);
  event.commitMicros = options_.micros;
  return event;
}

void PollingFeed::border(ChangeOp op, const std::string& table) { begin(op, table); }

void PollingFeed::learn(const RowDelta& delta) {
  std::shared_ptr<const SchemaChange> key, columns;
  if (!keyKinds_.empty()) {
    const std::lock_guard lock(options_.shapesMutex);
    key = options_.shapes.learnKey(delta.table, std::exchange(keyKinds_, {}));
  }
  // The event shows the shape that it leads to, so each is made before the next one is learned.
  if (key) begin(ChangeOp::schemaChange, delta.table).schemaChange = key;
  {
    const std::lock_guard lock(options_.shapesMutex);
    columns = options_.shapes.learn(delta);
  }
  if (key || columns) options_.learned(delta.table);
  if (columns) begin(ChangeOp::schemaChange, delta.table).schemaChange = std::move(columns);
}

void PollingFeed::fromDelta(const RowDelta& delta) {
  // What was there before is not known: put it in by its key.
  ChangeEvent& event = begin(options_.baseline ? ChangeOp::read : ChangeOp::update, delta.table);
  options_.shapes.values(delta, event.after, event.unchanged);
}

void PollingFeed::fromImage(const RowDelta& delta, SeenRow image) {
  const auto fill = [&](const std::optional<Row>& row, std::vector<Value>& out, std::vector<std::uint32_t>& absent) {
    options_.shapes.values(delta.table, delta.rowId, row ? &*row : nullptr, out, absent);
  };
  if (!image.after) {
    ChangeEvent& event = begin(ChangeOp::erase, delta.table);
    return fill(image.before, event.before, event.beforeAbsent);
  }
  ChangeOp op = delta.op == DeltaOp::insert && !image.doubt ? ChangeOp::insert : ChangeOp::update;
  if (options_.baseline) op = ChangeOp::read;
  ChangeEvent& event = begin(op, delta.table);
  if (image.before) fill(image.before, event.before, event.beforeAbsent);
  fill(image.after, event.after, event.unchanged);
}

PushResult PollingFeed::push(const SyncPush& push) {
  for (const RowDelta& delta : push.deltas) {
    learn(delta);
    if (images_.empty()) {
      fromDelta(delta);
      continue;
    }
    fromImage(delta, std::move(images_.front()));
    images_.pop_front();
  }
  flush();
  PushResult result;
  result.applied = push.deltas.size();
  return result;
}

void PollingFeed::row(const std::string& table, const Columns& columns, std::vector<Value>& values) {
  const Shape& shape = options_.shapes.shapeOf(table);
  const bool known = columns->names() == shape->columns->names() &&
                     std::equal(values.begin(), values.end(), shape->schema.columns.begin(),
                                [](const Value& value, const ColumnSchema& column) {
                                  return value.isNull() || isOfType(column, value);
                                });
  if (!known) {
    RowDelta delta{.table = table};
    for (const std::string& key : shape->schema.primaryKey) {
      if (const auto at = columns->find(key)) keyKinds_.push_back(values[*at].kind());
    }
    for (std::size_t i = 0; i < values.size(); ++i) delta.columns.push_back({(*columns)[i], values[i]});
    learn(delta);
  }
  ChangeEvent& event = begin(ChangeOp::read, table);
  event.after.resize(event.shape->columns->size());
  std::vector<bool> has(event.after.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto at = event.shape->columns->find((*columns)[i]);
    if (!at) continue;
    event.after[*at] = std::move(values[i]);
    has[*at] = true;
  }
  for (std::uint32_t column = 0; column < has.size(); ++column) {
    if (!has[column]) event.unchanged.push_back(column);
  }
}

}  // namespace tidegate::detail
