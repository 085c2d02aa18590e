/// Which of a snapshot's slots are taken, and which of them this poll has seen: two bits a row.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tidegate::sqlite::detail {

/// Slots are numbered from 1, as SQLite's rowids are. Freed slots are used again, so the set never grows beyond the
/// most rows there ever were.
class SlotSet {
 public:
  void clear() {
    used_.clear();
    marked_.clear();
    usedCount_ = markedCount_ = firstFreeWord_ = 0;
  }
  void clearMarks() {
    marked_.assign(used_.size(), 0);
    markedCount_ = 0;
  }
  void take(std::int64_t slot) {
    grow(wordOf(slot));
    if ((used_[wordOf(slot)] & bitOf(slot)) != 0) return;
    used_[wordOf(slot)] |= bitOf(slot);
    ++usedCount_;
  }
  bool has(std::int64_t slot) const {
    return slot >= 1 && wordOf(slot) < used_.size() && (used_[wordOf(slot)] & bitOf(slot)) != 0;
  }
  std::int64_t takeFree() {
    while (firstFreeWord_ < used_.size() && used_[firstFreeWord_] == ~std::uint64_t{0}) ++firstFreeWord_;
    grow(firstFreeWord_);
    const int bit = std::countr_one(used_[firstFreeWord_]);
    const std::int64_t slot = static_cast<std::int64_t>(firstFreeWord_) * 64 + 1 + bit;
    take(slot);
    return slot;
  }
  /// @return whether it was marked.
  bool release(std::int64_t slot) {
    const bool wasMarked = marked(slot);
    if (wasMarked) --markedCount_;
    marked_[wordOf(slot)] &= ~bitOf(slot);
    used_[wordOf(slot)] &= ~bitOf(slot);
    --usedCount_;
    if (wordOf(slot) < firstFreeWord_) firstFreeWord_ = wordOf(slot);
    return wasMarked;
  }
  bool marked(std::int64_t slot) const { return (marked_[wordOf(slot)] & bitOf(slot)) != 0; }
  void mark(std::int64_t slot) {
    if (!marked(slot)) ++markedCount_;
    marked_[wordOf(slot)] |= bitOf(slot);
  }
  std::size_t used() const noexcept { return usedCount_; }
  bool allMarked() const noexcept { return markedCount_ == usedCount_; }
  /// The first taken and unmarked slot after `slot`; 0 if there is none.
  std::int64_t nextUnmarked(std::int64_t slot) const {
    std::uint64_t below = 0;  // bits of the first word that are behind us
    auto word = static_cast<std::size_t>(slot / 64);
    if (slot % 64 != 0) below = (std::uint64_t{1} << (slot % 64)) - 1;
    for (; word < used_.size(); ++word, below = 0) {
      const std::uint64_t left = used_[word] & ~marked_[word] & ~below;
      if (left != 0) return static_cast<std::int64_t>(word) * 64 + 1 + std::countr_zero(left);
    }
    return 0;
  }
  std::size_t bytes() const noexcept { return (used_.capacity() + marked_.capacity()) * sizeof(std::uint64_t); }

 private:
  static std::size_t wordOf(std::int64_t slot) { return static_cast<std::size_t>(slot - 1) / 64; }
  static std::uint64_t bitOf(std::int64_t slot) {
    return std::uint64_t{1} << (static_cast<std::size_t>(slot - 1) % 64);
  }
  void grow(std::size_t word) {
    if (word < used_.size()) return;
    used_.resize(word + 1);
    marked_.resize(word + 1);
  }

  std::vector<std::uint64_t> used_, marked_;  ///< of equal size
  std::size_t usedCount_ = 0, markedCount_ = 0;
  std::size_t firstFreeWord_ = 0;  ///< no free slot lies in a word before it
};

}  // namespace tidegate::sqlite::detail
