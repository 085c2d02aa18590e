#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "durable_streams/detail/store_core.h"
#include "tidegate/core/error.h"

namespace tidegate::durable_streams::detail {

namespace {

/// Appends of one stream that lie closer than this in the log are read at once.
constexpr std::uint32_t kReadGap = 4u << 10;
constexpr std::uint32_t kReadAtOnce = 1u << 20;

[[noreturn]] void damaged(const ReadPiece& piece, std::uint32_t at) {
  throw Error(
      ErrorCode::storeCorrupt, Retry::afterOperator,
      fmt::format("{}: the octets at offset {} are not those that were written; restore the folder from a backup",
                  piece.name, at));
}

/// Appends [first, last) of the piece, read together.
void readTogether(const ReadPiece& piece, std::size_t first, std::size_t last, std::string& buffer, std::string& out) {
  const auto begin = static_cast<std::uint32_t>(piece.at[first] - kDataChecksum);
  const std::size_t size = piece.at[last - 1] + piece.size[last - 1] - begin;
  buffer.resize(size);
  if (piece.file->read(begin, buffer.data(), size) != size) damaged(piece, begin);
  for (std::size_t i = first; i < last; ++i) {
    const char* data = buffer.data() + (piece.at[i] - begin);
    std::uint64_t checksum = 0;
    std::memcpy(&checksum, data - kDataChecksum, kDataChecksum);
    if (dataChecksum({data, piece.size[i]}) != checksum) damaged(piece, piece.at[i]);
    const std::uint32_t skip = i == 0 ? piece.skip : 0;
    const std::uint32_t drop = i + 1 == piece.at.size() ? piece.drop : 0;
    out.append(data + skip, piece.size[i] - skip - drop);
  }
}

void readFromLog(const ReadPiece& piece, std::string& out) {
  std::string buffer;
  std::size_t first = 0;
  while (first < piece.at.size()) {
    std::size_t last = first + 1;
    while (last < piece.at.size() && piece.at[last] >= piece.at[last - 1] + piece.size[last - 1] &&
           piece.at[last] - (piece.at[last - 1] + piece.size[last - 1]) <= kReadGap &&
           piece.at[last] + piece.size[last] - piece.at[first] <= kReadAtOnce) {
      ++last;
    }
    readTogether(piece, first, last, buffer, out);
    first = last;
  }
}

}  // namespace

std::string readPieces(const std::vector<ReadPiece>& plan, std::size_t octets) {
  std::string out;
  out.reserve(octets + 2);
  for (const ReadPiece& piece : plan) {
    if (piece.file) {
      readFromLog(piece, out);
    } else {
      out.append(piece.slice.data, piece.slice.size);
    }
  }
  return out;
}

void StoreCore::planFromLog(const Stream& stream, Position from, Position to, std::vector<ReadPiece>& plan) const {
  auto extent = std::partition_point(stream.extents.begin(), stream.extents.end(),
                                     [&](const Extent& e) { return e.end <= from; });
  Position start = extent == stream.extents.begin() ? stream.base : std::prev(extent)->end;
  std::uint32_t segment = 0;
  for (; extent != stream.extents.end() && start < to; start = extent->end, ++extent) {
    if (plan.empty() || !plan.back().file || extent->segment != segment || plan.back().drop > 0) {
      segment = extent->segment;
      plan.push_back(
          {.file = journal_->segments().at(segment)->file, .name = journal_->files().pathOf(segmentName(segment))});
      plan.back().skip = start < from ? static_cast<std::uint32_t>(from - start) : 0;
    }
    ReadPiece& piece = plan.back();
    piece.at.push_back(extent->at);
    piece.size.push_back(static_cast<std::uint32_t>(extent->end - start));
    piece.drop = extent->end > to ? static_cast<std::uint32_t>(extent->end - to) : 0;
  }
}

void StoreCore::planRead(const Stream& stream, Position from, Position to, std::vector<ReadPiece>& plan) const {
  if (from < stream.base && stream.source != nullptr) planRead(*stream.source, from, std::min(to, stream.base), plan);
  from = std::max(from, stream.base);
  if (from >= to) return;
  const Position cached = std::min(stream.content.begin(stream.tail), to);
  if (from < cached) planFromLog(stream, from, cached, plan);
  std::vector<ContentSlice> slices;
  stream.content.slices(std::max(from, cached), to, slices);
  for (ContentSlice& slice : slices) plan.push_back({.slice = std::move(slice)});
}

StreamRead StoreCore::head(std::string_view path) {
  Aftermath aftermath;
  StreamRead result;
  {
    const std::lock_guard guard(mutex_);
    const Stream* stream = find(path, clock_.wallNow(), aftermath);
    if (stream != nullptr && stream->visible) {
      result.verdict = stream->deleted ? ReadVerdict::gone : ReadVerdict::data;
      result.stream = visibleInfo(*stream);
      result.next = stream->visibleTail;
      result.upToDate = true;
    }
  }
  aftermath.run();
  return result;
}

StreamRead StoreCore::read(std::string_view path, Position from, std::size_t maxBytes) {
  Aftermath aftermath;
  StreamRead result;
  std::vector<ReadPiece> plan;
  {
    const std::lock_guard guard(mutex_);
    const Clock::Micros now = clock_.wallNow();
    Stream* stream = find(path, now, aftermath);
    if (stream != nullptr && stream->visible) {
      result.stream = visibleInfo(*stream);
      if (stream->deleted) {
        result.verdict = ReadVerdict::gone;
      } else if (from > stream->visibleTail || !isBoundary(*stream, from)) {
        result.verdict = ReadVerdict::badPosition;
      } else {
        stream->accessed = now;
        result.verdict = ReadVerdict::data;
        result.next = readEnd(*stream, from, maxBytes);
        result.upToDate = result.next == stream->visibleTail;
        planRead(*stream, from, result.next, plan);
      }
    }
  }
  aftermath.run();
  if (!plan.empty()) result.octets = readPieces(plan, static_cast<std::size_t>(result.next - from));
  return result;
}

}  // namespace tidegate::durable_streams::detail
