#include "source/detail/insert_batch.h"

#include <algorithm>

namespace tidegate::detail {

void InsertBatch::begin(const RowShape& shape) {
  if (shape.hash() != shape_) pushes_.clear();
  shape_ = shape.hash();
  sizes_.clear();
  full_ = count_ = bytes_ = 0;
}

SyncPush& InsertBatch::open() {
  if (full_ == pushes_.size()) pushes_.push_back({.clientId = options_.clientId, .deltas = {}, .lastSeenHlc = {}});
  return pushes_[full_];
}

/// A page of deltas is larger than the nearer caches, and every one is written anew: those to come are asked for.
void InsertBatch::prefetch(const SyncPush& push) const {
  constexpr std::size_t kAhead = 4, kMostColumns = 16, kLine = 64;
  if (count_ + kAhead >= push.deltas.size()) return;
  const RowDelta& later = push.deltas[count_ + kAhead];
  __builtin_prefetch(&later.rowId, 1);
  const auto* at = reinterpret_cast<const char*>(later.columns.data());
  const std::size_t bytes = std::min(later.columns.size(), kMostColumns) * sizeof(ColumnValue);
  for (std::size_t offset = 0; offset < bytes; offset += kLine) __builtin_prefetch(at + offset, 1);
}

DeltaPlace InsertBatch::add(const RowShape& shape, const std::string& rowId, std::vector<Value>& row,
                            std::size_t bytes) {
  if (count_ == options_.pushDeltas || (count_ > 0 && bytes_ + bytes > options_.pushBytes)) {
    sizes_.push_back(count_);
    ++full_;
    count_ = bytes_ = 0;
  }
  SyncPush& push = open();
  if (count_ == push.deltas.size()) {
    RowDelta& fresh = push.deltas.emplace_back();
    fresh.op = DeltaOp::insert;
    fresh.table = options_.table;
    fresh.clientId = options_.clientId;
    for (const std::string& name : shape.dataNames()) fresh.columns.push_back({name, Value()});
  }
  prefetch(push);
  RowDelta& delta = push.deltas[count_];
  delta.rowId = rowId;
  for (std::size_t i = 0; i < shape.data().size(); ++i) {
    std::swap(delta.columns[i].value.variant(), row[shape.data()[i]].variant());
  }
  bytes_ += bytes;
  lastBytes_ = bytes;
  return {static_cast<std::uint32_t>(full_), static_cast<std::uint32_t>(count_++)};
}

void InsertBatch::takeBack() {
  --count_;
  bytes_ -= lastBytes_;
}

SyncPush& InsertBatch::ready(std::size_t push) {
  SyncPush& p = pushes_[push];
  p.deltas.resize(push < full_ ? sizes_[push] : count_);
  return p;
}

}  // namespace tidegate::detail
