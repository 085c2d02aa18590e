#include "source/detail/insert_batch.h"

#include <algorithm>

namespace tidegate::detail {

InsertBatch::InsertBatch(std::string table, std::string clientId)
    : table_(std::move(table)), push_{.clientId = std::move(clientId)} {}

void InsertBatch::begin(const RowShape& shape) {
  if (shape.hash() != shape_) push_.deltas.clear();
  shape_ = shape.hash();
  count_ = bytes_ = 0;
}

/// A push of deltas is larger than the nearest cache, and every one is written anew: those to come are asked for.
void InsertBatch::prefetch() const {
  constexpr std::size_t kAhead = 4, kMostColumns = 16, kLine = 64;
  if (count_ + kAhead >= push_.deltas.size()) return;
  const RowDelta& later = push_.deltas[count_ + kAhead];
  __builtin_prefetch(&later.rowId, 1);
  const auto* at = reinterpret_cast<const char*>(later.columns.data());
  const std::size_t bytes = std::min(later.columns.size(), kMostColumns) * sizeof(ColumnValue);
  for (std::size_t offset = 0; offset < bytes; offset += kLine) __builtin_prefetch(at + offset, 1);
}

const RowDelta& InsertBatch::add(const RowShape& shape, const std::string& rowId, std::vector<Value>& row,
                                 std::size_t bytes) {
  if (count_ == push_.deltas.size()) {
    RowDelta& fresh = push_.deltas.emplace_back();
    fresh.op = DeltaOp::insert;
    fresh.table = table_;
    fresh.clientId = push_.clientId;
    for (const std::string& name : shape.dataNames()) fresh.columns.push_back({name, Value()});
  }
  prefetch();
  RowDelta& delta = push_.deltas[count_++];
  delta.rowId = rowId;
  for (std::size_t i = 0; i < shape.data().size(); ++i) {
    std::swap(delta.columns[i].value.variant(), row[shape.data()[i]].variant());
  }
  bytes_ += bytes;
  lastBytes_ = bytes;
  return delta;
}

void InsertBatch::takeBack() {
  --count_;
  bytes_ -= lastBytes_;
}

SyncPush& InsertBatch::ready() {
  push_.deltas.resize(count_);
  return push_;
}

}  // namespace tidegate::detail
