#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "gateway/detail/gateway_core.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace {
constexpr std::size_t kScratchKept = 4;
constexpr std::size_t kScratchBytesKept = 8u << 20;
constexpr std::size_t kTrimPerCommit = 20'000;    // bounds how long a commit holds the lock for retention
constexpr std::int64_t kTombstoneLookMs = 1'000;  // asking every client how far it is costs a walk over them
}  // namespace

std::unique_ptr<PreparedPush> GatewayCore::borrowPrepared() {
  const std::lock_guard lock(scratchMutex_);
  if (scratch_.empty()) return std::make_unique<PreparedPush>();
  auto prepared = std::move(scratch_.back());
  scratch_.pop_back();
  return prepared;
}

void GatewayCore::giveBack(std::unique_ptr<PreparedPush> prepared) {
  if (prepared->bytes() > kScratchBytesKept) return;
  const std::lock_guard lock(scratchMutex_);
  if (scratch_.size() < kScratchKept) scratch_.push_back(std::move(prepared));
}

PushResult GatewayCore::push(const SyncPush& push, PushContext context) {
  if (context.notes != nullptr) {
    for (const IngestNote& note : context.notes->notes) {
      if (note.key.empty()) throw Error(ErrorCode::invalidArgument, Retry::never, "an ingest note has no key; name it");
    }
  }
  PushResult result;
  auto prepared = borrowPrepared();
  const Schemas known = schemas();
  if (preparePush(push, context, {options.limits, *known, clock, state.seed}, *prepared, result)) {
    CommitTicket ticket{prepared.get(), &result, &push.clientId, context.notes, {}, false, nullptr, nullptr, {}};
    enqueue(ticket);
    if (ticket.error) std::rethrow_exception(ticket.error);
  } else {
    result.serverHlc = Hlc{head()};
  }
  giveBack(std::move(prepared));
  count(result);
  return result;
}

std::optional<PushResult> GatewayCore::pushText(std::string_view json,
                                                const std::function<void(std::string_view)>& mayPush) {
  PushResult result;
  auto prepared = borrowPrepared();
  const Schemas known = schemas();
  const auto sender = prepareText(json, {options.limits, *known, clock, state.seed}, *prepared, result);
  if (sender) {
    mayPush(*sender);
    CommitTicket ticket{prepared.get(), &result, &*sender, nullptr, {}, false, nullptr, nullptr, {}};
    enqueue(ticket);
    if (ticket.error) std::rethrow_exception(ticket.error);
    count(result);
  }
  giveBack(std::move(prepared));
  return sender ? std::optional(std::move(result)) : std::nullopt;
}

PushResult GatewayCore::check(const SyncPush& push, PushContext context) const {
  PushResult result;
  PreparedPush prepared;
  const Schemas known = schemas();
  preparePush(push, context, {options.limits, *known, clock, state.seed}, prepared, result);
  result.serverHlc = Hlc{head()};
  return result;
}

void GatewayCore::count(const PushResult& result) {
  const auto add = [](std::atomic<std::uint64_t>& counter, std::uint64_t by) {
    if (by != 0) counter.fetch_add(by, std::memory_order_relaxed);
  };
  add(counters.pushes, 1);
  add(counters.pushesRejected, result.status == PushStatus::rejected ? 1 : 0);
  add(counters.pushesBackPressured, result.status == PushStatus::backPressure ? 1 : 0);
  add(counters.deltasApplied, result.applied);
  add(counters.deltasDuplicate, result.duplicates);
  add(counters.deltasNoEffect, result.noEffect);
}

void GatewayCore::enqueue(CommitTicket& ticket) {
  {
    std::unique_lock lock(queueMutex_);
    queue_.push_back(&ticket);
    // Whoever waits is woken for its own sake, and not kept by the group that commits after its own.
    ticket.turn.wait(lock, [&] { return ticket.done || !leading_; });
    if (!ticket.done) leading_ = true;
  }
  if (ticket.done) return answerNews();
  {
    const std::lock_guard lock(commitMutex_);
    lead();
  }
  afterCommit();
}

std::size_t GatewayCore::queued() const {
  const std::lock_guard lock(queueMutex_);
  return queue_.size();
}

/// Commits all that wait, of whom the caller is one, and gives the lead away.
void GatewayCore::lead() {
  std::vector<CommitTicket*> group;
  {
    const std::lock_guard lock(queueMutex_);
    group.swap(queue_);
  }
  try {
    commitGroup(group);
  } catch (...) {  // no memory even to say what failed: still nobody may wait for ever, or hear that all went well
    for (CommitTicket* ticket : group) ticket->error = std::current_exception();
  }
  const std::lock_guard lock(queueMutex_);
  leading_ = false;
  for (CommitTicket* ticket : group) {
    ticket->done = true;
    ticket->turn.notify_one();  // under the lock: the ticket goes with its push
  }
  if (!queue_.empty()) queue_.front()->turn.notify_one();
}

void GatewayCore::commitGroup(std::span<CommitTicket* const> group) {
  try {
    requireWhole();
    if (shared()) return commitShared(group);
    {
      const std::unique_lock lock(mutex);
      for (CommitTicket* ticket : group) stageOne(*ticket);
      if (!segments_) return publishAndTrim(kTrimPerCommit);
    }
    if (!staging_.empty() || ingest.staged()) makeDurable(metaNow(), true);
    const std::unique_lock lock(mutex);
    publishAndTrim(kTrimPerCommit);
  } catch (const Error& error) {
    failGroup(group, [&] { return std::make_exception_ptr(Error(error.code(), error.retry(), error.message())); });
  } catch (...) {
    failGroup(group, [] { return std::current_exception(); });
  }
}

void GatewayCore::failGroup(std::span<CommitTicket* const> group, const std::function<std::exception_ptr()>& error) {
  const std::unique_lock lock(mutex);
  staging_.undo();
  ingest.undo();
  // Each push throws an exception of its own: they end on threads that share nothing else.
  for (CommitTicket* ticket : group) ticket->error = error();
}

void GatewayCore::requireWhole() const {
  if (shared()) journal_->requireOneHistory();
  if (!broken_) return;
  if (shared()) {
    throw Error(ErrorCode::storeUnavailable, Retry::afterOperator,
                "an entry of the shared log could not be applied whole; open the gateway again");
  }
  throw Error(ErrorCode::storeUnavailable, Retry::afterOperator,
              "the gateway's store did not say whether its last commit happened; open the gateway again");
}

GatewayMeta GatewayCore::metaNow() const {
  GatewayMeta meta;
  meta.head = staging_.head();
  meta.clockLast = clock.last().raw;
  meta.trimmedTo = state.trimmedTo;
  meta.rulesEpoch = state.rulesEpoch;
  meta.resyncBefore = state.resyncBefore;
  meta.tombstonesPurgedTo = state.tombstonesPurgedTo;
  meta.purgedStamp = state.purgedStamp;
  meta.rulesFingerprint = state.rules.fingerprint();
  for (const PurgedTable& purge : state.purged) {
    meta.purged.push_back({std::string(state.names.at(purge.table)), purge.at, purge.lastRowsSegment});
  }
  return meta;
}

void GatewayCore::makeDurable(const GatewayMeta& meta, bool clean) {
  const auto known = clients.encodeIfDue(nowMs());
  try {
    segments_->commit(state, staging_, ingest, meta, known, clean);
    counters.storeCommits.fetch_add(1, std::memory_order_relaxed);
    segmentBytes_.store(segments_->bytes(), std::memory_order_relaxed);
  } catch (const Error& error) {
    counters.storeFailures.fetch_add(1, std::memory_order_relaxed);
    if (known) clients.markUnsaved();
    broken_ = error.retry() == Retry::outcomeUnknown;
    throw;
  } catch (const std::exception& error) {
    // A store that throws anything else has not promised that nothing happened.
    counters.storeFailures.fetch_add(1, std::memory_order_relaxed);
    broken_ = true;
    throw Error(ErrorCode::storeUnavailable, Retry::outcomeUnknown,
                "the gateway's store failed: " + redactSecrets(error.what()) + "; open the gateway again");
  }
}

void GatewayCore::writeMeta(const GatewayMeta& meta, bool clean) {
  if (segments_) makeDurable(meta, clean);
}

bool GatewayCore::underPressure(CommitTicket& ticket) const {
  // Room for the octets twice (row and log) and the fixed parts of record, block, slot and dedupe key.
  constexpr std::size_t kPerDelta = 192;
  const std::size_t growth = 2 * ticket.push->payloadBytes + kPerDelta * ticket.push->deltas.size();
  if (ticket.push->deltas.empty() || state.bytes() + growth <= options.limits.maxBufferBytes) return false;
  PushResult& result = *ticket.result;
  result.status = PushStatus::backPressure;
  result.verdicts.clear();
  result.serverHlc = Hlc{staging_.head()};
  result.message = fmt::format(
      "the gateway holds {} bytes, and this push may add {}, over maxBufferBytes = {}; try again later, "
      "shorten the retention or raise the limit",
      state.bytes(), growth, options.limits.maxBufferBytes);
  return true;
}

void GatewayCore::stageOne(CommitTicket& ticket) {
  if (ticket.notes != nullptr && !ingest.holds(*ticket.sender, ticket.notes->epoch)) {
    ticket.error = std::make_exception_ptr(
        Error(ErrorCode::fenced, Retry::afterOperator,
              fmt::format("another writer took ingest sender \"{}\" over; stop one of the two", *ticket.sender)));
    return;
  }
  if (underPressure(ticket)) return;
  ticket.result->previousHlc = Hlc{staging_.head()};
  staging_.stage(*ticket.push, clock, *ticket.result);
  if (ticket.result->status != PushStatus::accepted) {
    ticket.result->serverHlc = Hlc{staging_.head()};
  } else if (ticket.notes != nullptr) {
    ingest.stage(*ticket.sender, ticket.notes->notes);
  }
}

IngestState GatewayCore::takeIngest(std::string_view sender) {
  if (shared()) return takeIngestShared(sender);
  const std::lock_guard commit(commitMutex_);
  requireWhole();
  {
    const std::unique_lock lock(mutex);
    ingest.stageEpoch(sender);
  }
  try {
    writeMeta(metaNow(), true);
  } catch (...) {
    const std::unique_lock lock(mutex);
    ingest.undo();
    throw;
  }
  const std::unique_lock lock(mutex);
  ingest.publish();
  return ingest.state(sender);
}

void GatewayCore::publishAndTrim(std::size_t budget) {
  staging_.publish();
  ingest.publish();
  trimLog(budget);
  dropTombstones(false);
}

bool GatewayCore::logIsOver() const {
  const GatewayRetention& retention = options.retention;
  const char* front = state.log.front();
  if (front == nullptr) return false;
  if (retention.maxLogBytes != 0 && state.log.octets() > retention.maxLogBytes) return true;
  if (retention.maxLogEntries != 0 && state.log.entries() > retention.maxLogEntries) return true;
  if (retention.maxLogAge.count() == 0) return false;
  const auto writtenMs = static_cast<std::int64_t>(Hlc{recordServerHlc(front)}.millis());
  return writtenMs < nowMs() - retention.maxLogAge.count();
}

std::size_t GatewayCore::trimLog(std::size_t budget) {
  std::size_t dropped = 0;
  for (; dropped < budget && logIsOver(); ++dropped) {
    state.trimmedTo = recordServerHlc(state.log.front());
    state.log.dropFront();
  }
  if (dropped != 0) forgetPurges();
  return dropped;
}

void GatewayCore::forgetPurges() {
  std::erase_if(state.purged, [&](const PurgedTable& purge) {
    return purge.at <= state.trimmedTo && (!segments_ || purge.lastRowsSegment < segments_->firstRowsSegment());
  });
}

bool GatewayCore::dropTombstone(const Tombstone& tombstone) {
  const RowBlock* block = state.slots[tombstone.slot].committed;
  if (block == nullptr || block->sequence != tombstone.sequence) return false;  // the row has changed since
  RowImage row;
  readRow(block->octets(), row);
  // A source still has this row: without the memory its next re-reading would bring the row back to life.
  if (row.remembersIngest(state.names)) return false;
  state.purgedStamp = std::max(state.purgedStamp, row.erased.hlc);
  state.tombstonesPurgedTo = std::max(state.tombstonesPurgedTo, tombstone.at);
  dropRow(tombstone.slot);
  return true;
}

void GatewayCore::dropTombstones(bool now) {
  const std::int64_t wallMs = nowMs();
  const auto ripe = [&] {
    return !state.tombstones.empty() && static_cast<std::int64_t>(Hlc{state.tombstones.front().stampedAt}.millis()) <
                                            wallMs - options.retention.tombstoneRetention.count();
  };
  // Open snapshots may still look for what a slot held.
  if (!ripe() || state.retained.hasReaders()) return;
  if (!now && wallMs - tombstonesLookedMs_ < kTombstoneLookMs && wallMs >= tombstonesLookedMs_) return;
  tombstonesLookedMs_ = wallMs;
  const std::uint64_t least = clients.leastPulledTo(wallMs).value_or(UINT64_MAX);
  for (std::size_t budget = kTrimPerCommit; budget > 0 && ripe() && state.tombstones.front().at <= least; --budget) {
    dropTombstone(state.tombstones.front());
    state.tombstones.pop_front();
  }
}

std::size_t GatewayCore::enforceRetention() {
  if (shared()) return enforceRetentionShared();
  const std::lock_guard commit(commitMutex_);
  requireWhole();
  std::size_t dropped = 0;
  for (bool more = true; more;) {  // in slices, so that readers and pushes get their turn
    const std::unique_lock lock(mutex);
    const std::size_t trimmed = trimLog(kTrimPerCommit);
    const std::size_t before = state.tombstones.size();
    dropTombstones(true);
    dropped += trimmed;
    more = trimmed == kTrimPerCommit || before - state.tombstones.size() == kTrimPerCommit;
  }
  if (!segments_ || !segments_->hasGarbage(state)) return dropped;
  try {
    writeMeta(metaNow(), true);
  } catch (const Error& error) {
    if (error.retry() != Retry::later) throw;  // else the next commit drops the same segments
  }
  return dropped;
}

std::uint64_t GatewayCore::nextHead() { return state.head == 0 ? 0 : clock.now().raw; }

void GatewayCore::setRules(SyncRules rules) {
  if (shared()) return setRulesShared(rules);
  {
    const std::lock_guard commit(commitMutex_);
    requireWhole();
    // Only those under this mutex write the state, so it may be read here without the other lock.
    const bool others = rules.fingerprint() != state.rules.fingerprint();
    GatewayMeta meta = metaNow();
    if (others) meta.head = meta.rulesEpoch = nextHead();
    meta.rulesFingerprint = rules.fingerprint();
    if (others) writeMeta(meta, true);
    const std::unique_lock lock(mutex);
    if (others) state.setRules(std::move(rules));
    state.moveHead(meta.head, 0);
    state.rulesEpoch = meta.rulesEpoch;
  }
  notify();
}

std::size_t GatewayCore::purgeTable(std::string_view table) {
  if (shared()) return purgeTableShared(table);
  std::size_t rows = 0;
  {
    const std::lock_guard commit(commitMutex_);
    requireWhole();
    const auto id = state.names.find(table);
    if (!id) return 0;
    GatewayMeta meta = metaNow();
    meta.head = nextHead();
    meta.resyncBefore = std::max(meta.resyncBefore, meta.head);
    const std::uint64_t lastRows = segments_ ? segments_->lastRowsSegment() : 0;
    std::erase_if(meta.purged, [&](const GatewayMeta::Purge& p) { return p.table == table; });
    meta.purged.push_back({std::string(table), meta.head, lastRows});
    writeMeta(meta, false);  // nothing of the table may be carried past `lastRows`
    const std::unique_lock lock(mutex);
    rows = dropTable(*id);
    state.moveHead(meta.head, 0);
    state.resyncBefore = meta.resyncBefore;
    std::erase_if(state.purged, [&](const PurgedTable& p) { return p.table == *id; });
    state.purged.push_back({*id, meta.head, lastRows});
  }
  notify();
  return rows;
}

std::size_t GatewayCore::dropTable(NameId table) {
  const std::size_t before = state.visibleRows;
  for (std::uint32_t i = 0; i < state.slots.end(); ++i) {
    const RowBlock* block = state.slots[i].committed;
    if (block != nullptr && blockTable(*block) == table) dropRow(i);
  }
  return before - state.visibleRows;
}

void GatewayCore::dropRow(std::uint32_t slot) {
  if (segments_) segments_->forget(state.slots[slot]);
  state.dropSlot(slot);
}

}  // namespace tidegate::detail
