// Groups as they travel over a shared log (decision 29): what one gateway's staging came to is staged by the others as
// it stands.
#include <algorithm>
#include <cstring>
#include <utility>

#include "core/detail/packed.h"
#include "gateway/detail/staging.h"

namespace tidegate::detail {

void Staging::write(EntryDraft& entry) const {
  if (empty()) return;
  entry.names(names_, state_.names);
  std::string& group = entry.open(EntryPart::group);
  putFixed64(stagedHead_, group);
  putFixed64(nextStamp_, group);
  entry.close();
  if (stagedHead_ != 0) {
    std::string& out = entry.open(EntryPart::records);
    for (const std::string_view part : state_.log.staged()) out.append(part);
    entry.close();
  }
  if (!touched_.empty()) {
    std::string& out = entry.open(EntryPart::rows);
    for (const std::uint32_t slot : touched_) putText(state_.slots[slot].pending->octets(), out);
    entry.close();
  }
  if (!seen_.empty()) {
    std::string& out = entry.open(EntryPart::seen);
    for (const SeenKey& key : seen_) {
      putFixed64(key.high, out);
      putFixed64(key.low, out);
    }
    entry.close();
  }
}

void Staging::adopt(const EntryView& entry, const EntryNames& names, std::uint64_t sequence) {
  const EntrySection* group = nullptr;
  for (const EntrySection& section : entry.sections) {
    if (section.part == EntryPart::group) group = &section;
    if (section.part == EntryPart::rows) adoptRows(section.payload, names);
    if (section.part == EntryPart::records) adoptRecords(section.payload, names, sequence);
    if (section.part == EntryPart::seen) adoptSeen(section.payload, sequence);
  }
  if (group == nullptr) return;
  PackedReader in(group->payload);
  if (in.fixed64() != stagedHead_) entryCorrupt(sequence, "does not end where it says");
  nextStamp_ = in.fixed64();
}

void Staging::adoptRows(std::string_view payload, const EntryNames& names) {
  PackedReader in(payload);
  while (!in.done()) {
    const std::string_view octets = in.text();
    readRow(octets, row_);
    names.apply(row_);
    BlockOwner block;
    if (names.same()) {
      block.reset(allocateBlock(octets.size()));
      std::memcpy(block->data(), octets.data(), octets.size());
      block->visible = row_.visible(state_.names) ? 1 : 0;
    } else {
      block.reset(makeBlock(row_, state_.names, scratch_));
    }
    const std::uint64_t hash = rowKeyHash(state_.tableHash(state_.names.at(row_.table)), row_.rowId);
    state_.slots.reserve(1);
    if (touched_.size() == touched_.capacity()) touched_.reserve(2 * touched_.size() + 16);
    const BlockOwner replaced = setPending(hash, state_.slots.find(hash, row_.table, row_.rowId), std::move(block));
  }
}

void Staging::adoptRecords(std::string_view payload, const EntryNames& names, std::uint64_t sequence) {
  constexpr std::size_t kLeast = 12;
  while (!payload.empty()) {
    if (payload.size() < kLeast || recordSize(payload.data()) < kLeast || recordSize(payload.data()) > payload.size()) {
      entryCorrupt(sequence, "holds a record that is cut short");
    }
    const std::string_view octets = payload.substr(0, recordSize(payload.data()));
    record_.read(octets);
    names.apply(record_);
    if (record_.serverHlc <= head()) entryCorrupt(sequence, "holds a record out of order");
    if (names.same()) {
      std::memcpy(state_.log.reserve(octets.size()), octets.data(), octets.size());
      state_.log.add(octets.size());
    } else {
      RecordDraft draft;
      DeltaId id;
      draft.serverHlc = record_.serverHlc;
      draft.op = record_.op;
      draft.pairedWithNext = record_.pairedWithNext;
      draft.table = record_.table;
      draft.stamp = record_.stamp;
      if (!record_.id.empty()) std::memcpy(id.octets.data(), record_.id.data(), record_.id.size());
      draft.id = record_.id.empty() ? nullptr : &id;
      draft.rowId = record_.rowId;
      draft.columns = record_.columns;
      draft.rules = record_.hasRules ? &record_.rules : nullptr;
      char* to = state_.log.reserve(recordBound(draft));
      state_.log.add(writeRecord(draft, to));
    }
    stagedHead_ = record_.serverHlc;
    payload.remove_prefix(octets.size());
  }
}

void Staging::adoptSeen(std::string_view payload, std::uint64_t sequence) {
  PackedReader in(payload);
  state_.dedupe.reserve(payload.size() / sizeof(SeenKey) + 1);
  seen_.reserve(seen_.size() + payload.size() / sizeof(SeenKey) + 1);
  while (!in.done()) {
    SeenKey key;
    key.high = in.fixed64();
    key.low = in.fixed64();
    if (key.low == 0) entryCorrupt(sequence, "holds an empty key");
    if (state_.dedupe.add(key)) seen_.push_back(key);
  }
}

}  // namespace tidegate::detail
