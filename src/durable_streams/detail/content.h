/// The octets of a stream that are in memory: chunks in order, without a gap, up to the stream's tail.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/durable_streams/stream_store.h"

namespace tidegate::durable_streams::detail {

/// A piece of a chunk, alive as long as the slice is. What is appended to the chunk later lies beyond it.
struct ContentSlice {
  std::shared_ptr<char[]> owner;
  const char* data = nullptr;
  std::size_t size = 0;
};

/// @thread One at a time; slices may be read beside it.
class Content {
 public:
  /// @return octets of memory taken by this append, 0 where a chunk had room for it.
  std::size_t append(Position at, std::string_view octets);
  /// Where memory begins; `tail` where there is nothing in memory.
  Position begin(Position tail) const noexcept { return chunks_.empty() ? tail : chunks_.front().begin; }
  /// Appends slices of [from, to), which must be in memory.
  void slices(Position from, Position to, std::vector<ContentSlice>& out) const;
  /// Forgets the first chunk if it ends at or before `until`. @return octets of memory given back.
  std::size_t dropFront(Position until);
  std::size_t memory() const noexcept;

 private:
  struct Chunk {
    Position begin = 0;
    std::shared_ptr<char[]> octets;
    std::uint32_t size = 0;
    std::uint32_t capacity = 0;
    Position end() const noexcept { return begin + size; }
  };
  void grow(Chunk& chunk, std::size_t capacity);

  std::vector<Chunk> chunks_;
};

}  // namespace tidegate::durable_streams::detail
