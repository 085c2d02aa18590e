/// What a diff poll found, kept aside in packed form until the whole result was read.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>

#include "core/detail/packed.h"
#include "tidegate/core/delta.h"

namespace tidegate::detail {

/// One change. The views live as long as the block they stand in.
struct DiffChange {
  DeltaOp op = DeltaOp::insert;
  std::string_view rowId, after, before;
};

/// A queue in blocks of about a MiB, so that memory goes back while the changes are pushed.
class DiffChanges {
 public:
  void add(const DiffChange& change) {
    const std::size_t need = change.rowId.size() + change.after.size() + change.before.size() + 32;
    if (blocks_.empty() || blocks_.back().capacity() - blocks_.back().size() < need) {
      blocks_.emplace_back().reserve(need > kBlock ? need : kBlock);
    }
    std::string& out = blocks_.back();
    out.push_back(static_cast<char>(change.op));
    putText(change.rowId, out);
    putText(change.after, out);
    putText(change.before, out);
  }

  bool empty() const noexcept { return blocks_.empty(); }
  /// The first block's changes, one after another.
  PackedReader front() const { return PackedReader(blocks_.front()); }
  void popFront() { blocks_.pop_front(); }

  static DiffChange read(PackedReader& in) {
    DiffChange change;
    change.op = static_cast<DeltaOp>(in.octet());
    change.rowId = in.text();
    change.after = in.text();
    change.before = in.text();
    return change;
  }

 private:
  static constexpr std::size_t kBlock = std::size_t{1} << 20;
  std::deque<std::string> blocks_;
};

}  // namespace tidegate::detail
