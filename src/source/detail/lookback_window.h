/// What each row of the look-back window looked like when it was last accepted: a fingerprint per row id, so that a row
/// that is read again unchanged stays silent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "source/detail/hash.h"

namespace tidegate::detail {

/// An open-addressing table of 32 octets a row. Row ids are known by a 64-bit hash: should two meet, one is pushed
/// again (which the gateway silences); nothing is ever suppressed wrongly, since the fingerprint covers the row id.
///
/// Every row read is numbered; a row keeps the number of its last reading. What lies before the window is what was read
/// in this poll before the window's first row, or (once a poll is complete) not read in it at all.
class LookbackWindow {
 public:
  struct Entry {
    std::uint64_t row = 0;
    Hash128 print;  ///< all zero: known to be outdated
    std::uint64_t number = 0;
  };

  bool empty() const noexcept { return live_ == 0; }
  std::size_t size() const noexcept { return live_; }
  std::size_t bytes() const noexcept { return slots_.capacity() * sizeof(Entry); }

  const Hash128* find(std::uint64_t row) const noexcept;
  /// Adds or replaces. @return whether the fingerprint is new.
  bool put(std::uint64_t row, Hash128 print, std::uint64_t number);
  /// What the gateway holds of the row is no longer sure: whatever is read next for it counts as changed.
  /// @return whether there was a fingerprint to forget.
  bool outdate(std::uint64_t row) noexcept;
  /// Drops rows numbered within [from, to). Cheap to call often: it works only when what it may drop has added up.
  /// @return how many were dropped.
  std::size_t drop(std::uint64_t from, std::uint64_t to);
  /// Drops them now. @return how many were dropped.
  std::size_t dropNow(std::uint64_t from, std::uint64_t to);

  template <class Visit>
  void forEach(Visit&& visit) const {
    for (const Entry& e : slots_) {
      if (e.number != 0) visit(e);
    }
  }

 private:
  Entry* slotOf(std::uint64_t row) noexcept;
  void rebuild(std::size_t capacity, std::uint64_t from, std::uint64_t to);

  std::vector<Entry> slots_;  ///< a power of two; number 0 marks a free one
  std::size_t live_ = 0;
  std::size_t nextDrop_ = 4'096;
};

}  // namespace tidegate::detail
