#include "gateway/detail/gateway_core.h"

#include <fmt/format.h>

#include <algorithm>

#include "gateway/detail/log_judge.h"
#include "gateway/detail/segment_log.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace {
constexpr std::size_t kSliceOctets = 128u << 10;  // about a thousand records per look under the lock

Error invalidOption(std::string_view name, std::string_view remedy) {
  return Error(ErrorCode::invalidConfig, Retry::never, fmt::format("{}: {}", name, remedy));
}

}  // namespace

void validateOptions(const GatewayOptions& options) {
  const GatewayLimits& limits = options.limits;
  if (limits.maxDeltasPerPush == 0) throw invalidOption("limits.maxDeltasPerPush", "must be at least 1");
  if (limits.maxPullDeltas == 0) throw invalidOption("limits.maxPullDeltas", "must be at least 1");
  if (limits.maxDeltaBytes > (std::size_t{1} << 30))
    throw invalidOption("limits.maxDeltaBytes", "must be at most 1 GiB");
  if (limits.maxNames == 0 || limits.maxNames > 100'000'000) {
    throw invalidOption("limits.maxNames", "must be between 1 and 100,000,000");
  }
  if (options.maxDrift.count() < 0) throw invalidOption("maxDrift", "must not be negative");
  if (options.retention.maxLogAge.count() < 0) throw invalidOption("retention.maxLogAge", "must not be negative");
  if (options.retention.tombstoneRetention.count() < 0) {
    throw invalidOption("retention.tombstoneRetention", "must not be negative");
  }
  if (options.store && options.sharedLog) {
    throw invalidOption("sharedLog", "cannot go with a store: the log keeps everything; leave one of the two out");
  }
}

GatewayCore::GatewayCore(GatewayOptions options_)
    : options((validateOptions(options_), std::move(options_))),
      wall(options.clock != nullptr ? *options.clock : systemClock()),
      clock(wall, HlcClock::Options{options.maxDrift}),
      clients({options.limits.maxNames, options.retention.tombstoneRetention.count()}),
      state(options.limits.maxNames, options.retention.dedupeIds, randomSeed()),
      staging_(state, options.store != nullptr || options.sharedLog != nullptr),
      entryNames_(state.names),
      schemas_(std::make_shared<const std::vector<TableSchema>>(options.schemas)) {}

GatewayCore::~GatewayCore() = default;

void GatewayCore::open() {
  state.setRules(options.rules);
  if (options.sharedLog) return openShared();
  if (!options.store) return beginLife();
  segments_ = std::make_unique<SegmentLog>(*options.store);
  const SegmentLog::Recovered recovered = segments_->load(state, ingest);
  segmentBytes_.store(segments_->bytes(), std::memory_order_relaxed);
  if (!recovered.clients.empty()) clients.decode(recovered.clients);
  clock.restore(Hlc{state.head});
  if (!recovered.meta) return beginLife();
  clock.restore(Hlc{recovered.meta->clockLast});
  if (recovered.meta->rulesFingerprint == state.rules.fingerprint() || state.head == 0) return;
  GatewayMeta meta = metaNow();
  meta.head = meta.rulesEpoch = nextHead();
  writeMeta(meta, true);
  state.head = state.rulesEpoch = meta.head;
}

GatewayCore::Schemas GatewayCore::schemas() const {
  const std::lock_guard lock(schemasMutex_);
  return schemas_;
}

void GatewayCore::setSchema(TableSchema schema) {
  if (schema.table.empty()) throw invalidOption("schema.table", "is missing; name the table");
  for (auto column = schema.columns.begin(); column != schema.columns.end(); ++column) {
    if (&*column != schema.find(column->name)) {
      throw invalidOption("schema.columns", fmt::format("\"{}\" is named twice; leave one out", column->name));
    }
  }
  const std::lock_guard lock(schemasMutex_);
  auto next = std::make_shared<std::vector<TableSchema>>(*schemas_);
  std::erase_if(*next, [&](const TableSchema& known) { return known.table == schema.table; });
  next->push_back(std::move(schema));
  schemas_ = std::move(next);
}

void GatewayCore::beginLife() {
  // Every entry will be stamped after this, so whoever asks from before it was served by another life.
  state.resyncBefore = clock.now().raw;
}

std::int64_t GatewayCore::nowMs() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(wall.wallNow()).count();
}

std::uint64_t GatewayCore::head() const {
  const std::shared_lock lock(mutex);
  return state.head;
}

bool GatewayCore::makeSnapshotRoom() {
  constexpr std::size_t kMore = 1'024;
  // Commits, new rules and purges take stamps before they take the lock: none may be under way.
  const std::unique_lock commit(commitMutex_, std::try_to_lock);
  if (!commit || state.head == 0) return false;
  state.snapshotRoom += kMore;
  clock.restore(Hlc{state.head + state.snapshotRoom});
  return true;
}

CompiledView GatewayCore::viewOf(const Claims& claims) {
  SyncRules rules;
  std::uint64_t generation = 0;
  {
    const std::shared_lock lock(mutex);
    rules = state.rules;
    generation = state.rulesGeneration;
  }
  return views_.get(rules, generation, claims);
}

std::optional<std::string> GatewayCore::resyncReason(std::uint64_t since, const ClientView& view) const {
  const std::shared_lock lock(mutex);
  if (since > state.head + state.snapshotViews.size()) {
    return "sinceHlc is ahead of this gateway's log: it was given by another gateway, or before its store was lost";
  }
  if (since < state.trimmedTo) return "the log no longer reaches back to sinceHlc";
  if (since < state.rulesEpoch && !(since == 0 && view.seesEverything())) return "the sync rules changed since";
  if (since > 0 && since < state.resyncBefore) {
    return "the log does not reach back to sinceHlc: a table was purged since, or the gateway began anew with nothing "
           "stored";
  }
  return std::nullopt;
}

LogSlice GatewayCore::nextSlice(LogReading& reading, const CompiledView& view, std::vector<PurgedTable>& purged) const {
  const std::shared_lock lock(mutex);
  if (view.generation != state.rulesGeneration) {
    reading.more = true;  // what was read so far stands; the next call meets the new rules
    return {};
  }
  if (reading.position < state.trimmedTo) {
    reading.resync = "the log no longer reaches back to sinceHlc";
    return {};
  }
  LogSlice slice = state.log.slice(reading.position, kSliceOctets);
  if (slice.empty()) reading.position = std::max(reading.position, state.head);
  purged = state.purged;
  return slice;
}

LogReading GatewayCore::read(std::uint64_t position, const CompiledView& view, std::size_t maxDeltas,
                             std::vector<RowDelta>& out, std::vector<Hlc>* stamps) {
  LogReading reading{position, false, std::nullopt};
  LogJudge judge(view.view, state.names);
  RecordView record;
  std::vector<PurgedTable> purged;
  std::uint64_t scanned = 0;
  const std::size_t before = out.size();
  for (bool full = false;;) {
    const LogSlice slice = nextSlice(reading, view, purged);
    if (full) reading.more = reading.more || !slice.empty();
    if (full || slice.empty()) break;
    for (const char* at = slice.begin; at != slice.end && !full; at += recordSize(at)) {
      record.read({at, recordSize(at)});
      ++scanned;
      reading.position = record.serverHlc;
      const bool hidden = std::any_of(purged.begin(), purged.end(), [&](const PurgedTable& p) {
        return p.table == record.table && record.serverHlc <= p.at;
      });
      if (!hidden && judge.append(record, out) && stamps != nullptr) stamps->push_back(Hlc{record.serverHlc});
      full = out.size() - before >= maxDeltas && !record.pairedWithNext;
    }
  }
  counters.entriesScanned.fetch_add(scanned, std::memory_order_relaxed);
  return reading;
}

void GatewayCore::close() {
  if (shared()) journal_->log().onEntries({});
  std::vector<std::shared_ptr<CommitListener>> listeners;
  {
    const std::lock_guard lock(listenersMutex_);
    closed_ = true;
    listeners.swap(listeners_);
  }
  for (const auto& listener : listeners) listener->onGatewayClosed();
  // A listener owns this core: what is kept of it here would keep both.
  const std::lock_guard lock(fanOutMutex_);
  for (const auto& listener : listeners) fanOut_.remove(listener.get());
}

GatewayStats GatewayCore::stats() const {
  GatewayStats stats;
  {
    const std::shared_lock lock(mutex);
    stats.rows = state.visibleRows;
    stats.tombstones = state.tombstoneRows;
    stats.logEntries = state.log.entries();
    stats.logBytes = state.log.octets();
    stats.rowBytes = state.rowBytes();
    stats.dedupeBytes = state.dedupe.bytes();
    stats.dedupeIds = state.dedupe.size();
    stats.bytes = state.bytes() + ingest.bytes();
    stats.firstHlc = Hlc{state.log.firstHlc()};
    stats.lastHlc = Hlc{state.head};
  }
  stats.bytes += clients.bytes() + segmentBytes_.load(std::memory_order_relaxed);
  {
    const std::lock_guard lock(scratchMutex_);
    for (const auto& prepared : scratch_) stats.bytes += prepared->bytes();
  }
  stats.clients = clients.count(nowMs());
  {
    const std::lock_guard lock(listenersMutex_);
    stats.subscribers = listeners_.size();
  }
  const auto get = [](const std::atomic<std::uint64_t>& counter) { return counter.load(std::memory_order_relaxed); };
  stats.pushes = get(counters.pushes);
  stats.pushesRejected = get(counters.pushesRejected);
  stats.pushesBackPressured = get(counters.pushesBackPressured);
  stats.deltasApplied = get(counters.deltasApplied);
  stats.deltasDuplicate = get(counters.deltasDuplicate);
  stats.deltasNoEffect = get(counters.deltasNoEffect);
  stats.pulls = get(counters.pulls);
  stats.resyncs = get(counters.resyncs);
  stats.entriesScanned = get(counters.entriesScanned);
  stats.storeCommits = get(counters.storeCommits);
  stats.storeFailures = get(counters.storeFailures);
  return stats;
}

}  // namespace tidegate::detail
