#include "sink/detail/row_slabs.h"

#include <algorithm>
#include <new>

namespace tidegate::detail {

RowSlabs::Chunk& RowSlabs::openNew(std::uint32_t size) {
  const std::size_t wanted = std::max<std::size_t>(std::clamp(capacity_, kLeastChunk, kMostChunk), size);
  Chunk chunk;
  chunk.octets.reset(new char[wanted]);
  chunk.capacity = static_cast<std::uint32_t>(wanted);
  // Numbers of free chunks are used again, in the order in which `rewind` can give them back.
  const std::size_t taken = pending_.size();
  const auto number = taken < free_.size() ? free_[free_.size() - 1 - taken]
                                           : static_cast<std::uint32_t>(chunks_.size() + taken - free_.size());
  pending_.emplace_back(number, std::move(chunk));
  capacity_ += wanted;
  tail_ = number;
  return pending_.back().second;
}

RowPlace RowSlabs::append(std::string_view packed, std::size_t keySize) {
  constexpr std::size_t kMostOctets = std::size_t{1} << 31;
  if (packed.size() > kMostOctets) throw std::bad_alloc();
  const std::uint32_t size = sizeOf(packed.size());
  Chunk& chunk = open(size);
  const RowPlace place = RowPlace{tail_} << 32 | chunk.used;
  auto* record = new (chunk.octets.get() + chunk.used)
      RowRecord{static_cast<std::uint32_t>(packed.size()), static_cast<std::uint32_t>(keySize), 0, 0};
  std::memcpy(record + 1, packed.data(), packed.size());
  chunk.used += size;
  appended_ += size;
  return place;
}

void RowSlabs::publish() {
  const std::size_t again = std::min(pending_.size(), free_.size());
  chunks_.resize(chunks_.size() + pending_.size() - again);
  free_.resize(free_.size() - again);
  for (auto& [number, chunk] : pending_) chunks_[number] = std::move(chunk);
  pending_.clear();
  live_ += appended_;
  appended_ = 0;
  published_ = tail_;
  publishedUsed_ = tail_ == kNoChunk ? 0 : chunks_[tail_].used;
}

void RowSlabs::rewind() noexcept {
  for (const auto& [number, chunk] : pending_) capacity_ -= chunk.capacity;
  pending_.clear();
  appended_ = 0;
  tail_ = published_;
  if (tail_ != kNoChunk) chunks_[tail_].used = publishedUsed_;
}

void RowSlabs::kill(RowPlace place) noexcept {
  const std::uint32_t size = sizeOf(at(place)->size);
  chunkOf(place).dead += size;
  dead_ += size;
  live_ -= size;
}

std::uint32_t RowSlabs::worstChunk() const noexcept {
  std::uint32_t worst = 0;
  for (std::uint32_t i = 0; i < chunks_.size(); ++i) {
    if (chunks_[i].dead > chunks_[worst].dead) worst = i;
  }
  return worst;
}

void RowSlabs::freeChunk(std::uint32_t number) noexcept {
  Chunk& chunk = chunks_[number];
  dead_ -= chunk.dead;
  capacity_ -= chunk.capacity;
  chunk = Chunk{};
  free_.push_back(number);
  if (published_ == number) published_ = tail_;
}

}  // namespace tidegate::detail
