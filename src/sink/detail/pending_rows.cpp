#include "sink/detail/pending_rows.h"

#include <algorithm>
#include <functional>
#include <iterator>

namespace tidegate::detail {
namespace {

constexpr std::size_t kFirstSlots = 256;
constexpr std::size_t kKeptBytes = 16u << 20;

}  // namespace

void PendingRows::upsert(std::string_view key) {
  bool isNew = false;
  Entry& entry = entryOf(key, isNew);
  entry.erasedBefore = !isNew && (entry.kind == Kind::erase || entry.erasedBefore);
  entry.kind = Kind::upsert;
  entry.rowAt = start_;
}

void PendingRows::patch(std::string_view key, const std::vector<std::uint32_t>& unchangedColumns) {
  bool isNew = false;
  Entry& entry = entryOf(key, isNew);
  if (isNew) {
    entry.kind = Kind::patch;
    entry.mask = maskFor(unchangedColumns);
  } else if (entry.kind == Kind::erase) {
    return rows_.resize(start_);  // the row is not there
  } else if (entry.kind == Kind::upsert) {
    fillFrom(entry, unchangedColumns);
  } else {
    std::vector<std::uint32_t> both;
    const auto& before = masks_[entry.mask];
    std::set_intersection(before.begin(), before.end(), unchangedColumns.begin(), unchangedColumns.end(),
                          std::back_inserter(both));
    fillFrom(entry, unchangedColumns);
    entry.mask = maskFor(both);
  }
  entry.rowAt = start_;
}

void PendingRows::erase(std::string_view key) {
  bool isNew = false;
  Entry& entry = entryOf(key, isNew);
  entry.kind = Kind::erase;
  entry.erasedBefore = false;
  entry.rowAt = start_;
}

void PendingRows::clear() {
  if (rows_.capacity() > kKeptBytes) rows_ = {};
  if (keys_.capacity() > kKeptBytes) keys_ = {};
  rows_.clear();
  keys_.clear();
  entries_.clear();
  masks_.clear();
  std::fill(slots_.begin(), slots_.end(), 0);
}

PendingRows::Entry& PendingRows::entryOf(std::string_view key, bool& isNew) {
  if (2 * (entries_.size() + 1) > slots_.size()) grow();
  const std::size_t hash = std::hash<std::string_view>{}(key);
  std::size_t at = hash & (slots_.size() - 1);
  for (; slots_[at] != 0; at = (at + 1) & (slots_.size() - 1)) {
    Entry& held = entries_[slots_[at] - 1];
    if (held.hash == hash && std::string_view(keys_).substr(held.keyAt, held.keySize) == key) {
      isNew = false;
      return held;
    }
  }
  isNew = true;
  entries_.push_back({Kind::upsert, false, 0, static_cast<std::uint32_t>(key.size()), keys_.size(), start_, hash});
  keys_.append(key);
  slots_[at] = static_cast<std::uint32_t>(entries_.size());
  return entries_.back();
}

void PendingRows::grow() {
  slots_.assign(std::max(kFirstSlots, 2 * slots_.size()), 0);
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    std::size_t at = entries_[i].hash & (slots_.size() - 1);
    while (slots_[at] != 0) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = static_cast<std::uint32_t>(i + 1);
  }
}

std::uint32_t PendingRows::maskFor(const std::vector<std::uint32_t>& columns) {
  const auto found = std::find(masks_.begin(), masks_.end(), columns);
  if (found != masks_.end()) return static_cast<std::uint32_t>(found - masks_.begin());
  masks_.push_back(columns);
  return static_cast<std::uint32_t>(masks_.size() - 1);
}

void PendingRows::fillFrom(const Entry& entry, const std::vector<std::uint32_t>& columns) {
  std::string merged;
  FieldReader before(rowOf(entry)), now(rows_.data() + start_);
  auto filled = columns.begin();
  for (std::uint32_t i = 0; i < columnCount_; ++i) {
    const std::string_view old = before.next(), fresh = now.next();
    const bool fill = filled != columns.end() && *filled == i;
    if (fill) ++filled;
    merged.append(fill ? old : fresh);
  }
  rows_.resize(start_);
  rows_.append(merged);
}

}  // namespace tidegate::detail
