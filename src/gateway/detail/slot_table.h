/// Rows by key: a dense array of slots that never move, and an open-addressing index of (tag, slot number).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "core/detail/prefetch.h"
#include "gateway/detail/name_table.h"
#include "gateway/detail/row_block.h"

namespace tidegate::detail {

inline constexpr std::uint32_t kNoSlot = UINT32_MAX;

/// One row's place.
struct Slot {
  std::uint64_t hash = 0;
  RowBlock* committed = nullptr;  ///< what readers see; null for a new row not yet published, or a free slot
  RowBlock* pending = nullptr;    ///< staged, not yet published
  std::uint64_t segment = 0;      ///< store segment that holds the newest durable state; 0: none
};

/// @thread One writer, or readers: the owner's lock.
class SlotTable {
 public:
  SlotTable() = default;
  SlotTable(const SlotTable&) = delete;
  SlotTable& operator=(const SlotTable&) = delete;
  ~SlotTable();

  Slot& operator[](std::uint32_t slot) noexcept { return (*chunks_[slot / kPerChunk])[slot % kPerChunk]; }
  const Slot& operator[](std::uint32_t slot) const noexcept { return (*chunks_[slot / kPerChunk])[slot % kPerChunk]; }
  /// Slots ever used; free ones included.
  std::uint32_t end() const noexcept { return used_; }

  std::uint32_t find(std::uint64_t hash, NameId table, std::string_view rowId) const noexcept;
  /// A new slot for a key that `find` did not find. @pre `reserve`d.
  std::uint32_t add(std::uint64_t hash);
  /// Takes a key out; its blocks are the caller's to free.
  void remove(std::uint32_t slot) noexcept;
  /// Makes room for `more` keys, so that `add` cannot fail half-way.
  void reserve(std::size_t more);

  void prefetchIndex(std::uint64_t hash) const noexcept {
    if (!index_.empty()) prefetchLine(&index_[home(tagOf(hash))]);
  }
  /// The slot that probably holds the key, by tag alone; kNoSlot if none can.
  std::uint32_t candidate(std::uint64_t hash) const noexcept;
  void prefetchSlot(std::uint32_t slot) const noexcept { prefetchLine(&(*this)[slot]); }

  std::size_t bytes() const noexcept;

 private:
  static constexpr std::uint32_t kPerChunk = 1024;
  using Chunk = std::array<Slot, kPerChunk>;
  /// tag in the upper 32 bits, slot + 1 in the lower; 0: empty. The home is made from the tag, so that growing never
  /// touches a slot.
  using Entry = std::uint64_t;

  static std::uint32_t tagOf(std::uint64_t hash) noexcept { return static_cast<std::uint32_t>(hash >> 32); }
  std::size_t home(std::uint32_t tag) const noexcept { return tag & (index_.size() - 1); }
  void place(Entry entry) noexcept;

  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::vector<Entry> index_;
  std::uint32_t firstFree_ = kNoSlot;
  std::uint32_t used_ = 0;
  std::size_t keys_ = 0;
};

}  // namespace tidegate::detail
