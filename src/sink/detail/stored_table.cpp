#include "sink/detail/stored_table.h"

#include <algorithm>

#include "core/detail/packed.h"

namespace tidegate::detail {

StoredTable::StoredTable(const Shape& shape, const std::vector<MemoryIndex>& indexes)
    : layout_(std::make_shared<const RowLayout>(shape)) {
  for (const MemoryIndex& wanted : indexes) {
    if (wanted.table != shape->schema.table) continue;
    secondary_.push_back(
        {wanted.column, wanted.ordered ? makeOrderedIndex() : makeHashIndex(), shape->columns->find(wanted.column)});
  }
}

std::size_t StoredTable::bytes() const noexcept {
  std::size_t sum = slabs_.bytes() + rows_.capacity() * sizeof(RowPlace) + keys_.bytes();
  for (const Secondary& s : secondary_) sum += s.index->bytes();
  return sum;
}

void StoredTable::reserve(std::size_t rows) {
  keys_.reserve(rows);
  if (rows_.capacity() < rows_.size() + rows) rows_.reserve(std::max(rows_.size() + rows, 2 * rows_.size()));
}

std::uint32_t StoredTable::find(std::string_view packedKey) const {
  return keys_.find(keyHash(packedKey), [&](std::uint32_t row) { return record(row)->key() == packedKey; });
}

std::uint32_t StoredTable::takeNumber() {
  if (free_.empty()) {
    rows_.push_back(kNoPlace);
    return end() - 1;
  }
  const std::uint32_t row = free_.back();
  free_.pop_back();
  return row;
}

void StoredTable::touchIndexes(const RowRecord* before, const RowRecord* after, std::uint32_t row) {
  for (const Secondary& s : secondary_) {
    if (!s.place) continue;
    const auto cell = [&](const RowRecord& r) { return layout_->packedCell(r.packed(), *s.place); };
    if (before != nullptr && after != nullptr && cell(*before) == cell(*after)) continue;
    if (before != nullptr) s.index->remove(cell(*before), row);
    if (after != nullptr) s.index->add(cell(*after), row);
  }
}

void StoredTable::replace(std::uint32_t row, RowPlace place) {
  RowRecord* record = slabs_.at(place);
  record->row = row;
  record->named = baselines_;
  const RowPlace old = rows_[row];
  if (!secondary_.empty()) touchIndexes(old == kNoPlace ? nullptr : slabs_.at(old), record, row);
  if (old != kNoPlace) slabs_.kill(old);
  rows_[row] = place;
}

RowOutcome StoredTable::put(RowPlace place, std::uint64_t hash) {
  const RowRecord& record = *slabs_.at(place);
  const auto isIt = [&](std::uint32_t row) { return slabs_.at(rows_[row])->key() == record.key(); };
  if (const std::uint32_t row = keys_.find(hash, isIt); row != kNoRow) {
    RowRecord& old = *slabs_.at(rows_[row]);
    if (old.packed() == record.packed()) {
      old.named = baselines_;
      slabs_.kill(place);
      return RowOutcome::same;
    }
    replace(row, place);
    return RowOutcome::replaced;
  }
  keys_.reserve(1);
  const std::uint32_t row = takeNumber();
  replace(row, place);
  keys_.add(hash, row);
  ++count_;
  return RowOutcome::added;
}

RowOutcome StoredTable::merge(const std::vector<Value>& row, const RowForm& form, std::vector<Value>& key) {
  const auto from = [&](std::uint32_t column) -> const Value& {
    return row[static_cast<std::size_t>(form.map[column])];
  };
  key.clear();
  Packer packer(packed_);
  for (const std::uint32_t i : layout_->shape()->key) packer.add(key.emplace_back(from(i)));
  const std::uint32_t found = find(packer.packed());
  if (found == kNoRow && form.onlyExisting) return RowOutcome::left;
  if (found != kNoRow) {
    layout_->unpack(record(found)->packed(), values_);
  } else {
    values_.assign(layout_->columns(), Value());
  }
  for (std::uint32_t i = 0; i < values_.size(); ++i) {
    if (form.map[i] < 0 || std::binary_search(form.unchanged.begin(), form.unchanged.end(), i)) continue;
    values_[i] = from(i);
  }
  const PackedRow packed = layout_->pack(values_, packed_);
  const RowPlace place = slabs_.append(packed.octets, packed.keySize);
  slabs_.publish();
  return put(place, keyHash(packed.key()));
}

void StoredTable::remove(std::uint32_t row) {
  const RowRecord& old = *slabs_.at(rows_[row]);
  touchIndexes(&old, nullptr, row);
  keys_.remove(keyHash(old.key()), row);
  slabs_.kill(rows_[row]);
  rows_[row] = kNoPlace;
  free_.push_back(row);
  --count_;
}

bool StoredTable::erase(std::string_view packedKey) {
  const std::uint32_t row = find(packedKey);
  if (row != kNoRow) remove(row);
  return row != kNoRow;
}

void StoredTable::truncate() {
  for (const RowPlace place : rows_) {
    if (place != kNoPlace) slabs_.kill(place);
  }
  rows_.clear();
  free_.clear();
  keys_.clear();
  count_ = 0;
  for (const Secondary& s : secondary_) s.index->clear();
}

void StoredTable::beginBaseline() noexcept {
  ++baselines_;
  baseline_ = true;
}

void StoredTable::endBaseline(const std::function<void(const RowRecord&)>& gone) {
  if (!std::exchange(baseline_, false)) return;
  for (std::uint32_t row = 0; row < end(); ++row) {
    const RowRecord* held = record(row);
    if (held == nullptr || held->named == baselines_) continue;
    gone(*held);
    remove(row);
  }
}

void StoredTable::fillIndexes() {
  for (Secondary& s : secondary_) {
    s.index->clear();
    s.place = layout_->shape()->columns->find(s.column);
  }
  if (secondary_.empty()) return;
  for (std::uint32_t row = 0; row < end(); ++row) {
    if (const RowRecord* held = record(row)) touchIndexes(nullptr, held, row);
  }
}

void StoredTable::relayout(const Shape& shape, const std::vector<std::pair<std::string, std::string>>& renamed) {
  auto next = std::make_shared<const RowLayout>(shape);
  if (next->sameAs(*layout_)) {
    layout_ = std::move(next);
    return;
  }
  const ColumnList& old = *layout_->shape()->columns;
  std::vector<int> map;
  for (const std::string& name : shape->columns->names()) {
    const auto from =
        std::find_if(renamed.begin(), renamed.end(), [&](const auto& pair) { return pair.second == name; });
    const auto at = old.find(from != renamed.end() && old.find(from->first) ? from->first : name);
    map.push_back(at ? static_cast<int>(*at) : -1);
  }
  auto slabs = std::make_unique<RowSlabs>();
  std::vector<Value> from, to(next->columns());
  std::vector<RowPlace> rows = rows_;
  for (std::uint32_t row = 0; row < end(); ++row) {
    const RowRecord* held = record(row);
    if (held == nullptr) continue;
    layout_->unpack(held->packed(), from);
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = map[i] < 0 ? Value() : from[static_cast<std::size_t>(map[i])];
    const PackedRow packed = next->pack(to, packed_);
    rows[row] = slabs->append(packed.octets, packed.keySize);
    slabs->at(rows[row])->row = row;
    slabs->at(rows[row])->named = held->named;
  }
  slabs->publish();
  std::swap(slabs_, *slabs);
  if (!retired_) retired_ = std::move(slabs);
  rows_.swap(rows);
  layout_ = std::move(next);
  fillIndexes();
}

void StoredTable::tidy() {
  retired_.reset();
  while (slabs_.wantsCleaning()) {
    slabs_.clean([&](const RowRecord& record, RowPlace place) {
      if (record.row >= rows_.size() || rows_[record.row] != place) return;
      const RowPlace moved = slabs_.append(record.packed(), record.keySize);
      slabs_.at(moved)->row = record.row;
      slabs_.at(moved)->named = record.named;
      rows_[record.row] = moved;
      slabs_.kill(place);
    });
  }
}

const ColumnIndex* StoredTable::index(std::size_t column, bool ordered) const noexcept {
  const ColumnIndex* found = nullptr;
  for (const Secondary& s : secondary_) {
    if (s.place != column || (ordered && !s.index->ordered())) continue;
    found = s.index.get();
    if (ordered || !found->ordered()) break;
  }
  return found;
}

}  // namespace tidegate::detail
