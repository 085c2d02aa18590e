#include "gateway/detail/segment_log.h"

#include <algorithm>
#include <utility>

#include "core/detail/packed.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace {
constexpr std::uint64_t kDeadAllowed = 16u << 20;
constexpr std::uint64_t kCarriedPerCommit = 4u << 20;

/// A buffer that one huge group made large is not kept.
void shrink(std::string& buffer) {
  constexpr std::size_t kKept = 16u << 20;
  if (buffer.capacity() > kKept) buffer = std::string();
}
}  // namespace

SegmentLog::RowsSegment* SegmentLog::rowsSegment(std::uint64_t id) noexcept {
  return id < firstRows_ || id - firstRows_ >= rows_.size() ? nullptr : &rows_[id - firstRows_];
}

void SegmentLog::forget(const Slot& slot) noexcept {
  RowsSegment* segment = rowsSegment(slot.segment);
  if (segment == nullptr || slot.committed == nullptr) return;
  segment->liveOctets -= slot.committed->size;
  rowsLiveOctets_ -= slot.committed->size;
}

void SegmentLog::put(SegmentKind kind, std::uint64_t id, const std::string& octets) {
  puts_.push_back({{kind, id}, octets});
}

void SegmentLog::writeLog(const BufferState& state, const Staging& staging) {
  const std::vector<std::string_view> parts = state.log.staged();
  if (parts.empty() || parts.front().empty()) return;
  beginSegment(SegmentKind::log, logOctets_);
  putNames(staging.names(), state.names, logOctets_);
  for (const std::string_view part : parts) logOctets_.append(part);
  endSegment(logOctets_);
  put(SegmentKind::log, recordServerHlc(parts.front().data()), logOctets_);
}

void SegmentLog::chooseRowsToCarry(const BufferState& state, const Staging& staging, bool clean) {
  carried_.clear();
  cleaned_ = 0;
  names_.clear();
  for (const NameId id : staging.names().ids()) names_.add(id);
  std::uint64_t dead = rowsOctets_ - rowsLiveOctets_;
  std::uint64_t carried = 0;
  // Oldest first and without gaps: a row forgotten on purpose must never come back from a segment older than the one
  // that held its last state.
  while (clean && cleaned_ < rows_.size() && carried < kCarriedPerCommit &&
         (dead > rowsLiveOctets_ + kDeadAllowed || rows_[cleaned_].liveOctets == 0)) {
    const RowsSegment& segment = rows_[cleaned_];
    for (const std::uint32_t number : segment.slots) {
      const Slot& slot = state.slots[number];
      if (slot.segment != firstRows_ + cleaned_ || slot.pending != nullptr || slot.committed == nullptr) continue;
      carried_.push_back(number);
      carried += slot.committed->size;
      readRow(slot.committed->octets(), image_);
      names_.addRow(image_);
    }
    dead -= segment.octets - segment.liveOctets;
    ++cleaned_;
  }
}

void SegmentLog::writeRows(const BufferState& state, const Staging& staging) {
  if (staging.touched().empty() && carried_.empty()) return;
  std::string& out = rowsSegmentOctets_;
  beginSegment(SegmentKind::rows, out);
  putNames(names_, state.names, out);
  const auto add = [&](const RowBlock& block) { putText(block.octets(), out); };
  for (const std::uint32_t slot : staging.touched()) add(*state.slots[slot].pending);
  for (const std::uint32_t slot : carried_) add(*state.slots[slot].committed);
  endSegment(out);
  put(SegmentKind::rows, nextRows_, out);
}

void SegmentLog::writeSeen(const Staging& staging) {
  if (staging.seen().empty()) return;
  beginSegment(SegmentKind::seen, seenOctets_);
  for (const SeenKey& key : staging.seen()) {
    putFixed64(key.high, seenOctets_);
    putFixed64(key.low, seenOctets_);
  }
  endSegment(seenOctets_);
  put(SegmentKind::seen, nextSeen_, seenOctets_);
}

void SegmentLog::chooseDrops(const BufferState& state) {
  drops_.clear();
  for (const LogSegment& segment : log_) {
    if (segment.lastHlc > state.trimmedTo) break;
    drops_.push_back({SegmentKind::log, segment.id});
  }
  for (std::size_t i = 0; i < cleaned_; ++i) drops_.push_back({SegmentKind::rows, firstRows_ + i});
  for (const SeenSegment& segment : seen_) {
    if (segment.generation + 2 > state.dedupe.generation()) break;
    drops_.push_back({SegmentKind::seen, segment.id});
  }
}

bool SegmentLog::hasGarbage(const BufferState& state) const noexcept {
  return (!log_.empty() && log_.front().lastHlc <= state.trimmedTo) ||
         (!rows_.empty() && rows_.front().liveOctets == 0) ||
         rowsOctets_ - rowsLiveOctets_ > rowsLiveOctets_ + kDeadAllowed;
}

void SegmentLog::commit(BufferState& state, const Staging& staging, IngestBook& ingest, const GatewayMeta& meta,
                        const std::optional<std::string>& clients, bool clean) {
  puts_.clear();
  writeLog(state, staging);
  chooseRowsToCarry(state, staging, clean);
  writeRows(state, staging);
  writeSeen(staging);
  beginSegment(SegmentKind::meta, metaOctets_);
  putMeta(meta, metaOctets_);
  endSegment(metaOctets_);
  put(SegmentKind::meta, kMetaId, metaOctets_);
  if (clients) {
    beginSegment(SegmentKind::meta, clientOctets_);
    clientOctets_.append(*clients);
    endSegment(clientOctets_);
    put(SegmentKind::meta, kClientsId, clientOctets_);
  }
  chooseDrops(state);
  ingest.addSegments(puts_, drops_);
  store_.commit(puts_, drops_);
  committed(state, staging);
  for (std::string* buffer : {&logOctets_, &rowsSegmentOctets_, &seenOctets_}) shrink(*buffer);
}

void SegmentLog::settle(BufferState& state, std::uint32_t number, std::size_t octets) {
  Slot& slot = state.slots[number];
  forget(slot);
  slot.segment = nextRows_;
  RowsSegment& segment = rows_.back();
  segment.slots.push_back(number);
  ++slotsKept_;
  segment.octets += octets;
  segment.liveOctets += octets;
  rowsOctets_ += octets;
  rowsLiveOctets_ += octets;
}

void SegmentLog::committed(BufferState& state, const Staging& staging) {
  for (const SegmentRef& drop : drops_) {
    if (drop.kind == SegmentKind::log) log_.pop_front();
    if (drop.kind == SegmentKind::seen) seen_.pop_front();
  }
  if (!staging.touched().empty() || !carried_.empty()) {
    rows_.emplace_back().slots.reserve(staging.touched().size() + carried_.size());
    for (const std::uint32_t slot : staging.touched()) settle(state, slot, state.slots[slot].pending->size);
    for (const std::uint32_t slot : carried_) settle(state, slot, state.slots[slot].committed->size);
    ++nextRows_;
  }
  for (; cleaned_ > 0; --cleaned_) {
    rowsOctets_ -= rows_.front().octets;
    slotsKept_ -= rows_.front().slots.size();
    rows_.pop_front();
    ++firstRows_;
  }
  const std::vector<std::string_view> parts = state.log.staged();
  if (!parts.empty() && !parts.front().empty()) log_.push_back({recordServerHlc(parts.front().data()), staging.head()});
  if (!staging.seen().empty()) seen_.push_back({nextSeen_++, state.dedupe.generation()});
}

std::size_t SegmentLog::bytes() const noexcept {
  return log_.size() * sizeof(LogSegment) + seen_.size() * sizeof(SeenSegment) + rows_.size() * sizeof(RowsSegment) +
         slotsKept_ * sizeof(std::uint32_t) + logOctets_.capacity() + rowsSegmentOctets_.capacity() +
         seenOctets_.capacity();
}

}  // namespace tidegate::detail
