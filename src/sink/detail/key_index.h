/// Rows by key: an open-addressing index of (tag, row number).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/detail/prefetch.h"

namespace tidegate::detail {

inline constexpr std::uint32_t kNoRow = UINT32_MAX;

/// A hash for packed keys.
std::uint64_t keyHash(std::string_view packedKey) noexcept;

/// @thread One writer, or readers: the owner's lock.
class KeyIndex {
 public:
  /// The row among those with the hash's tag that `isIt` says true of.
  template <class Is>
  std::uint32_t find(std::uint64_t hash, Is&& isIt) const {
    if (entries_.empty()) return kNoRow;
    const std::uint64_t tag = tagOf(hash);
    for (std::size_t at = home(tag);; at = (at + 1) & mask()) {
      const std::uint64_t entry = entries_[at];
      if (entry == 0) return kNoRow;
      if (entry >> 32 != tag) continue;
      const auto row = static_cast<std::uint32_t>(entry) - 1;
      if (isIt(row)) return row;
    }
  }
  /// @pre `reserve`d, and the key is not there.
  void add(std::uint64_t hash, std::uint32_t row) noexcept;
  /// @pre It is there.
  void remove(std::uint64_t hash, std::uint32_t row) noexcept;
  void clear() noexcept;
  /// Room for `more` keys, so that `add` cannot fail.
  void reserve(std::size_t more);
  void prefetch(std::uint64_t hash) const noexcept {
    if (!entries_.empty()) prefetchLine(&entries_[home(tagOf(hash))]);
  }
  std::size_t bytes() const noexcept { return entries_.size() * sizeof(std::uint64_t); }

 private:
  /// The home is made from the tag alone, so that growing never touches a row.
  static std::uint64_t tagOf(std::uint64_t hash) noexcept { return hash >> 32; }
  std::size_t mask() const noexcept { return entries_.size() - 1; }
  std::size_t home(std::uint64_t tag) const noexcept { return tag & mask(); }
  void place(std::uint64_t entry) noexcept;

  std::vector<std::uint64_t> entries_;  ///< tag in the upper half, row + 1 in the lower; 0: empty
  std::size_t keys_ = 0;
};

}  // namespace tidegate::detail
