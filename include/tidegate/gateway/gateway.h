/// The in-process hub: takes pushes, resolves conflicts column by column, keeps an ordered log, and gives every client
/// its own filtered, gapless view of it.
///
///     Gateway gateway({.rules = SyncRules::parse(json)});
///     gateway.handlePush(push);                                     // a client's own deltas
///     PullResult page = gateway.handlePull({"phone-7", since, 1000}, {{"sub", {"u7"}}});
///
/// The laws it keeps are section 4 of docs/guarantees.md. Origin: LakeSync's SyncGateway.
/// @thread Every member may be called from any thread. Callbacks are never called under a lock.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/clock.h"
#include "tidegate/core/hlc.h"
#include "tidegate/core/row.h"
#include "tidegate/core/schema.h"
#include "tidegate/gateway/messages.h"
#include "tidegate/gateway/shared_log.h"
#include "tidegate/gateway/store.h"
#include "tidegate/gateway/sync_rules.h"

namespace tidegate {

/// Bounds on what one push may hold and on what the gateway keeps. Exceeding one is refused with its name.
struct GatewayLimits {
  std::size_t maxDeltasPerPush = 10'000;
  std::size_t maxPushBytes = 64u << 20;   ///< names and values of one push
  std::size_t maxDeltaBytes = 16u << 20;  ///< names and values of one delta
  std::size_t maxNameBytes = 255;         ///< table and column names
  std::size_t maxRowIdBytes = 1'024;
  std::size_t maxClientIdBytes = 255;
  std::size_t maxColumnsPerDelta = 1'000;
  std::size_t maxPullDeltas = 10'000;
  std::size_t maxBufferBytes = 4ull << 30;  ///< rows + log + dedupe window; past it pushes meet back-pressure
  std::size_t maxNames = 1'000'000;         ///< distinct tables, columns and clients
};

/// How much history is kept for clients that pull. The rows themselves are always kept. 0 means no bound.
struct GatewayRetention {
  std::size_t maxLogBytes = 1ull << 30;
  std::size_t maxLogEntries = 0;
  std::chrono::milliseconds maxLogAge{std::chrono::hours{24 * 7}};
  std::size_t dedupeIds = 1'000'000;  ///< at least this many of the newest (deltaId, op) are remembered
  std::chrono::milliseconds tombstoneRetention{std::chrono::hours{24 * 7}};  ///< clients silent for longer must resync
};

struct GatewayOptions {
  SyncRules rules{};                   ///< default: everybody sees everything. With a shared log only the first
                                       ///< gateway's count: the others take the log's; `setSyncRules` changes all
  std::vector<TableSchema> schemas{};  ///< tables listed here refuse unknown columns and kinds; others take any;
                                       ///< see `setSchema`
  GatewayLimits limits{};
  GatewayRetention retention{};
  std::chrono::milliseconds maxDrift{5000};
  std::shared_ptr<GatewayStore> store{};   ///< null: memory only
  std::shared_ptr<SharedLog> sharedLog{};  ///< instead of a store: this gateway is one of several over the log.
                                           ///< Then whatever writes, snapshots, and pulls from beyond the head or by
                                           ///< clients new under rules may throw storeUnavailable
  const Clock* clock = nullptr;            ///< null: the system's; must outlive the gateway
};

/// Counters since construction, and sizes now.
struct GatewayStats {
  std::size_t rows = 0;  ///< visible rows
  std::size_t tombstones = 0;
  std::size_t logEntries = 0;
  std::size_t logBytes = 0;
  std::size_t rowBytes = 0;
  std::size_t dedupeBytes = 0;
  std::size_t bytes = 0;  ///< all memory held, allocator overhead included; true to within 20 %
  std::size_t dedupeIds = 0;
  std::size_t clients = 0;  ///< clients known within tombstoneRetention
  std::size_t subscribers = 0;
  std::uint64_t pushes = 0, pushesRejected = 0, pushesBackPressured = 0;
  std::uint64_t deltasApplied = 0, deltasDuplicate = 0, deltasNoEffect = 0;
  std::uint64_t pulls = 0, resyncs = 0, entriesScanned = 0;
  std::uint64_t storeCommits = 0, storeFailures = 0;
  Hlc firstHlc;  ///< oldest log entry; 0 if empty
  Hlc lastHlc;   ///< newest log entry ever written; 0 if none
};

/// A consistent picture of a client's view, read row by row. Take it, then pull from `serverHlc`.
/// @thread One at a time. It sees the state as of `serverHlc`, whatever is pushed meanwhile.
class GatewaySnapshot {
 public:
  struct Impl;
  explicit GatewaySnapshot(std::unique_ptr<Impl> impl);
  GatewaySnapshot(GatewaySnapshot&&) noexcept;
  GatewaySnapshot& operator=(GatewaySnapshot&&) noexcept;
  ~GatewaySnapshot();

  Hlc serverHlc() const noexcept;
  /// The next visible row as an insert with all its columns (clientId and hlc those of its newest register; id null).
  /// @return false at the end.
  bool next(RowDelta& row);

 private:
  std::unique_ptr<Impl> impl_;
};

/// What a subscriber is told.
struct SubscriptionEvent {
  std::vector<RowDelta> deltas;  ///< in log order, filtered by the view
  Hlc serverHlc;                 ///< covered so far
  bool mustResync = false;       ///< it fell behind `maxQueuedEntries`, or its view changed; nothing more follows
  bool closed = false;           ///< unsubscribed, or the gateway ended
};

/// A position in the log that follows it. Holds no queue: it reads the log, so a slow reader costs no memory.
/// @thread One reader at a time; `close` from any.
class Subscription {
 public:
  struct Impl;
  explicit Subscription(std::shared_ptr<Impl> impl);
  Subscription(Subscription&&) noexcept;
  Subscription& operator=(Subscription&&) noexcept;
  ~Subscription();
  /// Waits up to `timeout` for something to tell. nullopt: nothing new.
  std::optional<SubscriptionEvent> next(std::chrono::milliseconds timeout);
  /// Wakes and ends a waiting `next`. Idempotent.
  void close() noexcept;

 private:
  std::shared_ptr<Impl> impl_;
};

struct SubscribeOptions {
  std::string clientId{};
  Hlc sinceHlc{};  ///< 0: only what comes from now on
  std::size_t maxBatch = 1'000;
  std::size_t maxQueuedEntries = 100'000;  ///< log entries a subscriber may lie behind before it must resync
  /// Called after a commit that the subscription has not read yet, on the committing thread, outside every lock;
  /// must not block. For hosts with an event loop of their own: they call `next` once first, since nobody is told of
  /// what was committed before `subscribe` returned. May be empty.
  std::function<void()> onReady{};
};

class Gateway {
 public:
  /// Opens the store, if any, and brings back rows, log, dedupe window and clock.
  /// @throws Error{invalidConfig}; Error{storeUnavailable, storeCorrupt}
  explicit Gateway(GatewayOptions options = {});
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  /// Applies a batch: all of it or none.
  /// @param push 0..maxDeltasPerPush deltas.
  /// @return status, one verdict per delta, and the `serverHlc` of the last log entry written.
  /// @throws Error{storeUnavailable, Retry::later} if the store cannot commit; the gateway is unchanged.
  ///         Error{storeUnavailable, Retry::outcomeUnknown} if nobody knows whether it did; over a shared log push
  ///         again then: what was written changes nothing.
  ///         Error{fenced, Retry::afterOperator} if `context.notes` is of an epoch that is over.
  /// Origin: LakeSync's gateway push; differs in that everything is checked before anything is applied.
  PushResult handlePush(const SyncPush& push, PushContext context = {});

  /// `handlePush` of a stranger's push as it stands in its JSON, in one pass where it is written plainly: about twice
  /// as quick as reading it first.
  /// @param mayPush asked with the push's clientId before anything is applied; what it throws is thrown.
  /// @throws Error{parseError} as `pushFromJson`; else as `handlePush`.
  PushResult handlePushJson(std::string_view json, const std::function<void(std::string_view clientId)>& mayPush);

  /// Whether `handlePush` would find fault with a delta, as it answers then; nothing is applied.
  PushResult checkPush(const SyncPush& push, PushContext context = {}) const;

  /// One page of the log as the client may see it. Reads each log entry at most once over a whole catch-up.
  /// @throws Error{invalidArgument} for a client id or page size outside the limits.
  PullResult handlePull(const SyncPull& pull, const Claims& claims = {});

  /// The client's view now, streamed. `clientId`, where given, makes the client known from here on.
  GatewaySnapshot snapshot(const Claims& claims = {}, std::string_view clientId = {});

  /// Follows the log in process.
  Subscription subscribe(SubscribeOptions options, const Claims& claims = {});

  /// The visible row, or nullopt. The column list holds its columns in the order they were first written.
  std::optional<Row> row(std::string_view table, std::string_view rowId) const;

  /// Row ids of the table's visible rows that an ingest sender brought, whoever edited them since: what a sink must
  /// take out again when its source has lost them. Reads the rows in slices; a row that comes meanwhile may be missing.
  std::vector<std::string> ingestedRows(std::string_view table, std::string_view clientId) const;

  /// Takes an ingest sender's notes over: pushes with notes of an older epoch are fenced off from here on. Durable when
  /// it returns, where there is a store. @return the new epoch, and the notes.
  /// @throws Error{invalidArgument} for the id; Error{storeUnavailable}
  IngestState takeIngest(std::string_view clientId);
  /// The sender's notes as they are now.
  IngestState ingestState(std::string_view clientId) const;

  GatewayStats stats() const;

  /// Replaces the rules. Clients whose view changed get `mustResync`.
  void setSyncRules(SyncRules rules);
  SyncRules syncRules() const;

  /// Judges pushes that begin from now on by this schema of its table. Kept in memory: hand it to the next gateway in
  /// `GatewayOptions::schemas`. @throws Error{invalidConfig} for one without a table, or with a column named twice.
  void setSchema(TableSchema schema);
  std::vector<TableSchema> schemas() const;

  /// Up to where a client is known to hold the log: what it last pulled from. nullopt for one that is not known.
  std::optional<Hlc> pulledTo(std::string_view clientId) const;
  /// Whether pushes wait for a store or a shared log.
  bool hasStore() const noexcept;

  /// Forgets a table: rows, tombstones, and its log entries for readers to come. Clients that pulled it must resync.
  /// @return rows removed.
  std::size_t purgeTable(std::string_view table);
  /// Forgets a client: it is no longer waited for by tombstones. Its edits stay.
  /// @return whether it was known.
  bool purgeClient(std::string_view clientId);
  /// Trims the log and tombstones to the retention now; also done as pushes arrive. @return log entries dropped.
  std::size_t enforceRetention();

  /// Applies what other gateways have appended to the shared log by now. Wakes of the log, and pulls from beyond the
  /// head, do so by themselves. @return the head, as `GatewayStats::lastHlc`.
  /// @throws Error{storeUnavailable}; Error{storeCorrupt} for an entry that this version cannot read;
  ///         Error{positionLost, Retry::afterOperator} if the log was trimmed past this gateway: open it anew;
  ///         Error{logDiverged, Retry::afterOperator} if the log is not the one that this gateway applied: it then
  ///         stops, pushes, pulls, snapshots and subscriptions get the same (docs/cluster.md).
  Hlc catchUp();
  /// Stores a snapshot in the shared log, so that a gateway that joins need not read all of it, and lets go of the
  /// entries that the snapshot before covers. Pushes and readers go on meanwhile. Call it now and then, on one
  /// gateway. Does nothing without a shared log, or while another thread is at it. @throws Error{storeUnavailable}
  void saveSnapshot();

  /// The clock that stamps the log; pollers in this process stamp their deltas with it.
  HlcClock& clock() noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidegate
