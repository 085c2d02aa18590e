/// A set of row ids, known by 128 bits of hash: which new ids a diff poll has met.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "source/detail/hash.h"

namespace tidegate::detail {

class RowIdSet {
 public:
  /// @return false if it is there already.
  bool insert(std::string_view rowId) {
    if ((size_ + 1) * 4 > slots_.size() * 3) grow();
    Hash128 hash = hash128(rowId);
    if (hash == Hash128{}) hash.low = 1;
    Hash128& slot = slotOf(hash);
    if (slot == hash) return false;
    slot = hash;
    ++size_;
    return true;
  }
  void clear() {
    slots_ = {};
    size_ = 0;
  }
  std::size_t bytes() const noexcept { return slots_.capacity() * sizeof(Hash128); }

 private:
  Hash128& slotOf(const Hash128& hash) {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = static_cast<std::size_t>(hash.low) & mask;
    while (slots_[at] != Hash128{} && slots_[at] != hash) at = (at + 1) & mask;
    return slots_[at];
  }
  void grow() {
    std::vector<Hash128> old(slots_.empty() ? 64 : slots_.size() * 2);
    old.swap(slots_);
    for (const Hash128& hash : old) {
      if (hash != Hash128{}) slotOf(hash) = hash;
    }
  }

  std::vector<Hash128> slots_;  ///< a power of two; all zero is free
  std::size_t size_ = 0;
};

}  // namespace tidegate::detail
