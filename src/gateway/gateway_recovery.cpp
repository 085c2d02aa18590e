#include <algorithm>
#include <utility>

#include "core/detail/packed.h"
#include "gateway/detail/segment_log.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace {

void requireName(SegmentRef ref, const NameTable& names, NameId id) {
  if (id != kNoName && !names.has(id)) segmentCorrupt(ref, "uses a name that it does not spell");
}

void requireNames(SegmentRef ref, const NameTable& names, const RowImage& row) {
  requireName(ref, names, row.table);
  requireName(ref, names, row.inserted.client);
  requireName(ref, names, row.erased.client);
  for (const ColumnImage& column : row.columns) {
    requireName(ref, names, column.name);
    requireName(ref, names, column.stamp.client);
    requireName(ref, names, column.memorySender);
  }
}

void requireNames(SegmentRef ref, const NameTable& names, const RecordView& record) {
  requireName(ref, names, record.table);
  requireName(ref, names, record.stamp.client);
  requireName(ref, names, record.rules.contextStamp.client);
  for (const IncomingColumn& column : record.columns) requireName(ref, names, column.name);
  for (const IncomingColumn& column : record.rules.context) requireName(ref, names, column.name);
}

}  // namespace

void SegmentLog::loadLog(SegmentRef ref, std::string_view payload, BufferState& state) {
  std::string_view records = takeNames(payload, state.names);
  RecordView view;
  while (!records.empty()) {
    if (records.size() < 12 || recordSize(records.data()) < 12 || recordSize(records.data()) > records.size()) {
      segmentCorrupt(ref, "holds a record that is cut short");
    }
    const std::string_view record = records.substr(0, recordSize(records.data()));
    view.read(record);
    requireNames(ref, state.names, view);
    if (view.serverHlc <= state.head) segmentCorrupt(ref, "holds a record out of order");
    std::copy(record.begin(), record.end(), state.log.reserve(record.size()));
    state.log.add(record.size());
    state.head = view.serverHlc;
    records.remove_prefix(record.size());
  }
  state.log.publish();
  log_.push_back({ref.id, state.head});
}

void SegmentLog::loadRow(SegmentRef ref, std::string_view octets, BufferState& state) {
  readRow(octets, image_);
  requireNames(ref, state.names, image_);
  const std::uint64_t hash = rowKeyHash(state.tableHash(state.names.at(image_.table)), image_.rowId);
  state.slots.reserve(1);
  std::uint32_t number = state.slots.find(hash, image_.table, image_.rowId);
  RowBlock* block = allocateBlock(octets.size());
  std::copy(octets.begin(), octets.end(), block->data());
  block->visible = image_.visible(state.names) ? 1 : 0;
  state.blockBytes += blockBytes(block->size);
  if (number == kNoSlot) number = state.slots.add(hash);
  Slot& slot = state.slots[number];
  slot.pending = block;
  ++state.sequence;  // so that the tombstone of an older state is not taken for one of this
  settle(state, number, octets.size());
  state.publishSlot(number, image_.erased.hlc);
}

void SegmentLog::loadRows(SegmentRef ref, std::string_view payload, BufferState& state) {
  if (rows_.empty()) firstRows_ = ref.id;
  // Cleaning drops from the oldest on only, so ids have no gaps but those of commits that failed.
  while (firstRows_ + rows_.size() <= ref.id) rows_.emplace_back();
  nextRows_ = ref.id;
  PackedReader in(takeNames(payload, state.names));
  while (!in.done()) loadRow(ref, in.text(), state);
  nextRows_ = ref.id + 1;
}

void SegmentLog::loadSeen(SegmentRef ref, std::string_view payload, BufferState& state) {
  PackedReader in(payload);
  state.dedupe.reserve(payload.size() / sizeof(SeenKey) + 1);
  while (!in.done()) {
    SeenKey key;
    key.high = in.fixed64();
    key.low = in.fixed64();
    if (key.low == 0) segmentCorrupt(ref, "holds an empty key");
    state.dedupe.add(key);
  }
  seen_.push_back({ref.id, state.dedupe.generation()});
  nextSeen_ = ref.id + 1;
  state.dedupe.turn();
}

void SegmentLog::dropPurgedRows(BufferState& state, NameId table, std::uint64_t lastRowsSegment) {
  for (std::uint32_t i = 0; i < state.slots.end(); ++i) {
    const Slot& slot = state.slots[i];
    if (slot.committed == nullptr || slot.segment > lastRowsSegment || blockTable(*slot.committed) != table) continue;
    forget(slot);
    state.dropSlot(i);
  }
}

void SegmentLog::finishLoad(BufferState& state, const GatewayMeta& meta) {
  state.head = std::max(state.head, meta.head);
  state.trimmedTo = meta.trimmedTo;
  state.rulesEpoch = meta.rulesEpoch;
  state.resyncBefore = meta.resyncBefore;
  state.tombstonesPurgedTo = meta.tombstonesPurgedTo;
  state.purgedStamp = meta.purgedStamp;
  while (state.log.front() != nullptr && state.log.firstHlc() <= meta.trimmedTo) state.log.dropFront();
  for (const GatewayMeta::Purge& purge : meta.purged) {
    const auto id = state.names.find(purge.table);
    if (!id) continue;  // nothing of it is left in any segment
    dropPurgedRows(state, *id, purge.lastRowsSegment);
    state.purged.push_back({*id, purge.at, purge.lastRowsSegment});
  }
  // Which entry erased a row is not kept with it: who has pulled everything so far knows of all of them.
  for (Tombstone& tombstone : state.tombstones) tombstone.at = state.head;
  std::sort(state.tombstones.begin(), state.tombstones.end(),
            [](const Tombstone& a, const Tombstone& b) { return a.stampedAt < b.stampedAt; });
}

SegmentLog::Recovered SegmentLog::load(BufferState& state, IngestBook& ingest) {
  Recovered recovered;
  ++state.sequence;
  store_.load([&](SegmentRef ref, std::string_view octets) {
    const std::string_view payload = openSegment(ref, octets);
    switch (ref.kind) {
      case SegmentKind::log:
        return loadLog(ref, payload, state);
      case SegmentKind::rows:
        return loadRows(ref, payload, state);
      case SegmentKind::seen:
        return loadSeen(ref, payload, state);
      case SegmentKind::meta:
        if (ref.id == kMetaId)
          recovered.meta = takeMeta(payload);
        else if (ref.id == kClientsId)
          recovered.clients = payload;
        else if (ref.id >= IngestBook::kFirstSegment)
          ingest.load(ref, payload);
        return;
    }
    segmentCorrupt(ref, "is of a kind this library does not know");
  });
  if (!recovered.meta && (state.head != 0 || !rows_.empty()))
    segmentCorrupt({SegmentKind::meta, kMetaId}, "is missing");
  if (recovered.meta) finishLoad(state, *recovered.meta);
  return recovered;
}

}  // namespace tidegate::detail
