/// One table's picture in memory: records one after another in chunks, and a sharded index of 8 octets a slot.
///
/// A record is `mark octet, length of id, id, length of row, row`. Rows usually come in the order they were kept in, so
/// `mark` first looks at the record after the last one it found: then neither index nor hash is touched. A replaced
/// record is dead until its chunk is cleaned: live records of the emptiest chunk are moved away as soon as dead octets
/// exceed a tenth of the live ones.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "source/detail/row_id_set.h"
#include "tidegate/source/snapshot_store.h"

namespace tidegate::detail {

class MemoryTable {
 public:
  using Found = TableSnapshot::Found;

  void beginPoll();
  Found mark(std::string_view rowId, std::string_view packed, std::string& before);
  void visitUnmarked(const TableSnapshot::Visitor& visit);
  void put(std::string_view rowId, std::string_view packed);
  void erase(std::string_view rowId);
  std::size_t rows() const noexcept { return rows_; }
  std::size_t bytes() const noexcept;

 private:
  /// A record's place: chunk number and offset in it.
  using Place = std::uint64_t;
  static constexpr Place kNowhere = ~Place{0};
  struct Chunk {
    std::unique_ptr<char[]> octets;
    std::uint32_t capacity = 0, used = 0, live = 0;
  };
  struct Record {
    char* mark = nullptr;
    std::string_view id, row;
    std::uint32_t size = 0;
  };
  /// Linear probing over `tag << 40 | place`; kFree marks a free slot. The tag holds the hash's bits that place it.
  struct Shard {
    std::vector<std::uint64_t> slots;
    std::size_t used = 0;
  };

  Record recordAt(Place place) const;
  /// The record that follows one in its chunk, or the next chunk's first.
  Place following(Place place, const Record& record) const;
  Place firstFrom(std::size_t chunk) const;
  Place find(std::uint64_t hash, std::string_view rowId) const;
  Found judge(Place place, const Record& record, std::string_view packed, std::string& before);

  Place append(std::string_view rowId, std::string_view packed, char mark);
  void kill(Place place, const Record& record);
  std::size_t openChunk(std::size_t need, std::size_t wanted);
  void clean();
  bool cleanOne();
  void freeChunk(std::size_t chunk);

  Shard& shardOf(std::uint64_t hash) { return shards_[hash >> 58]; }
  const Shard& shardOf(std::uint64_t hash) const { return shards_[hash >> 58]; }
  std::uint64_t* slotOf(std::uint64_t hash, Place place);
  void insertSlot(std::uint64_t hash, Place place);
  void eraseSlot(std::uint64_t hash, Place place);
  static void place(Shard& shard, std::uint64_t slot);

  std::vector<Chunk> chunks_;
  std::vector<std::uint32_t> freeChunks_;  ///< numbers to use again
  std::array<Shard, 64> shards_;
  RowIdSet fresh_;  ///< ids marked in this poll that the table does not hold
  static constexpr std::size_t kNoChunk = ~std::size_t{0};
  std::size_t open_ = kNoChunk;  ///< the chunk appended to
  std::size_t rows_ = 0, live_ = 0, used_ = 0, capacity_ = 0;
  Place hint_ = kNowhere;  ///< where the next record is expected
  char poll_ = 1;          ///< the mark of this poll; 0 marks the dead
};

}  // namespace tidegate::detail
