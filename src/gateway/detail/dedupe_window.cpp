#include "gateway/detail/dedupe_window.h"

#include <bit>
#include <cstring>
#include <utility>

namespace tidegate::detail {

SeenKey seenKey(const DeltaId& id, DeltaOp op) noexcept {
  SeenKey key;
  std::memcpy(&key.high, id.octets.data(), 8);
  std::memcpy(&key.low, id.octets.data() + 8, 8);
  key.low = (key.low & ~std::uint64_t{3}) | (static_cast<std::uint64_t>(op) + 1);
  return key;
}

bool SeenSet::contains(const SeenKey& key, std::uint64_t seed) const noexcept {
  if (size_ == 0) return false;
  const std::size_t mask = entries_.size() - 1;
  for (std::size_t at = home(key, seed); entries_[at].low != 0; at = (at + 1) & mask) {
    if (entries_[at] == key) return true;
  }
  return false;
}

bool SeenSet::add(const SeenKey& key, std::uint64_t seed) noexcept {
  const std::size_t mask = entries_.size() - 1;
  std::size_t at = home(key, seed);
  for (; entries_[at].low != 0; at = (at + 1) & mask) {
    if (entries_[at] == key) return false;
  }
  entries_[at] = key;
  ++size_;
  return true;
}

void SeenSet::remove(const SeenKey& key, std::uint64_t seed) noexcept {
  const std::size_t mask = entries_.size() - 1;
  std::size_t hole = home(key, seed);
  while (entries_[hole] != key) hole = (hole + 1) & mask;
  for (std::size_t at = (hole + 1) & mask; entries_[at].low != 0; at = (at + 1) & mask) {
    if (((at - home(entries_[at], seed)) & mask) < ((at - hole) & mask)) continue;
    entries_[hole] = entries_[at];
    hole = at;
  }
  entries_[hole] = {};
  --size_;
}

void SeenSet::reserve(std::size_t more, std::uint64_t seed) {
  const std::size_t keys = size_ + more;
  const std::size_t wanted = std::bit_ceil(keys + keys / 2 + 16);
  if (wanted <= entries_.size()) return;
  const std::vector<SeenKey> old = std::exchange(entries_, std::vector<SeenKey>(wanted));
  shift_ = 64 - static_cast<unsigned>(std::countr_zero(wanted));
  size_ = 0;
  for (const SeenKey& key : old) {
    if (key.low != 0) add(key, seed);
  }
}

bool DedupeWindow::turn() {
  if (capacity_ == 0 || newer_.size() < capacity_) return false;
  rotate();
  return true;
}

void DedupeWindow::rotate() {
  older_ = std::exchange(newer_, SeenSet{});
  ++generation_;
}

}  // namespace tidegate::detail
