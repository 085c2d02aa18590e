/// Records one after another in chunks. A writer appends where no reader looks yet, then publishes.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace tidegate::detail {

/// A packed row with what its table must know of it. Its octets follow.
struct RowRecord {
  std::uint32_t size = 0;     ///< octets of the packed row
  std::uint32_t keySize = 0;  ///< of these, the key's
  std::uint32_t row = 0;      ///< its number in the table, once published
  std::uint32_t named = 0;    ///< the baseline that named it last

  const char* octets() const noexcept { return reinterpret_cast<const char*>(this + 1); }
  std::string_view packed() const noexcept { return {octets(), size}; }
  std::string_view key() const noexcept { return {octets(), keySize}; }
};

/// A record's place: chunk number and offset in it.
using RowPlace = std::uint64_t;
inline constexpr RowPlace kNoPlace = ~RowPlace{0};

/// @thread `append`, `rewind`: one writer, beside readers of published records. The rest: the writer alone.
class RowSlabs {
 public:
  RowRecord* at(RowPlace place) noexcept { return recordIn(chunkOf(place), place); }
  const RowRecord* at(RowPlace place) const noexcept { return const_cast<RowSlabs*>(this)->at(place); }

  /// Room for a packed row, not yet published. @throws std::bad_alloc
  RowPlace append(std::string_view packed, std::size_t keySize);
  /// Lets readers see what was appended.
  void publish();
  /// Takes back what was appended since the last `publish`.
  void rewind() noexcept;
  /// The record is nobody's any more.
  void kill(RowPlace place) noexcept;

  /// Whether so much of the memory is dead that it is worth moving what lives.
  bool wantsCleaning() const noexcept { return dead_ > kLeastDead && dead_ > live_ / 2; }
  /// Empties the chunk with most dead octets: `move(record, place)` is called for each record in it, and appends those
  /// that live elsewhere; all must be published.
  template <class Move>
  void clean(Move&& move) {
    const std::uint32_t worst = worstChunk();
    if (tail_ == worst) tail_ = kNoChunk;
    if (chunks_[worst].dead < chunks_[worst].used) moveAll(worst, move);
    freeChunk(worst);
  }
  std::size_t bytes() const noexcept { return capacity_; }

 private:
  static constexpr std::uint32_t kNoChunk = UINT32_MAX;
  static constexpr std::size_t kLeastChunk = 4'096, kMostChunk = std::size_t{1} << 20, kLeastDead = kMostChunk;
  struct Chunk {
    std::unique_ptr<char[]> octets{};
    std::uint32_t capacity = 0, used = 0, dead = 0;
  };

  template <class Move>
  void moveAll(std::uint32_t worst, Move&& move) {
    for (std::uint32_t at = 0; at < chunks_[worst].used;) {
      const RowPlace place = RowPlace{worst} << 32 | at;
      RowRecord* record = recordIn(chunks_[worst], place);
      at += sizeOf(record->size);
      move(*record, place);
    }
    publish();
  }
  static std::uint32_t sizeOf(std::size_t octets) noexcept {
    return static_cast<std::uint32_t>((sizeof(RowRecord) + octets + 7) & ~std::size_t{7});
  }
  static RowRecord* recordIn(Chunk& chunk, RowPlace place) noexcept {
    return reinterpret_cast<RowRecord*>(chunk.octets.get() + static_cast<std::uint32_t>(place));
  }
  Chunk& chunkOf(RowPlace place) noexcept {
    const auto number = static_cast<std::uint32_t>(place >> 32);
    if (number < chunks_.size() && chunks_[number].octets) return chunks_[number];
    for (auto& [pendingNumber, chunk] : pending_) {
      if (pendingNumber == number) return chunk;
    }
    __builtin_unreachable();
  }
  /// The chunk that has room for `size` octets.
  Chunk& open(std::uint32_t size) {
    if (tail_ != kNoChunk) {
      Chunk& tail = chunkOf(RowPlace{tail_} << 32);
      if (tail.capacity - tail.used >= size) return tail;
    }
    return openNew(size);
  }
  Chunk& openNew(std::uint32_t size);
  std::uint32_t worstChunk() const noexcept;
  void freeChunk(std::uint32_t number) noexcept;

  std::vector<Chunk> chunks_;                               ///< readers may look in them; free ones are empty
  std::vector<std::pair<std::uint32_t, Chunk>> pending_;    ///< by the number that they will have
  std::vector<std::uint32_t> free_;                         ///< numbers of free chunks
  std::uint32_t tail_ = kNoChunk;                           ///< the chunk that is appended to
  std::uint32_t published_ = kNoChunk, publishedUsed_ = 0;  ///< the tail at the last `publish`
  std::size_t live_ = 0, dead_ = 0, capacity_ = 0, appended_ = 0;
};

}  // namespace tidegate::detail
