#include "electric/detail/table_rows.h"

#include <utility>

#include "core/detail/packed.h"

namespace tidegate::electric::detail {

PackedRow packRow(const std::vector<Value>& row) {
  std::string packed;
  for (const Value& value : row) tidegate::detail::packValue(value, packed);
  packed.shrink_to_fit();
  return std::make_shared<const std::string>(std::move(packed));
}

void unpackRow(const std::string& packed, std::vector<Value>& row) {
  tidegate::detail::PackedReader reader(packed);
  std::size_t count = 0;
  for (; !reader.done(); ++count) {
    if (count == row.size()) row.emplace_back();
    reader.value(row[count]);
  }
  row.resize(count);
}

std::size_t TableRows::costOf(const std::string& key, const PackedRow& packed) {
  constexpr std::size_t kNodeBytes = 160;  // map node, two strings' heads, the shared pointer's block
  return key.size() + packed->size() + kNodeBytes;
}

bool TableRows::find(const std::string& key, std::vector<Value>& row) const {
  const auto found = rows_.find(key);
  if (found == rows_.end()) return false;
  unpackRow(*found->second.packed, row);
  return true;
}

void TableRows::set(const std::string& key, const std::vector<Value>* row) {
  ++changes_;
  const auto found = rows_.find(key);
  if (found != rows_.end()) bytes_ -= costOf(key, found->second.packed);
  if (row == nullptr) {
    if (found != rows_.end()) rows_.erase(found);
    return;
  }
  PackedRow packed = packRow(*row);
  bytes_ += costOf(key, packed);
  if (found != rows_.end()) {
    found->second = {std::move(packed), mark_};
  } else {
    rows_.emplace(key, Stored{std::move(packed), mark_});
  }
}

void TableRows::clear() {
  changes_ += rows_.size();
  rows_.clear();
  bytes_ = 0;
}

void TableRows::name(const std::string& key) {
  const auto found = rows_.find(key);
  if (found != rows_.end()) found->second.mark = mark_;
}

std::vector<std::string> TableRows::endBaseline() {
  std::vector<std::string> stale;
  for (const auto& [key, stored] : rows_) {
    if (stored.mark != mark_) stale.push_back(key);
  }
  baseline_ = false;
  return stale;
}

void TableRows::reshape(Shape next, const std::vector<std::pair<std::string, std::string>>& renamed) {
  std::vector<std::optional<std::size_t>> from;
  for (const std::string& name : next->columns->names()) {
    std::string before = name;
    for (const auto& [old, now] : renamed) {
      if (now == name && shape_->columns->find(old)) before = old;
    }
    from.push_back(shape_->columns->find(before));
  }
  std::vector<Value> old, row;
  bytes_ = 0;
  for (auto& [key, stored] : rows_) {
    unpackRow(*stored.packed, old);
    row.assign(from.size(), Value());
    for (std::size_t i = 0; i < from.size(); ++i) {
      if (from[i]) row[i] = std::move(old[*from[i]]);
    }
    stored.packed = packRow(row);
    bytes_ += costOf(key, stored.packed);
  }
  changes_ += rows_.size();
  shape_ = std::move(next);
}

std::vector<PackedRow> TableRows::all() const {
  std::vector<PackedRow> rows;
  rows.reserve(rows_.size());
  for (const auto& [key, stored] : rows_) rows.push_back(stored.packed);
  return rows;
}

}  // namespace tidegate::electric::detail
