#include <algorithm>
#include <bit>
#include <cstring>

#include "durable_streams/detail/content.h"

namespace tidegate::durable_streams::detail {

namespace {

constexpr std::size_t kLeastChunk = 256;
constexpr std::size_t kMostChunk = 64u << 10;

std::shared_ptr<char[]> chunkMemory(std::size_t size) { return std::shared_ptr<char[]>(new char[size]); }

}  // namespace

void Content::grow(Chunk& chunk, std::size_t capacity) {
  // Readers may hold the old octets, so they are left as they are.
  auto larger = chunkMemory(capacity);
  std::memcpy(larger.get(), chunk.octets.get(), chunk.size);
  chunk.octets = std::move(larger);
  chunk.capacity = static_cast<std::uint32_t>(capacity);
}

std::size_t Content::append(Position at, std::string_view octets) {
  std::size_t taken = 0;
  if (chunks_.empty() || chunks_.back().capacity - chunks_.back().size < octets.size()) {
    const std::size_t have = chunks_.empty() ? 0 : chunks_.back().capacity;
    const std::size_t used = chunks_.empty() ? 0 : chunks_.back().size;
    const std::size_t wanted = std::bit_ceil(std::max(kLeastChunk, used + octets.size()));
    if (have != 0 && have < kMostChunk && wanted <= kMostChunk) {
      grow(chunks_.back(), wanted);
      taken = wanted - have;
    } else {
      const std::size_t capacity = std::max(
          octets.size(), std::clamp(std::bit_ceil(octets.size()), have == 0 ? kLeastChunk : kMostChunk, kMostChunk));
      chunks_.push_back({at, chunkMemory(capacity), 0, static_cast<std::uint32_t>(capacity)});
      taken = capacity;
    }
  }
  Chunk& last = chunks_.back();
  std::memcpy(last.octets.get() + last.size, octets.data(), octets.size());
  last.size += static_cast<std::uint32_t>(octets.size());
  return taken;
}

void Content::slices(Position from, Position to, std::vector<ContentSlice>& out) const {
  auto chunk = std::partition_point(chunks_.begin(), chunks_.end(), [&](const Chunk& c) { return c.end() <= from; });
  for (; chunk != chunks_.end() && chunk->begin < to; ++chunk) {
    const Position first = std::max(from, chunk->begin);
    const Position last = std::min(to, chunk->end());
    out.push_back(
        {chunk->octets, chunk->octets.get() + (first - chunk->begin), static_cast<std::size_t>(last - first)});
  }
}

std::size_t Content::dropFront(Position until) {
  if (chunks_.empty() || chunks_.front().end() > until) return 0;
  const std::size_t given = chunks_.front().capacity;
  chunks_.erase(chunks_.begin());
  return given;
}

std::size_t Content::memory() const noexcept {
  std::size_t sum = 0;
  for (const Chunk& chunk : chunks_) sum += chunk.capacity;
  return sum;
}

}  // namespace tidegate::durable_streams::detail
