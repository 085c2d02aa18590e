/// Which names a segment must spell.
#pragma once

#include <cstdint>
#include <vector>

#include "gateway/detail/name_table.h"
#include "gateway/detail/row_codec.h"

namespace tidegate::detail {

/// A set of name numbers, cleared in constant time.
class NameSet {
 public:
  void add(NameId id) {
    if (id == kNoName) return;
    if (id >= marks_.size()) marks_.resize(id + id / 2 + 64);
    if (marks_[id] == epoch_) return;
    marks_[id] = epoch_;
    ids_.push_back(id);
  }
  /// Every name a row block uses.
  void addRow(const RowImage& row);
  void clear();
  const std::vector<NameId>& ids() const noexcept { return ids_; }

 private:
  std::vector<std::uint32_t> marks_;
  std::vector<NameId> ids_;
  std::uint32_t epoch_ = 1;
};

}  // namespace tidegate::detail
