// What an entry of the shared log does to a gateway: the same on each (decision 29).
#include <algorithm>
#include <utility>

#include "core/detail/packed.h"
#include "gateway/detail/gateway_core.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace {
constexpr std::size_t kTrimPerApply = 20'000;
constexpr std::size_t kMoreSnapshotRoom = 1'024;

/// Rules of a later version must stop a gateway before it has applied half of an entry.
void checkRules(const EntryView& entry, std::uint64_t sequence) {
  const EntrySection* section = entry.find(EntryPart::rules);
  if (section == nullptr) return;
  PackedReader in(section->payload);
  in.fixed64();
  try {
    SyncRules::parse(in.text());
  } catch (const Error&) {
    entryCorrupt(sequence, "holds sync rules that this version does not know");
  }
}

}  // namespace

void GatewayCore::applyEntry(const EntryView& entry, std::uint64_t sequence) {
  const bool own = appending_ && journal_->isOwn(entry.writer);
  const std::unique_lock lock(mutex);
  if (!own) {
    undoStaged();  // it stood on what this entry changes
    try {
      checkRules(entry, sequence);
      const EntrySection* names = entry.find(EntryPart::names);
      names != nullptr ? entryNames_.take(names->payload, sequence) : entryNames_.none(sequence);
      staging_.adopt(entry, entryNames_, sequence);
      for (const EntrySection& section : entry.sections) {
        if (section.part == EntryPart::ingest) ingest.adopt(section.payload);
      }
    } catch (...) {
      undoStaged();
      throw;
    }
  }
  appending_ = false;
  try {
    staging_.publish();
    ingest.publish();
    for (const EntrySection& section : entry.sections) applyPart(section);
    restoreClock();
    trimLog(kTrimPerApply);
  } catch (...) {
    broken_ = true;
    throw;
  }
}

void GatewayCore::restoreClock() {
  clock.restore(Hlc{std::max({state.head + state.snapshotRoom, state.resyncBefore, state.clockSeen})});
}

void GatewayCore::applyPart(const EntrySection& section) {
  switch (section.part) {
    case EntryPart::drops:
      return applyDrops(section.payload);
    case EntryPart::begin:
      state.resyncBefore = PackedReader(section.payload).fixed64();
      return;
    case EntryPart::rules:
      return applyRules(section.payload);
    case EntryPart::purge:
      return applyPurge(section.payload);
    case EntryPart::snapshot:
    case EntryPart::client:
    case EntryPart::clientGone:
      return applyReader(section);
    default:
      return;  // staged and published, or of snapshots
  }
}

void GatewayCore::applyDrops(std::string_view payload) {
  PackedReader in(payload);
  state.purgedStamp = std::max(state.purgedStamp, in.fixed64());
  state.tombstonesPurgedTo = std::max(state.tombstonesPurgedTo, in.fixed64());
  while (!in.done()) {
    const std::string_view table = in.text();
    const std::uint32_t slot = state.findRow(table, in.text());
    if (slot != kNoSlot && state.slots[slot].committed->visible == 0) dropRow(slot);
  }
}

void GatewayCore::applyRules(std::string_view payload) {
  PackedReader in(payload);
  const std::uint64_t at = in.fixed64();
  SyncRules rules = SyncRules::parse(in.text());
  if (rules.fingerprint() != state.rules.fingerprint()) state.setRules(std::move(rules));
  if (at == 0) return;
  state.moveHead(at, 0);
  state.rulesEpoch = at;
}

void GatewayCore::applyPurge(std::string_view payload) {
  PackedReader in(payload);
  const std::uint64_t at = in.fixed64();
  const auto table = state.names.find(in.text());
  state.moveHead(at, 0);
  state.resyncBefore = std::max(state.resyncBefore, at);
  if (!table) return;
  dropTable(*table);
  std::erase_if(state.purged, [&](const PurgedTable& p) { return p.table == *table; });
  state.purged.push_back({*table, at, 0});
}

void GatewayCore::applyReader(const EntrySection& section) {
  PackedReader in(section.payload);
  const std::string_view client = in.text();
  if (section.part == EntryPart::clientGone) {
    clients.forget(client);
  } else if (section.part == EntryPart::snapshot) {
    noteSnapshotView(std::string(in.text()), client);
  } else {
    KnownClient known;
    known.view = in.text();
    known.pulledTo = in.fixed64();
    known.resyncBefore = in.fixed64();
    known.owesSnapshot = in.octet() != 0;
    known.lastSeenMs = nowMs();
    clients.learn(client, std::move(known));
  }
}

/// The stamps after the head are given to views in the log's order, so each is one view's on every gateway.
void GatewayCore::noteSnapshotView(const std::string& view, std::string_view client) {
  if (state.head == 0) return;
  auto stamp = state.snapshotStamp(view);
  if (!stamp) {
    state.snapshotRoom += kMoreSnapshotRoom;
    stamp = state.snapshotStamp(view);
  }
  clients.noteSnapshot(view, *stamp);
  if (!client.empty()) clients.noteSnapshot(client, *stamp, view, nowMs(), true);
}

}  // namespace tidegate::detail
