#include "durable_streams/detail/compactor.h"

#include <fmt/format.h>

#include <algorithm>

#include "durable_streams/detail/recovery.h"
#include "tidegate/core/error.h"

namespace tidegate::durable_streams::detail {

namespace {

/// Moved octets are committed in pieces of about this size, so that writers wait for no more than one.
constexpr std::size_t kMoveAtOnce = 1u << 20;

}  // namespace

std::shared_ptr<Segment> Compactor::victim(const Journal& journal, double below) {
  std::shared_ptr<Segment> least;
  double leastPart = below;
  for (const auto& [number, segment] : journal.segments()) {
    if (number >= journal.writingTo() || segment->total == 0) continue;
    const bool oldest = number == journal.segments().begin()->first;
    const std::uint64_t needed = segment->live + (oldest ? 0 : segment->tombs);
    const double part = static_cast<double>(needed) / static_cast<double>(segment->total);
    if (part >= leastPart) continue;
    leastPart = part;
    least = segment;
  }
  return least;
}

Extent* Compactor::extentAt(std::uint64_t stream, Position start) {
  const auto at = core_.streams().find(stream);
  if (at == core_.streams().end()) return nullptr;
  auto& extents = at->second->extents;
  const auto extent =
      std::partition_point(extents.begin(), extents.end(), [&](const Extent& e) { return e.end <= start; });
  if (extent == extents.end()) return nullptr;
  const Position begins = extent == extents.begin() ? at->second->base : std::prev(extent)->end;
  return begins == start ? &*extent : nullptr;
}

void Compactor::takeNote(const Record& record) {
  const auto at = core_.noteMap().find(std::string(record.key));
  if (at == core_.noteMap().end()) {
    if (record.value.empty() && !oldest_) journal_.putNoteRemoval(record.key);
  } else if (notes_.insert(at->first).second) {
    journal_.putNote(at->first, at->second);
  }
}

void Compactor::takeRecord(const Segment& segment, const Record& record, std::uint64_t recordsAt) {
  if (record.kind == RecordKind::note) return takeNote(record);
  if (record.kind == RecordKind::remove) {
    // An older segment may still hold records of the stream.
    if (!oldest_) journal_.putRemove(record.stream);
    return;
  }
  if (!core_.streams().contains(record.stream)) return;
  touched_.insert(record.stream);
  if (record.octets.empty()) return;
  const Extent* extent = extentAt(record.stream, record.start);
  if (extent == nullptr || extent->segment != segment.number || extent->at != recordsAt + record.dataAt) return;
  Extent to = journal_.putMove(record.stream, record.start, record.octets);
  to.end = extent->end;
  moves_.push_back({record.stream, record.start, *extent, to});
}

void Compactor::takeBatch(const Segment& segment, std::string_view records, std::uint64_t recordsAt) {
  RecordReader reader(records);
  bool more = true;
  while (more) {
    bool full = false;
    {
      const std::lock_guard guard(core_.lock());
      while (more && !full) {
        const auto record = reader.next();
        more = record.has_value();
        if (record) takeRecord(segment, *record, recordsAt);
        full = journal_.pendingBytes() > kMoveAtOnce;
      }
      full = full || core_.waiting() > 0;
    }
    if (full) {
      commit_();
      applyMoves();
    }
  }
}

void Compactor::applyMoves() {
  const std::lock_guard guard(core_.lock());
  for (const Move& move : moves_) {
    Extent* extent = extentAt(move.stream, move.start);
    const std::uint64_t octets = move.to.end - move.start;
    if (extent == nullptr) {
      // Removed meanwhile: what was moved is not needed either.
      journal_.release(move.to, octets);
      continue;
    }
    *extent = move.to;
    journal_.release(move.from, octets);
  }
  moves_.clear();
}

void Compactor::run(const std::shared_ptr<Segment>& segment) {
  {
    const std::lock_guard guard(core_.lock());
    oldest_ = segment->number == journal_.segments().begin()->first;
  }
  const auto take = [&](std::string_view records, std::uint64_t at, std::uint64_t) {
    takeBatch(*segment, records, at);
  };
  const std::uint64_t end = forEachBatch(*segment->file, segment->seed, take);
  if (end != kSegmentHeader + segment->total) {
    throw Error(
        ErrorCode::storeCorrupt, Retry::afterOperator,
        fmt::format("{}: the commit at offset {} is damaged, so the segment stays; restore the folder from a backup",
                    journal_.files().pathOf(segmentName(segment->number)), end));
  }
  {
    const std::lock_guard guard(core_.lock());
    for (const std::uint64_t id : touched_) {
      const auto at = core_.streams().find(id);
      if (at != core_.streams().end()) journal_.putState(*at->second);
    }
  }
  commit_();
  applyMoves();
}

}  // namespace tidegate::durable_streams::detail
