#include "sink/detail/memory_state.h"

#include <algorithm>
#include <cstring>

#include "core/detail/packed.h"

namespace tidegate {

detail::StoredTable& MemorySink::Impl::table(std::string_view name) const {
  const auto at = tables.find(name);
  if (at != tables.end()) return *at->second;
  throw Error(ErrorCode::tableNotFound, Retry::afterOperator,
              "the memory sink has no table \"" + std::string(name) + "\"; route one to it");
}

namespace detail {

namespace {

void putWord(std::uint32_t word, std::string& out) {
  char octets[4];
  std::memcpy(octets, &word, 4);
  out.append(octets, 4);
}

std::uint32_t wordAt(const std::string& octets, std::size_t at) {
  std::uint32_t word = 0;
  std::memcpy(&word, octets.data() + at, 4);
  return word;
}

}  // namespace

std::uint32_t StagedUnit::target(MemorySink::Impl& state, const Shape& shape) {
  if (shape.get() == lastShape_) return lastTarget_;
  const auto same = [&](const StagedTarget& t) { return t.layout->shape() == shape; };
  auto at = std::find_if(targets_.begin(), targets_.end(), same);
  if (at == targets_.end()) {
    StagedTarget made{.table = &state.table(shape->schema.table)};
    made.layout = std::make_shared<const RowLayout>(shape);
    made.direct = made.layout->sameAs(made.table->layout());
    // The shape stays alive with its target, so that its address cannot become another's.
    at = targets_.insert(targets_.end(), std::move(made));
  }
  lastShape_ = shape.get();
  return lastTarget_ = static_cast<std::uint32_t>(at - targets_.begin());
}

void StagedUnit::row(std::uint32_t number, const ChangeEvent& event) {
  StagedTarget& target = targets_[number];
  if (!target.direct || !event.unchanged.empty()) return scratchRow(number, event);
  const PackedRow row = target.layout->pack(event.after, packed_);
  const RowPlace place = target.table->slabs().append(row.octets, row.keySize);
  ops_.push_back({event.op, true, number, place, keyHash(row.key())});
}

void StagedUnit::scratchRow(std::uint32_t number, const ChangeEvent& event) {
  const std::string_view packed = targets_[number].layout->pack(event.after, packed_).octets;
  ops_.push_back({event.op, false, number, scratch_.size(), 0});
  putWord(static_cast<std::uint32_t>(packed.size()), scratch_);
  putWord(static_cast<std::uint32_t>(event.unchanged.size()), scratch_);
  for (const std::uint32_t i : event.unchanged) putWord(i, scratch_);
  scratch_ += packed;
}

void StagedUnit::erase(std::uint32_t number, const std::vector<Value>& before) {
  const std::string_view key = targets_[number].layout->packKey(before, packed_);
  ops_.push_back({ChangeOp::erase, false, number, scratch_.size(), 0});
  putWord(static_cast<std::uint32_t>(key.size()), scratch_);
  scratch_ += key;
}

void StagedUnit::schema(std::uint32_t number, std::shared_ptr<const SchemaChange> change) {
  ops_.push_back({ChangeOp::schemaChange, false, number, changes_.size(), 0});
  wholeTables_ = true;
  changes_.push_back(std::move(change));
  // What follows is of another form than the table has until the commit.
  for (StagedTarget& t : targets_) {
    if (t.table == targets_[number].table) t.direct = false;
  }
}

void StagedUnit::expiry(std::uint32_t number, StagedExpiry expiry) {
  ops_.push_back({ChangeOp::progress, false, number, expiries_.size(), 0});
  wholeTables_ = true;
  expiries_.push_back(std::move(expiry));
}

void StagedUnit::apply(std::vector<MemoryChange>* changes) {
  told_ = changes;
  std::vector<std::size_t> rows(targets_.size());
  for (const StagedOp& op : ops_) rows[op.target] += op.direct ? 1 : 0;
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    targets_[i].table->slabs().publish();
    targets_[i].table->reserve(rows[i]);
  }
  constexpr std::size_t kAhead = 12;
  for (std::size_t i = 0; i < ops_.size(); ++i) {
    if (i + kAhead < ops_.size() && ops_[i + kAhead].direct) {
      targets_[ops_[i + kAhead].target].table->prefetch(ops_[i + kAhead].hash);
    }
    applyOp(ops_[i]);
  }
  for (const StagedTarget& t : targets_) t.table->tidy();
  clear();
}

void StagedUnit::undo() noexcept {
  for (const StagedTarget& t : targets_) t.table->slabs().rewind();
  clear();
}

void StagedUnit::clear() noexcept {
  targets_.clear();
  lastShape_ = nullptr;
  ops_.clear();
  wholeTables_ = false;
  scratch_.clear();
  changes_.clear();
  expiries_.clear();
}

void StagedUnit::applyOp(const StagedOp& op) {
  StagedTarget& target = targets_[op.target];
  StoredTable& table = *target.table;
  switch (op.op) {
    case ChangeOp::truncate:
      table.truncate();
      return tell(table, op.op, nullptr);
    case ChangeOp::schemaChange:
      return applySchema(target, changes_[op.place].get());
    case ChangeOp::baselineBegin:
      return table.beginBaseline();
    case ChangeOp::baselineEnd:
      return table.endBaseline([&](const RowRecord& gone) { tell(table, ChangeOp::erase, &gone); });
    case ChangeOp::progress:
      return applyExpiry(target, expiries_[op.place]);
    default:
      return op.direct ? applyDirect(target, op) : applyScratch(target, op);
  }
}

void StagedUnit::applyDirect(StagedTarget& target, const StagedOp& op) {
  StoredTable& table = *target.table;
  if (table.retired() != nullptr) {  // the columns changed since, in this unit
    return merge(target, *target.layout, table.retired()->at(op.place)->packed(), {});
  }
  const RowOutcome outcome = table.put(op.place, op.hash);
  if (told_ == nullptr || outcome == RowOutcome::same) return;
  tell(table, outcome == RowOutcome::added ? ChangeOp::insert : ChangeOp::update, table.slabs().at(op.place));
}

void StagedUnit::applyScratch(StagedTarget& target, const StagedOp& op) {
  const std::uint32_t size = wordAt(scratch_, op.place);
  if (op.op == ChangeOp::erase) {
    StoredTable& table = *target.table;
    const std::string_view key(scratch_.data() + op.place + 4, size);
    const std::uint32_t row = table.find(key);
    if (row == kNoRow) return;
    tell(table, ChangeOp::erase, table.record(row));
    table.erase(key);
    return;
  }
  const std::uint32_t count = wordAt(scratch_, op.place + 4);
  unchanged_.clear();
  for (std::uint32_t i = 0; i < count; ++i) unchanged_.push_back(wordAt(scratch_, op.place + 8 + 4 * i));
  merge(target, *target.layout, {scratch_.data() + op.place + 8 + 4 * count, size}, unchanged_);
}

/// @param unchanged by the numbers of `layout`.
void StagedUnit::merge(StagedTarget& target, const RowLayout& layout, std::string_view packed,
                       const std::vector<std::uint32_t>& unchanged) {
  StoredTable& table = *target.table;
  const std::vector<int> map = table.layout().mapFrom(*layout.shape()->columns);
  std::vector<std::uint32_t> ours;
  for (std::uint32_t i = 0; i < map.size(); ++i) {
    if (map[i] >= 0 && std::binary_search(unchanged.begin(), unchanged.end(), static_cast<std::uint32_t>(map[i]))) {
      ours.push_back(i);
    }
  }
  layout.unpack(packed, values_);
  const RowOutcome outcome = table.merge(values_, {map, ours, !unchanged.empty()}, key_);
  if (told_ == nullptr || outcome == RowOutcome::same || outcome == RowOutcome::left) return;
  told_->push_back(
      {layout.shape()->schema.table, outcome == RowOutcome::added ? ChangeOp::insert : ChangeOp::update, key_});
}

void StagedUnit::applySchema(StagedTarget& target, const SchemaChange* change) {
  StoredTable& table = *target.table;
  const Shape next = followedShape(*table.layout().shape(), target.layout->shape(), change);
  if (next == nullptr || next == table.layout().shape()) return;
  static const std::vector<std::pair<std::string, std::string>> kNone;
  table.relayout(next, change != nullptr ? change->renamed : kNone);
  tell(table, ChangeOp::schemaChange, nullptr);
}

void StagedUnit::applyExpiry(StagedTarget& target, const StagedExpiry& expiry) {
  StoredTable& table = *target.table;
  const auto column = table.layout().shape()->columns->find((*target.layout->shape()->columns)[expiry.column]);
  if (!column) return;
  for (std::uint32_t row = 0; row < table.end(); ++row) {
    const RowRecord* record = table.record(row);
    if (record == nullptr) continue;
    const Value value = PackedReader(table.layout().packedCell(record->packed(), *column)).value();
    if (compareValues(value, expiry.cutoff) != std::partial_ordering::less) continue;
    tell(table, ChangeOp::erase, record);
    table.erase(record->key());
  }
}

void StagedUnit::tell(const StoredTable& table, ChangeOp op, const RowRecord* record) {
  if (told_ == nullptr) return;
  MemoryChange& change = told_->emplace_back(MemoryChange{table.layout().shape()->schema.table, op, {}});
  if (record != nullptr) table.layout().unpackKey(record->packed(), change.key);
}

Shape followedShape(const TableShape& held, const Shape& shape, const SchemaChange* change) {
  TableSchema next{.table = held.schema.table, .columns = {}, .primaryKey = shape->schema.primaryKey};
  for (ColumnSchema column : held.schema.columns) {
    if (change != nullptr) {
      const auto renamed = std::find_if(change->renamed.begin(), change->renamed.end(),
                                        [&](const auto& pair) { return pair.first == column.name; });
      if (renamed != change->renamed.end()) column.name = renamed->second;
      // A column that the source had and has no more goes; others than the source's stay.
      else if (change->before && change->before->schema.find(column.name) != nullptr &&
               shape->schema.find(column.name) == nullptr) {
        continue;
      }
    }
    const ColumnSchema* known = shape->schema.find(column.name);
    if (next.find(column.name) == nullptr) next.columns.push_back(known != nullptr ? *known : column);
  }
  for (const ColumnSchema& column : shape->schema.columns) {
    if (next.find(column.name) == nullptr) next.columns.push_back(column);
  }
  if (next.columns.size() == shape->schema.columns.size()) return shape;
  return next == held.schema ? nullptr : makeShape(std::move(next));
}

}  // namespace detail
}  // namespace tidegate
