// Snapshots of the whole state in the shared log: for gateways that join, and so that the log need not be kept for ever
// (decision 29). Chunks are entries like the log's own.
#include <algorithm>
#include <utility>

#include "core/detail/packed.h"
#include "gateway/detail/gateway_core.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace {

constexpr std::size_t kChunkOctets = 512u << 10;
constexpr std::uint32_t kSnapshotSlotsPerLook = 512;
constexpr std::size_t kKeysPerChunk = kChunkOctets / sizeof(SeenKey);

void addNames(const RecordView& record, NameSet& names) {
  names.add(record.table);
  names.add(record.stamp.client);
  names.add(record.rules.contextStamp.client);
  for (const IncomingColumn& column : record.columns) names.add(column.name);
  for (const IncomingColumn& column : record.rules.context) names.add(column.name);
}

/// The keys of one half of the dedupe window, in chunks.
void addKeys(const SeenSet& keys, std::vector<std::string>& chunks) {
  EntryDraft draft;
  std::string octets;
  const auto end = [&] {
    if (octets.empty()) return;
    draft.begin({});
    draft.open(EntryPart::dedupe).append(octets);
    draft.close();
    chunks.emplace_back(draft.finish());
    octets.clear();
  };
  keys.each([&](const SeenKey& key) {
    putFixed64(key.high, octets);
    putFixed64(key.low, octets);
    if (octets.size() >= kKeysPerChunk * sizeof(SeenKey)) end();
  });
  end();
}

}  // namespace

/// A snapshot while it is written. What is small is copied when it begins; log and rows are read piece by piece, as of
/// then, while pushes go on.
class GatewayCore::SharedSnapshot {
 public:
  explicit SharedSnapshot(GatewayCore& core);
  SharedSnapshot(const SharedSnapshot&) = delete;
  SharedSnapshot& operator=(const SharedSnapshot&) = delete;
  ~SharedSnapshot();

  /// The entry that it stands after.
  std::uint64_t position() const noexcept { return position_; }
  bool next(std::string& chunk);

 private:
  void copySmallParts();
  void putState(std::string& out) const;
  bool records(std::string& chunk);
  bool rows(std::string& chunk);
  void putPart(EntryPart part, std::string octets);

  GatewayCore& core_;
  std::uint64_t position_ = 0, sequence_ = 0, head_ = 0;
  std::uint64_t readTo_ = 0, trimmedTo_ = 0;
  std::uint32_t nextSlot_ = 0, endSlot_ = 0;
  std::vector<std::string> small_;  ///< chunks for the end
  std::size_t nextSmall_ = 0;
  bool ended_ = false;
  EntryDraft draft_;
  NameSet names_;
  RecordView record_;
  RowImage row_;
};

GatewayCore::SharedSnapshot::SharedSnapshot(GatewayCore& core) : core_(core) {
  const Epilogue epilogue(core);
  const std::lock_guard commit(core.commitMutex_);
  core.requireWhole();
  position_ = core.journal_->position();
  copySmallParts();
  const std::unique_lock lock(core.mutex);
  sequence_ = core.state.sequence;
  head_ = core.state.head;
  readTo_ = trimmedTo_ = core.state.trimmedTo;
  endSlot_ = core.state.slots.end();
  core.state.retained.open(sequence_);
}

GatewayCore::SharedSnapshot::~SharedSnapshot() {
  const std::unique_lock lock(core_.mutex);
  core_.state.retained.close(sequence_);
}

void GatewayCore::SharedSnapshot::putPart(EntryPart part, std::string octets) {
  draft_.begin({});
  draft_.open(part).append(octets);
  draft_.close();
  small_.emplace_back(draft_.finish());
}

void GatewayCore::SharedSnapshot::copySmallParts() {
  const std::shared_lock lock(core_.mutex);
  addKeys(core_.state.dedupe.older(), small_);
  putPart(EntryPart::turn, {});
  addKeys(core_.state.dedupe.newer(), small_);
  std::string octets;
  core_.ingest.writeAll(octets);
  putPart(EntryPart::ingest, std::move(octets));
  putPart(EntryPart::clients, core_.clients.encode());
  putPart(EntryPart::viewStamps, core_.clients.encodeSnapshots());
  octets.clear();
  putState(octets);
  putPart(EntryPart::state, std::move(octets));
  if (const auto checksum = core_.journal_->checksum()) {
    octets.clear();
    putFixed64(*checksum, octets);
    putPart(EntryPart::after, std::move(octets));
  }
}

void GatewayCore::SharedSnapshot::putState(std::string& out) const {
  const BufferState& held = core_.state;
  for (const std::uint64_t v : {held.head, held.rulesEpoch, held.resyncBefore, held.tombstonesPurgedTo,
                                held.purgedStamp, held.clockSeen, static_cast<std::uint64_t>(held.snapshotRoom)}) {
    putFixed64(v, out);
  }
  putText(held.rules.toJson(), out);
  putVarint(held.snapshotViews.size(), out);
  for (const std::string& view : held.snapshotViews) putText(view, out);
  putVarint(held.purged.size(), out);
  for (const PurgedTable& purge : held.purged) {
    putText(held.names.at(purge.table), out);
    putFixed64(purge.at, out);
  }
}

bool GatewayCore::SharedSnapshot::records(std::string& chunk) {
  if (readTo_ >= head_) return false;
  LogSlice slice;
  {
    const std::shared_lock lock(core_.mutex);
    // What retention dropped meanwhile would be a gap: who reads the snapshot keeps only what comes after it.
    if (core_.state.trimmedTo > readTo_) readTo_ = trimmedTo_ = core_.state.trimmedTo;
    slice = core_.state.log.slice(readTo_, kChunkOctets);
  }
  std::string octets;
  names_.clear();
  for (const char* at = slice.begin; at != slice.end && recordServerHlc(at) <= head_; at += recordSize(at)) {
    record_.read({at, recordSize(at)});
    addNames(record_, names_);
    octets.append(at, recordSize(at));
    readTo_ = record_.serverHlc;
  }
  if (octets.empty()) {
    readTo_ = std::max(readTo_, head_);
    return false;
  }
  draft_.begin({});
  draft_.names(names_, core_.state.names);
  draft_.open(EntryPart::records).append(octets);
  draft_.close();
  chunk = draft_.finish();
  return true;
}

bool GatewayCore::SharedSnapshot::rows(std::string& chunk) {
  std::string octets;
  names_.clear();
  while (octets.size() < kChunkOctets && nextSlot_ < endSlot_) {
    const std::shared_lock lock(core_.mutex);
    const BufferState& held = core_.state;
    for (const std::uint32_t until = std::min(endSlot_, nextSlot_ + kSnapshotSlotsPerLook); nextSlot_ < until;
         ++nextSlot_) {
      const RowBlock* block = held.slots[nextSlot_].committed;
      if (block == nullptr || block->sequence > sequence_) block = held.retained.find(nextSlot_, sequence_);
      if (block == nullptr) continue;
      readRow(block->octets(), row_);
      names_.addRow(row_);
      putText(block->octets(), octets);
    }
  }
  if (octets.empty()) return false;
  draft_.begin({});
  draft_.names(names_, core_.state.names);
  draft_.open(EntryPart::rows).append(octets);
  draft_.close();
  chunk = draft_.finish();
  return true;
}

bool GatewayCore::SharedSnapshot::next(std::string& chunk) {
  if (records(chunk) || rows(chunk)) return true;
  if (nextSmall_ < small_.size()) {
    chunk = std::move(small_[nextSmall_++]);
    return true;
  }
  if (std::exchange(ended_, true)) return false;
  draft_.begin({});
  putFixed64(trimmedTo_, draft_.open(EntryPart::trimmedTo));
  draft_.close();
  draft_.open(EntryPart::end);
  draft_.close();
  chunk = draft_.finish();
  return true;
}

void GatewayCore::saveSnapshot() {
  if (!shared() || savingSnapshot_.exchange(true)) return;
  try {
    storeSnapshot();
  } catch (...) {
    savingSnapshot_ = false;
    throw;
  }
  savingSnapshot_ = false;
}

void GatewayCore::storeSnapshot() {
  std::uint64_t saved = 0;
  {
    SharedSnapshot snapshot(*this);
    saved = snapshot.position();
    if (saved == lastSnapshot_) return;  // nothing has come since
    journal_->log().putSnapshot(saved, [&](std::string& chunk) { return snapshot.next(chunk); });
  }
  // A gateway that lags by less than a snapshot's time finds all entries still there.
  const std::uint64_t before = std::exchange(lastSnapshot_, saved);
  if (before == 0) return;
  const Epilogue epilogue(*this);
  const std::lock_guard commit(commitMutex_);
  journal_->log().trim(before);
}

/// @return the sequence it stands after; 0: there is none.
std::uint64_t GatewayCore::loadSharedSnapshot() {
  EntryView chunk;
  std::optional<std::uint64_t> checksum;
  bool ended = false;
  std::uint64_t trimmedTo = 0;
  const auto sequence = journal_->log().readSnapshot([&](std::string_view octets) {
    chunk.read(octets, 0);
    if (ended) entryCorrupt(0, "goes on after its end");
    const std::unique_lock lock(mutex);
    loadChunk(chunk, 0);
    if (const EntrySection* section = chunk.find(EntryPart::trimmedTo)) {
      trimmedTo = PackedReader(section->payload).fixed64();
    }
    if (const auto after = chunk.after()) checksum = after;
    ended = chunk.find(EntryPart::end) != nullptr;
  });
  if (!sequence) return 0;
  if (!ended) entryCorrupt(0, "is cut short");
  const std::unique_lock lock(mutex);
  finishSharedLoad(trimmedTo);
  journal_->moveTo(*sequence, checksum);
  return *sequence;
}

void GatewayCore::loadChunk(const EntryView& chunk, std::uint64_t sequence) {
  const EntrySection* names = chunk.find(EntryPart::names);
  names != nullptr ? entryNames_.take(names->payload, sequence) : entryNames_.none(sequence);
  if (chunk.find(EntryPart::records) != nullptr || chunk.find(EntryPart::rows) != nullptr) {
    try {
      staging_.adopt(chunk, entryNames_, sequence);
    } catch (...) {
      undoStaged();
      throw;
    }
    staging_.publish();
  }
  for (const EntrySection& section : chunk.sections) {
    PackedReader in(section.payload);
    if (section.part == EntryPart::dedupe) {
      state.dedupe.reserve(section.payload.size() / sizeof(SeenKey) + 1);
      while (!in.done()) {
        SeenKey key;
        key.high = in.fixed64();
        key.low = in.fixed64();
        if (key.low == 0) entryCorrupt(sequence, "holds an empty key");
        state.dedupe.add(key);
      }
    }
    if (section.part == EntryPart::turn) state.dedupe.rotate();
    if (section.part == EntryPart::ingest) ingest.adopt(section.payload);
    if (section.part == EntryPart::clients) clients.decode(section.payload);
    if (section.part == EntryPart::viewStamps) clients.decodeSnapshots(section.payload);
    if (section.part == EntryPart::state) loadState(section.payload);
  }
  ingest.publish();
}

void GatewayCore::loadState(std::string_view payload) {
  PackedReader in(payload);
  std::uint64_t room = 0;
  for (std::uint64_t* v : {&state.head, &state.rulesEpoch, &state.resyncBefore, &state.tombstonesPurgedTo,
                           &state.purgedStamp, &state.clockSeen, &room}) {
    *v = in.fixed64();
  }
  state.snapshotRoom = room;
  SyncRules rules = SyncRules::parse(in.text());
  if (rules.fingerprint() != state.rules.fingerprint()) state.setRules(std::move(rules));
  state.snapshotViews.clear();
  for (std::uint64_t left = in.varint(); left > 0; --left) state.snapshotViews.emplace_back(in.text());
  for (std::uint64_t left = in.varint(); left > 0; --left) {
    const auto table = state.names.find(in.text());
    const std::uint64_t at = in.fixed64();
    if (table) state.purged.push_back({*table, at, 0});
  }
}

void GatewayCore::finishSharedLoad(std::uint64_t trimmedTo) {
  state.trimmedTo = trimmedTo;
  while (state.log.front() != nullptr && state.log.firstHlc() <= trimmedTo) state.log.dropFront();
  RowImage row;
  for (Tombstone& tombstone : state.tombstones) {
    // Which entry erased a row is not kept with it: who has pulled everything so far knows of all of them.
    readRow(state.slots[tombstone.slot].committed->octets(), row);
    tombstone.at = state.head;
    tombstone.stampedAt = row.erased.hlc;
  }
  std::sort(state.tombstones.begin(), state.tombstones.end(),
            [](const Tombstone& a, const Tombstone& b) { return a.stampedAt < b.stampedAt; });
  restoreClock();
}

}  // namespace tidegate::detail
