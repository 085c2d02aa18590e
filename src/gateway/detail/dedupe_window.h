/// The (deltaId, op) pairs seen last, in two generations of open-addressing sets.
#pragma once

#include <cstdint>
#include <vector>

#include "core/detail/prefetch.h"
#include "tidegate/core/delta.h"

namespace tidegate::detail {

/// The first 126 bits of a delta id, and the op: what is remembered of a delta.
struct SeenKey {
  std::uint64_t high = 0;
  std::uint64_t low = 0;  ///< never 0: its lowest two bits are the op + 1
  bool operator==(const SeenKey&) const = default;
};

SeenKey seenKey(const DeltaId& id, DeltaOp op) noexcept;

/// An open-addressing set of keys.
class SeenSet {
 public:
  bool contains(const SeenKey& key, std::uint64_t seed) const noexcept;
  /// @pre `reserve`d. @return whether it was not contained.
  bool add(const SeenKey& key, std::uint64_t seed) noexcept;
  /// @pre contained.
  void remove(const SeenKey& key, std::uint64_t seed) noexcept;
  void reserve(std::size_t more, std::uint64_t seed);
  void prefetch(const SeenKey& key, std::uint64_t seed) const noexcept {
    if (!entries_.empty()) prefetchLine(&entries_[home(key, seed)]);
  }
  /// Calls `visit(key)` for each, in no order.
  template <class Visit>
  void each(const Visit& visit) const {
    for (const SeenKey& key : entries_) {
      if (key.low != 0) visit(key);
    }
  }
  std::size_t size() const noexcept { return size_; }
  std::size_t bytes() const noexcept { return entries_.capacity() * sizeof(SeenKey); }

 private:
  std::size_t home(const SeenKey& key, std::uint64_t seed) const noexcept {
    // Ids may be chosen by those who push: a secret odd factor keeps them from choosing where they land.
    return ((key.high ^ (key.low * 0x9E3779B97F4A7C15u)) * (seed | 1)) >> shift_;
  }
  std::vector<SeenKey> entries_;
  unsigned shift_ = 64;
  std::size_t size_ = 0;
};

/// Remembers at least `capacity` of the newest keys, and at most twice as many.
/// @thread One at a time.
class DedupeWindow {
 public:
  DedupeWindow(std::size_t capacity, std::uint64_t seed) : capacity_(capacity), seed_(seed) {}

  bool contains(const SeenKey& key) const noexcept {
    return newer_.contains(key, seed_) || older_.contains(key, seed_);
  }
  void prefetch(const SeenKey& key) const noexcept {
    newer_.prefetch(key, seed_);
    older_.prefetch(key, seed_);
  }
  /// Makes room for `more` keys, so that `add` cannot fail half-way.
  void reserve(std::size_t more) {
    if (capacity_ != 0) newer_.reserve(more, seed_);
  }
  /// Remembers a key that is not contained. @pre `reserve`d. @return whether it was not contained.
  bool add(const SeenKey& key) noexcept {
    if (capacity_ == 0) return true;
    return !older_.contains(key, seed_) && newer_.add(key, seed_);
  }
  /// Takes back what was just added.
  void undo(const SeenKey& key) noexcept {
    if (capacity_ != 0) newer_.remove(key, seed_);
  }
  /// Ends the generation if it is full: between groups, never inside one. @return whether it did.
  bool turn();
  /// Ends the generation, however full it is: for a window that is filled from a copy.
  void rotate();
  /// What is remembered of the generation before, and of this one.
  const SeenSet& older() const noexcept { return older_; }
  const SeenSet& newer() const noexcept { return newer_; }
  /// Grows with each `turn`; what was added two generations ago is forgotten.
  std::uint64_t generation() const noexcept { return generation_; }

  std::size_t size() const noexcept { return newer_.size() + older_.size(); }
  std::size_t bytes() const noexcept { return newer_.bytes() + older_.bytes(); }

 private:
  const std::size_t capacity_;
  const std::uint64_t seed_;
  SeenSet newer_, older_;
  std::uint64_t generation_ = 0;
};

}  // namespace tidegate::detail
