#include "gateway/detail/log_chunks.h"

#include <algorithm>
#include <cstring>

#include "gateway/detail/log_record.h"

namespace tidegate::detail {
namespace {
constexpr std::size_t kFirstChunk = 8u << 10;  // a small gateway stays small
constexpr std::size_t kChunk = 256u << 10;
constexpr std::size_t kTypicalRecord = 128;
}  // namespace

char* LogChunks::reserve(std::size_t octets) {
  if (chunks_.empty() || chunks_.back()->capacity - chunks_.back()->size < octets) {
    const std::size_t grown = chunks_.empty() ? kFirstChunk : std::min(kChunk, chunks_.back()->capacity * 2);
    auto chunk = std::make_shared<LogChunk>(std::max(grown, octets));
    chunk->firstOrdinal = end_;
    chunk->offsets.reserve(chunk->capacity / kTypicalRecord);
    chunks_.push_back(std::move(chunk));
    account(*chunks_.back(), true);
  }
  LogChunk& last = *chunks_.back();
  if (last.offsets.size() == last.offsets.capacity()) {
    account(last, false);
    last.offsets.reserve(2 * last.offsets.capacity() + 8);
    account(last, true);
  }
  return last.octets.get() + last.size;
}

void LogChunks::add(std::size_t octets) noexcept {
  LogChunk& last = *chunks_.back();
  last.offsets.push_back(static_cast<std::uint32_t>(last.size));
  last.size += octets;
  stagedOctets_ += octets;
  ++end_;
}

void LogChunks::publish() noexcept {
  published_ = end_;
  publishedOctets_ += stagedOctets_;
  stagedOctets_ = 0;
}

void LogChunks::undo() noexcept {
  while (!chunks_.empty() && chunks_.back()->firstOrdinal >= published_) {
    account(*chunks_.back(), false);
    chunks_.pop_back();
  }
  if (!chunks_.empty()) {
    LogChunk& last = *chunks_.back();
    const std::size_t keep = published_ - last.firstOrdinal;
    if (keep < last.offsets.size()) {
      last.size = last.offsets[keep];
      last.offsets.resize(keep);
    }
    if (last.firstOrdinal + last.offsets.size() <= start_) {  // everything in it was trimmed meanwhile
      account(last, false);
      chunks_.pop_back();
    }
  }
  end_ = published_;
  stagedOctets_ = 0;
}

std::uint64_t LogChunks::hlcAt(const LogChunk& chunk, std::size_t record) const noexcept {
  return recordServerHlc(chunk.octets.get() + chunk.offsets[record]);
}

LogChunks::Place LogChunks::after(std::uint64_t since) const noexcept {
  // The last chunk whose first record is at or before `since` holds the border, or its end is the border.
  std::size_t low = 0, high = chunks_.size();
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (hlcAt(*chunks_[middle], 0) <= since)
      low = middle + 1;
    else
      high = middle;
  }
  const std::size_t chunk = low == 0 ? 0 : low - 1;
  std::size_t first = 0, last = chunks_[chunk]->offsets.size();
  while (first < last) {
    const std::size_t middle = (first + last) / 2;
    if (hlcAt(*chunks_[chunk], middle) <= since)
      first = middle + 1;
    else
      last = middle;
  }
  if (first == chunks_[chunk]->offsets.size()) return {chunk + 1, 0};
  return {chunk, first};
}

LogSlice LogChunks::slice(std::uint64_t since, std::size_t maxOctets) const {
  if (start_ == published_) return {};
  Place place = after(since);
  if (place.chunk == chunks_.size()) return {};
  if (chunks_[place.chunk]->firstOrdinal + place.record < start_) place = {0, start_ - chunks_[0]->firstOrdinal};
  const auto& chunk = chunks_[place.chunk];
  const std::uint64_t ordinal = chunk->firstOrdinal + place.record;
  if (ordinal >= published_) return {};
  const std::size_t readable = std::min<std::size_t>(chunk->offsets.size(), published_ - chunk->firstOrdinal);
  const std::size_t from = chunk->offsets[place.record];
  const auto past = std::lower_bound(chunk->offsets.begin() + static_cast<std::ptrdiff_t>(place.record) + 1,
                                     chunk->offsets.begin() + static_cast<std::ptrdiff_t>(readable),
                                     std::min<std::size_t>(from + maxOctets, UINT32_MAX));
  const bool whole = past == chunk->offsets.begin() + static_cast<std::ptrdiff_t>(readable);
  const std::size_t endOfReadable = readable == chunk->offsets.size() ? chunk->size : chunk->offsets[readable];
  const char* octets = chunk->octets.get();
  return {chunk, octets + from, octets + (whole ? endOfReadable : *past), ordinal};
}

std::vector<std::string_view> LogChunks::staged() const {
  std::vector<std::string_view> parts;
  for (auto chunk = chunks_.rbegin(); chunk != chunks_.rend(); ++chunk) {
    const LogChunk& c = **chunk;
    if (c.firstOrdinal + c.offsets.size() <= published_) break;
    const std::size_t from = c.firstOrdinal >= published_ ? 0 : c.offsets[published_ - c.firstOrdinal];
    parts.emplace_back(c.octets.get() + from, c.size - from);
    if (c.firstOrdinal < published_) break;
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

const char* LogChunks::front() const noexcept {
  if (start_ == published_) return nullptr;
  const LogChunk& chunk = *chunks_.front();
  return chunk.octets.get() + chunk.offsets[start_ - chunk.firstOrdinal];
}

std::uint64_t LogChunks::firstHlc() const noexcept {
  const char* record = front();
  return record == nullptr ? 0 : recordServerHlc(record);
}

void LogChunks::dropFront() noexcept {
  publishedOctets_ -= recordSize(front());
  ++start_;
  const LogChunk& chunk = *chunks_.front();
  if (start_ < chunk.firstOrdinal + chunk.offsets.size()) return;
  account(chunk, false);
  chunks_.pop_front();
}

void LogChunks::account(const LogChunk& chunk, bool added) noexcept {
  const std::size_t size =
      chunk.capacity + chunk.offsets.capacity() * sizeof(std::uint32_t) + sizeof(LogChunk) + 4 * sizeof(void*);
  bytes_ += added ? size : std::size_t{0} - size;
}

}  // namespace tidegate::detail
