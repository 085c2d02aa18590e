// A gateway as one of several over one log (decision 29): groups are staged against what has been applied, appended if
// nobody else came first, and otherwise staged again on top of what the others wrote.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/detail/packed.h"
#include "gateway/detail/gateway_core.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace {
constexpr std::size_t kTrimPerEntry = 20'000;

/// Undoes the counts and verdicts of a staging that came to nothing.
void resetResult(const CommitTicket& ticket) {
  PushResult& result = *ticket.result;
  result.status = PushStatus::accepted;
  result.message.clear();
  result.verdicts.assign(ticket.push->deltas.size(), DeltaVerdict{});
  result.applied = result.duplicates = result.noEffect = 0;
}

}  // namespace

void GatewayCore::openShared() {
  journal_ = std::make_unique<SharedJournal>(options.sharedLog);
  {
    const std::lock_guard commit(commitMutex_);
    lastSnapshot_ = loadSharedSnapshot();
    readFromSnapshot();
    appendAlone([this](EntryDraft& entry) {
      if (journal_->position() != 0) return;  // another gateway was first
      // Every record will be stamped after this, so whoever asks from before it was served by another life.
      putFixed64(clock.now().raw, entry.open(EntryPart::begin));
      entry.close();
      std::string& rules = entry.open(EntryPart::rules);
      putFixed64(0, rules);
      putText(state.rules.toJson(), rules);
      entry.close();
    });
  }
  journal_->log().onEntries([this] { onWake(); });
  if (appended_.exchange(false)) journal_->log().appended();
  onWake();  // for what came before the log knew whom to wake
}

void GatewayCore::commitShared(std::span<CommitTicket* const> group) {
  bool sure = false;
  for (bool again = false;; again = true) {
    if (!stageShared(group, again, sure)) {
      readOn();
      sure = true;
      continue;
    }
    EntryDraft& entry = journal_->begin();
    staging_.write(entry);
    if (ingest.staged()) {
      ingest.writeStaged(entry.open(EntryPart::ingest));
      entry.close();
    }
    writeNotes(group, entry);
    if (entry.empty()) return;
    writeDrops(entry, false);
    if (appendShared()) break;
    sure = true;  // the others' entries were read since the pushes came
  }
  const std::unique_lock lock(mutex);
  for (const CommitTicket* ticket : group) {
    if (ticket->published != nullptr) (*ticket->published)();
  }
}

/// @return false if something was refused on a state that may be old: then nothing is staged.
bool GatewayCore::stageShared(std::span<CommitTicket* const> group, bool again, bool sure) {
  const std::unique_lock lock(mutex);
  bool refused = false;
  for (CommitTicket* ticket : group) {
    if (ticket->push == nullptr) continue;
    ticket->error = nullptr;
    if (again) resetResult(*ticket);
    stageOne(*ticket);
    refused = refused || ticket->error || ticket->result->status == PushStatus::rejected;
  }
  if (!refused || sure) return true;
  undoStaged();
  return false;
}

void GatewayCore::writeNotes(std::span<CommitTicket* const> group, EntryDraft& entry) const {
  for (const CommitTicket* ticket : group) {
    if (ticket->note == nullptr) continue;
    const ReaderNote& note = *ticket->note;
    using Kind = ReaderNote::Kind;
    std::string& out = entry.open(note.kind == Kind::snapshot ? EntryPart::snapshot
                                  : note.kind == Kind::gone   ? EntryPart::clientGone
                                                              : EntryPart::client);
    putText(note.client, out);
    if (note.kind == Kind::snapshot) putText(note.view, out);
    if (note.kind == Kind::known) {
      putText(note.known.view, out);
      putFixed64(note.known.pulledTo, out);
      putFixed64(note.known.resyncBefore, out);
      out.push_back(note.known.owesSnapshot ? 1 : 0);
    }
    entry.close();
  }
}

bool GatewayCore::appendShared() {
  appending_ = true;
  try {
    const bool written =
        journal_->append([this](const EntryView& entry, std::uint64_t sequence) { applyEntry(entry, sequence); });
    appending_ = false;
    if (!written) return false;
  } catch (...) {
    appending_ = false;
    counters.storeFailures.fetch_add(1, std::memory_order_relaxed);
    throw;
  }
  counters.storeCommits.fetch_add(1, std::memory_order_relaxed);
  appended_ = true;
  return true;
}

/// Appends an entry that `write` fills anew whenever others came first; it may come to nothing.
void GatewayCore::appendAlone(const std::function<void(EntryDraft&)>& write) {
  try {
    for (;;) {
      EntryDraft& entry = journal_->begin();
      write(entry);
      if (entry.empty() || appendShared()) return;
    }
  } catch (...) {
    const std::unique_lock lock(mutex);
    undoStaged();
    throw;
  }
}

void GatewayCore::readOn() {
  try {
    journal_->readOn([this](const EntryView& entry, std::uint64_t sequence) { applyEntry(entry, sequence); });
  } catch (const Error& error) {
    if (error.code() != ErrorCode::positionLost) throw;
    throw Error(ErrorCode::positionLost, Retry::afterOperator,
                "the shared log was trimmed past this gateway, which was away for too long; open the gateway again: "
                "it then starts from a snapshot");
  }
}

/// The first reading of a gateway's life: what is missing now, no waiting and no opening anew brings back.
void GatewayCore::readFromSnapshot() {
  const std::uint64_t from = journal_->position();
  try {
    journal_->readOn([this](const EntryView& entry, std::uint64_t sequence) { applyEntry(entry, sequence); });
  } catch (const Error& error) {
    if (error.code() != ErrorCode::positionLost || journal_->position() != from) throw;
    throw Error(
        ErrorCode::positionLost, Retry::afterOperator,
        fmt::format(
            "the shared log no longer begins where {}: entries between are gone ({}). Gateways let go only of entries "
            "that a snapshot covers, so the log's servers lost entries or the snapshot, or somebody purged one of "
            "the two. If another gateway still runs, call saveSnapshot() on it and open this one again; else "
            "restore log and snapshots from one backup, or give the gateways a new log and fill it from the sources",
            from == 0 ? std::string("a log without a snapshot must, at its first entry")
                      : fmt::format("its newest snapshot ends, after entry {}", from),
            error.message()));
  }
}

void GatewayCore::undoStaged() noexcept {
  staging_.undo();
  ingest.undo();
  appending_ = false;
}

void GatewayCore::catchUp() {
  if (!shared()) return;
  const Epilogue epilogue(*this);
  const std::lock_guard commit(commitMutex_);
  requireWhole();
  readOn();
}

void GatewayCore::catchUpBeyond(std::uint64_t since) {
  if (!shared()) return;
  journal_->requireOneHistory();  // what this gateway holds may be what no other does
  {
    const std::shared_lock lock(mutex);
    if (since <= state.head + state.snapshotViews.size()) return;
  }
  catchUp();
}

void GatewayCore::shareNote(const ReaderNote& note, const std::function<void()>* published) {
  CommitTicket ticket;
  ticket.note = &note;
  ticket.published = published;
  enqueue(ticket);
  if (ticket.error) std::rethrow_exception(ticket.error);
}

bool GatewayCore::purgeClient(std::string_view client) {
  if (!shared()) return clients.forget(client);
  const bool known = clients.pulledTo(client).has_value();
  ReaderNote note;
  note.client = client;
  note.kind = ReaderNote::Kind::gone;
  shareNote(note);
  return known;
}

IngestState GatewayCore::takeIngestShared(std::string_view sender) {
  const Epilogue epilogue(*this);
  const std::lock_guard commit(commitMutex_);
  requireWhole();
  std::uint64_t epoch = 0;
  appendAlone([&](EntryDraft& entry) {
    const std::unique_lock lock(mutex);
    epoch = ingest.stageEpoch(sender);
    ingest.writeStaged(entry.open(EntryPart::ingest));
    entry.close();
  });
  IngestState taken = ingest.state(sender);
  taken.epoch = epoch;  // where another took it over at once, this one is fenced
  return taken;
}

void GatewayCore::setRulesShared(const SyncRules& rules) {
  const Epilogue epilogue(*this);
  const std::lock_guard commit(commitMutex_);
  requireWhole();
  readOn();
  appendAlone([&](EntryDraft& entry) {
    if (rules.fingerprint() == state.rules.fingerprint()) return;
    std::string& out = entry.open(EntryPart::rules);
    putFixed64(nextHead(), out);
    putText(rules.toJson(), out);
    entry.close();
  });
}

std::size_t GatewayCore::purgeTableShared(std::string_view table) {
  const Epilogue epilogue(*this);
  const std::lock_guard commit(commitMutex_);
  requireWhole();
  readOn();
  std::size_t before = state.visibleRows;
  appendAlone([&](EntryDraft& entry) {
    before = state.visibleRows;
    if (state.head == 0 || !state.names.find(table)) return;
    std::string& out = entry.open(EntryPart::purge);
    putFixed64(nextHead(), out);
    putText(table, out);
    entry.close();
  });
  return before - std::min(before, state.visibleRows);
}

std::size_t GatewayCore::enforceRetentionShared() {
  const Epilogue epilogue(*this);
  const std::lock_guard commit(commitMutex_);
  requireWhole();
  std::size_t dropped = 0;
  for (std::size_t trimmed = kTrimPerEntry; trimmed == kTrimPerEntry; dropped += trimmed) {
    const std::unique_lock lock(mutex);
    trimmed = trimLog(kTrimPerEntry);
  }
  try {
    for (std::size_t before = SIZE_MAX; state.tombstoneRows != 0 && state.tombstoneRows < before;) {
      before = state.tombstoneRows;
      appendAlone([this](EntryDraft& entry) { writeDrops(entry, true); });
    }
  } catch (const Error& error) {
    if (error.retry() != Retry::later) throw;  // else the next commit drops them
  }
  return dropped;
}

/// Adds the tombstones that nobody needs any more: the log says which, so that no gateway ever merges on other ground.
void GatewayCore::writeDrops(EntryDraft& entry, bool now) {
  const std::int64_t wallMs = nowMs();
  if (!now && wallMs - tombstonesLookedMs_ < 1'000 && wallMs >= tombstonesLookedMs_) return;
  tombstonesLookedMs_ = wallMs;
  const std::unique_lock lock(mutex);
  if (state.tombstones.empty() || state.retained.hasReaders()) return;
  const std::uint64_t least = clients.leastPulledTo(wallMs).value_or(UINT64_MAX);
  const std::int64_t ripeBefore = wallMs - options.retention.tombstoneRetention.count();
  std::uint64_t purgedStamp = state.purgedStamp, purgedTo = state.tombstonesPurgedTo;
  std::string keys;
  RowImage row;
  std::size_t past = 0, dropped = 0;  // past: at the queue's front, of rows that have changed since or must stay
  for (std::size_t i = 0; i < state.tombstones.size() && dropped < kTrimPerEntry; ++i) {
    const Tombstone& tombstone = state.tombstones[i];
    if (tombstone.at > least || static_cast<std::int64_t>(Hlc{tombstone.stampedAt}.millis()) >= ripeBefore) break;
    const Slot& slot = state.slots[tombstone.slot];
    const bool changed = slot.committed == nullptr || slot.committed->sequence != tombstone.sequence;
    if (!changed) readRow(slot.committed->octets(), row);
    if (changed || row.remembersIngest(state.names)) {
      past += past == i ? 1 : 0;
      continue;
    }
    if (slot.pending != nullptr) continue;  // changes in this very group
    purgedStamp = std::max(purgedStamp, row.erased.hlc);
    purgedTo = std::max(purgedTo, tombstone.at);
    ++dropped;
    putText(state.names.at(row.table), keys);
    putText(row.rowId, keys);
  }
  state.tombstones.erase(state.tombstones.begin(), state.tombstones.begin() + static_cast<std::ptrdiff_t>(past));
  if (keys.empty()) return;
  std::string& out = entry.open(EntryPart::drops);
  putFixed64(purgedStamp, out);
  putFixed64(purgedTo, out);
  out.append(keys);
  entry.close();
}

void GatewayCore::afterCommit() noexcept {
  notify();
  if (!shared()) return;
  if (appended_.exchange(false)) journal_->log().appended();
  answerNews();
}

void GatewayCore::onWake() noexcept {
  news_.fetch_or(1);
  answerNews();
}

/// A wake never waits for a commit under way: whoever holds the lock looks for news once it has let go. The exchanges
/// order the two: either the wake finds the lock free, or the holder finds the news.
void GatewayCore::answerNews() noexcept {
  while (shared() && news_.fetch_or(0) != 0) {
    {
      const std::unique_lock commit(commitMutex_, std::try_to_lock);
      if (!commit) return;
      news_.exchange(0);
      if (broken_) return;
      try {
        readOn();
      } catch (const std::exception&) {
        // Whoever pushes, or pulls from beyond the head, reads again and is told.
        counters.storeFailures.fetch_add(1, std::memory_order_relaxed);
      }
    }
    notify();
  }
}

}  // namespace tidegate::detail
