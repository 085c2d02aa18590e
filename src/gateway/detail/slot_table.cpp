#include "gateway/detail/slot_table.h"

#include <bit>
#include <utility>

#include "gateway/detail/row_codec.h"

namespace tidegate::detail {

SlotTable::~SlotTable() {
  for (std::uint32_t i = 0; i < used_; ++i) {
    freeBlock((*this)[i].committed);
    freeBlock((*this)[i].pending);
  }
}

std::uint32_t SlotTable::find(std::uint64_t hash, NameId table, std::string_view rowId) const noexcept {
  if (index_.empty()) return kNoSlot;
  const std::uint32_t tag = tagOf(hash);
  for (std::size_t at = home(tag);; at = (at + 1) & (index_.size() - 1)) {
    const Entry entry = index_[at];
    if (entry == 0) return kNoSlot;
    if (static_cast<std::uint32_t>(entry >> 32) != tag) continue;
    const auto number = static_cast<std::uint32_t>(entry) - 1;
    const Slot& slot = (*this)[number];
    if (slot.hash != hash) continue;
    const RowBlock* block = slot.pending != nullptr ? slot.pending : slot.committed;
    if (blockHasKey(*block, table, rowId)) return number;
  }
}

std::uint32_t SlotTable::candidate(std::uint64_t hash) const noexcept {
  if (index_.empty()) return kNoSlot;
  const std::uint32_t tag = tagOf(hash);
  for (std::size_t at = home(tag);; at = (at + 1) & (index_.size() - 1)) {
    const Entry entry = index_[at];
    if (entry == 0) return kNoSlot;
    if (static_cast<std::uint32_t>(entry >> 32) == tag) return static_cast<std::uint32_t>(entry) - 1;
  }
}

std::uint32_t SlotTable::add(std::uint64_t hash) {
  std::uint32_t number = 0;
  if (firstFree_ != kNoSlot) {
    number = firstFree_;
    firstFree_ = static_cast<std::uint32_t>((*this)[number].hash);
  } else {
    if (used_ / kPerChunk == chunks_.size()) chunks_.push_back(std::make_unique<Chunk>());
    number = used_++;
  }
  (*this)[number] = Slot{hash, nullptr, nullptr, 0};
  place((static_cast<Entry>(tagOf(hash)) << 32) | (number + 1));
  ++keys_;
  return number;
}

void SlotTable::place(Entry entry) noexcept {
  std::size_t at = home(static_cast<std::uint32_t>(entry >> 32));
  while (index_[at] != 0) at = (at + 1) & (index_.size() - 1);
  index_[at] = entry;
}

void SlotTable::remove(std::uint32_t number) noexcept {
  const std::size_t mask = index_.size() - 1;
  std::size_t hole = home(tagOf((*this)[number].hash));
  while (static_cast<std::uint32_t>(index_[hole]) != number + 1) hole = (hole + 1) & mask;
  // Backward shift: whatever probes past the hole and may live in it moves there.
  for (std::size_t at = (hole + 1) & mask; index_[at] != 0; at = (at + 1) & mask) {
    const std::size_t wanted = home(static_cast<std::uint32_t>(index_[at] >> 32));
    if (((at - wanted) & mask) < ((at - hole) & mask)) continue;
    index_[hole] = index_[at];
    hole = at;
  }
  index_[hole] = 0;
  (*this)[number] = Slot{firstFree_, nullptr, nullptr, 0};  // a free slot's hash links to the next one
  firstFree_ = number;
  --keys_;
}

void SlotTable::reserve(std::size_t more) {
  const std::size_t keys = keys_ + more;
  const std::size_t wanted = std::bit_ceil(keys + keys / 2 + 16);  // at most two thirds full
  if (wanted <= index_.size()) return;
  std::vector<Entry> old = std::exchange(index_, std::vector<Entry>(wanted));
  for (const Entry entry : old) {
    if (entry != 0) place(entry);
  }
}

std::size_t SlotTable::bytes() const noexcept {
  return chunks_.size() * (sizeof(Chunk) + 16) + chunks_.capacity() * sizeof(void*) + index_.capacity() * sizeof(Entry);
}

}  // namespace tidegate::detail
