#include "durable_streams/detail/journal.h"

#include <fmt/format.h>

#include <random>

#include "tidegate/core/error.h"

namespace tidegate::durable_streams::detail {

std::string segmentName(std::uint32_t number) { return fmt::format("{:010}.segment", number); }

Journal::Journal(FileSystem& files, std::uint64_t segmentBytes) : files_(files), segmentBytes_(segmentBytes) {
  next_.commit = 1;
  next_.octets.assign(kBatchHeader, '\0');
}

std::shared_ptr<Segment> Journal::segmentOf(std::uint32_t number) {
  auto& segment = segments_[number];
  if (!segment) segment = std::make_shared<Segment>(Segment{.number = number});
  return segment;
}

void Journal::resume(std::uint64_t lastCommit, std::uint32_t segment, std::uint64_t at) {
  const bool full = at == 0 || at >= segmentBytes_;
  next_.commit = lastCommit + 1;
  next_.segment = segmentOf(full ? segment + 1 : segment);
  next_.at = full ? 0 : at;
}

void Journal::count(std::uint32_t segment, std::int64_t live) {
  const auto at = segments_.find(segment);
  if (at != segments_.end()) at->second->live += static_cast<std::uint64_t>(live);
}

void Journal::retain(const Extent& extent, std::uint64_t octets) {
  count(extent.segment, static_cast<std::int64_t>(octets + kRecordOverhead));
}

void Journal::release(const Extent& extent, std::uint64_t octets) {
  count(extent.segment, -static_cast<std::int64_t>(octets + kRecordOverhead));
}

void Journal::release(const Stream& stream) {
  count(stream.stateSegment, -static_cast<std::int64_t>(stream.stateBytes));
  Position start = stream.base;
  for (const Extent& extent : stream.extents) {
    release(extent, extent.end - start);
    start = extent.end;
  }
}

void Journal::release(const Note& note) { count(note.segment, -static_cast<std::int64_t>(note.bytes)); }

Extent Journal::placed(std::size_t dataAt, std::uint64_t octets) {
  const std::uint64_t batchAt = next_.at == 0 ? kSegmentHeader : next_.at;
  const Extent extent{.segment = next_.segment->number, .at = static_cast<std::uint32_t>(batchAt + dataAt)};
  if (octets > 0) retain(extent, octets);
  return extent;
}

Extent Journal::putAppend(const AppendRecord& record) {
  const std::size_t dataAt = putAppendRecord(record, next_.octets);
  return placed(dataAt, record.octets.size());
}

Extent Journal::putMove(std::uint64_t stream, Position start, std::string_view octets) {
  const std::size_t dataAt = putMoveRecord(stream, start, octets, next_.octets);
  return placed(dataAt, octets.size());
}

void Journal::putState(Stream& stream) {
  count(stream.stateSegment, -static_cast<std::int64_t>(stream.stateBytes));
  const std::size_t begin = next_.octets.size();
  putStateRecord(stream, next_.octets);
  stream.stateSegment = next_.segment->number;
  stream.stateBytes = static_cast<std::uint32_t>(next_.octets.size() - begin);
  next_.segment->live += stream.stateBytes;
}

void Journal::putRemove(std::uint64_t stream) {
  const std::size_t begin = next_.octets.size();
  putIdRecord(RecordKind::remove, stream, next_.octets);
  next_.segment->tombs += next_.octets.size() - begin;
}

void Journal::putSoftDelete(std::uint64_t stream) { putIdRecord(RecordKind::softDelete, stream, next_.octets); }

void Journal::putNote(std::string_view key, Note& note) {
  release(note);
  const std::size_t begin = next_.octets.size();
  putNoteRecord(key, note.value, next_.octets);
  note.segment = next_.segment->number;
  note.bytes = static_cast<std::uint32_t>(next_.octets.size() - begin);
  next_.segment->live += note.bytes;
}

void Journal::putNoteRemoval(std::string_view key) {
  const std::size_t begin = next_.octets.size();
  putNoteRecord(key, {}, next_.octets);
  next_.segment->tombs += next_.octets.size() - begin;
}

Batch Journal::takeBatch() {
  Batch taken = std::move(next_);
  taken.segment->total += taken.octets.size();
  next_.commit = taken.commit + 1;
  next_.segment = taken.segment;
  next_.at = (taken.at == 0 ? kSegmentHeader : taken.at) + taken.octets.size();
  if (next_.at >= segmentBytes_) {
    next_.segment = segmentOf(taken.segment->number + 1);
    next_.at = 0;
  }
  next_.octets.assign(kBatchHeader, '\0');
  return taken;
}

void Journal::makeSegment(Segment& segment) {
  std::random_device random;
  segment.seed = (std::uint64_t{random()} << 32) | random();
  segment.file = files_.open(segmentName(segment.number), true);
  segment.file->write(0, segmentHeader(segment.number, segment.seed));
  // Before any batch, so that a whole header is there wherever a batch is.
  segment.file->sync();
  files_.syncFolder();
}

void Journal::write(Batch& batch) {
  Segment& segment = *batch.segment;
  if (batch.at == 0) {
    makeSegment(segment);
    batch.at = kSegmentHeader;
  }
  sealBatch(batch.octets, batch.commit, segment.seed);
  segment.file->write(batch.at, batch.octets);
  segment.file->sync();
}

}  // namespace tidegate::durable_streams::detail
