#include "tidegate/sink/memory_sink.h"

#include <algorithm>

#include "core/detail/packed.h"
#include "sink/detail/memory_state.h"

namespace tidegate {

namespace {

using detail::StagedUnit;
using detail::StoredTable;

Error misfit(const TableShape& shape, const std::string& what) {
  return {ErrorCode::invalidConfig, Retry::afterOperator, "memory table \"" + shape.schema.table + "\": " + what};
}

void checkRow(const TableShape& shape, const std::vector<Value>& row) {
  if (row.size() != shape.columns->size()) {
    throw Error(ErrorCode::invalidArgument, Retry::never,
                "memory table \"" + shape.schema.table + "\": a row has " + std::to_string(row.size()) +
                    " values for " + std::to_string(shape.columns->size()) + " columns");
  }
  for (const std::uint32_t i : shape.key) {
    if (!row[i].isNull()) continue;
    throw Error(ErrorCode::rowIdInvalid, Retry::never,
                "memory table \"" + shape.schema.table + "\": a row has no value in key column \"" +
                    (*shape.columns)[i] + "\"; a key must not be null");
  }
}

std::vector<std::string> keyAfter(const TableShape& before, const SchemaChange& change) {
  std::vector<std::string> names = before.schema.primaryKey;
  for (std::string& name : names) {
    const auto renamed = std::find_if(change.renamed.begin(), change.renamed.end(),
                                      [&](const auto& pair) { return pair.first == name; });
    if (renamed != change.renamed.end()) name = renamed->second;
  }
  return names;
}

}  // namespace

/// The writer's side, which only the sink's caller touches.
struct MemorySink::Writer {
  StagedUnit unit;
  std::optional<std::string> checkpoint;
  bool open = false;
};

MemorySink::MemorySink(MemorySinkOptions options) : impl_(std::make_shared<Impl>()), writer_(new Writer) {
  for (const MemoryIndex& index : options.indexes) {
    if (!index.table.empty() && !index.column.empty()) continue;
    throw Error(ErrorCode::invalidConfig, Retry::never, "memory sink: an index needs a table and a column");
  }
  impl_->options = std::move(options);
}

MemorySink::~MemorySink() = default;

std::size_t MemorySink::bytes() const {
  const auto lock = impl_->readLock();
  std::size_t sum = 0;
  for (const auto& [name, table] : impl_->tables) sum += table->bytes();
  return sum;
}

SinkTraits MemorySink::traits() const { return {.keepsCheckpoints = false, .applyNeverWaits = true}; }

std::optional<std::string> MemorySink::open(const SinkContext&) {
  writer_->unit.undo();
  writer_->open = true;
  return writer_->checkpoint;
}

MemorySink::Writer& MemorySink::writer() {
  if (writer_->open) return *writer_;
  throw Error(ErrorCode::connectionFailed, Retry::later, "memory sink: not open; call open first");
}

/// An empty table that nobody asked for yet does no harm, so it is made at once.
void MemorySink::makeTable(const Shape& shape) {
  if (shape->key.empty()) {
    throw misfit(*shape, "its source has no key, so changes would not say which row they mean; give it a primary key");
  }
  if (impl_->tables.contains(shape->schema.table)) return;
  auto table = std::make_unique<StoredTable>(shape, impl_->options.indexes);
  const auto lock = impl_->writeLock();
  impl_->tables.emplace(shape->schema.table, std::move(table));
}

void MemorySink::prepareTable(const Shape& shape) {
  Writer& w = writer();
  makeTable(shape);
  const StoredTable& table = impl_->table(shape->schema.table);
  const TableShape& held = *table.layout().shape();
  if (held.schema.primaryKey != shape->schema.primaryKey) {
    throw misfit(*shape, "its key is another than the source's; use another target, or a new sink");
  }
  const Shape next = detail::followedShape(held, shape, nullptr);
  if (next != nullptr && !table.layout().sameAs(detail::RowLayout(next))) {
    w.unit.schema(w.unit.target(*impl_, shape), nullptr);
  }
}

void MemorySink::apply(const ChangeBatch& batch) {
  Writer& w = writer();
  try {
    for (const ChangeEvent& event : batch) applyOne(event);
  } catch (...) {
    w.unit.undo();
    throw;
  }
}

void MemorySink::applyOne(const ChangeEvent& event) {
  StagedUnit& unit = writer_->unit;
  switch (event.op) {
    case ChangeOp::progress:
      return;
    case ChangeOp::erase:
      checkRow(*event.shape, event.before);
      return unit.erase(unit.target(*impl_, event.shape), event.before);
    case ChangeOp::insert:
    case ChangeOp::update:
    case ChangeOp::read:
      checkRow(*event.shape, event.after);
      return unit.row(unit.target(*impl_, event.shape), event);
    case ChangeOp::schemaChange: {
      const SchemaChange* change = event.schemaChange.get();
      if (change != nullptr && change->before && keyAfter(*change->before, *change) != event.shape->schema.primaryKey) {
        throw misfit(*event.shape, "its source has another key now; use another target, or a new sink");
      }
      makeTable(event.shape);
      return unit.schema(unit.target(*impl_, event.shape), event.schemaChange);
    }
    default:
      return unit.whole(event.op, unit.target(*impl_, event.shape));
  }
}

void MemorySink::commit(std::string_view checkpoint) {
  writer();
  std::vector<MemoryChange> changes;
  {
    const auto lock = impl_->writeLock();
    commitLocked(checkpoint, impl_->options.onCommit ? &changes : nullptr);
  }
  if (!changes.empty()) impl_->options.onCommit(changes);
}

bool MemorySink::tryCommit(std::string_view checkpoint) {
  if (writer().unit.wholeTables() || impl_->options.onCommit) return false;
  const auto lock = impl_->tryWriteLock();
  if (!lock.owns_lock()) return false;
  commitLocked(checkpoint, nullptr);
  return true;
}

/// @pre the write lock is held.
void MemorySink::commitLocked(std::string_view checkpoint, std::vector<MemoryChange>* changes) {
  // Should memory run out half-way, the next `open` knows of no checkpoint, and a baseline makes the tables exact.
  writer_->checkpoint.reset();
  writer_->unit.apply(changes);
  writer_->checkpoint = checkpoint;
  ++impl_->unit;
}

void MemorySink::rollback() noexcept { writer_->unit.undo(); }

void MemorySink::close() noexcept {
  writer_->unit.undo();
  writer_->open = false;
}

std::uint64_t MemorySink::expire(const Shape& shape, std::string_view column, const Value& cutoff) {
  Writer& w = writer();
  const auto at = shape->columns->find(column);
  if (!at) {
    throw Error(
        ErrorCode::invalidArgument, Retry::never,
        "memory table \"" + shape->schema.table + "\" has no column \"" + std::string(column) + "\" to expire rows by");
  }
  const StoredTable& table = impl_->table(shape->schema.table);
  std::uint64_t count = 0;
  if (const auto held = table.layout().shape()->columns->find(column)) {
    for (std::uint32_t row = 0; row < table.end(); ++row) {
      const detail::RowRecord* record = table.record(row);
      if (record == nullptr) continue;
      const Value value = detail::PackedReader(table.layout().packedCell(record->packed(), *held)).value();
      count += compareValues(value, cutoff) == std::partial_ordering::less ? 1 : 0;
    }
  }
  w.unit.expiry(w.unit.target(*impl_, shape), {*at, cutoff});
  return count;
}

}  // namespace tidegate
