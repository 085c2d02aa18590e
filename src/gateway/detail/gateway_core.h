/// The gateway's shared heart: state under one lock, the commit queue, and those who follow the log. Subscriptions and
/// snapshots own a share of it, so they may outlive the gateway.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <vector>

#include "gateway/detail/buffer_state.h"
#include "gateway/detail/client_registry.h"
#include "gateway/detail/fan_out.h"
#include "gateway/detail/ingest_book.h"
#include "gateway/detail/prepared_push.h"
#include "gateway/detail/segment_log.h"
#include "gateway/detail/shared_journal.h"
#include "gateway/detail/staging.h"
#include "gateway/detail/view_cache.h"
#include "tidegate/gateway/gateway.h"

namespace tidegate::detail {

/// What gateways over one log must tell each other of a reader before it is answered.
struct ReaderNote {
  std::string client{};  ///< may be empty for a snapshot
  std::string view{};    ///< fingerprint; of a snapshot
  KnownClient known{};   ///< unless it is of a snapshot
  enum class Kind : std::uint8_t { known, gone, snapshot } kind = Kind::known;
};

/// One push, or a reader's note, on its way through a group commit.
struct CommitTicket {
  PreparedPush* push = nullptr;  ///< null: a note
  PushResult* result = nullptr;
  const std::string* sender = nullptr;
  const IngestNotes* notes = nullptr;
  std::exception_ptr error;
  bool done = false;  ///< guarded by queueMutex_
  const ReaderNote* note = nullptr;
  /// Called under the state's lock once the note is published, before anything else is.
  const std::function<void()>* published = nullptr;
  std::condition_variable turn{};  ///< it is done, or nobody leads
};

/// Someone who wants to know of commits.
class CommitListener {
 public:
  virtual ~CommitListener() = default;
  virtual void onCommit() noexcept = 0;
  virtual void onGatewayClosed() noexcept = 0;
};

struct GatewayCounters {
  std::atomic<std::uint64_t> pushes{0}, pushesRejected{0}, pushesBackPressured{0};
  std::atomic<std::uint64_t> deltasApplied{0}, deltasDuplicate{0}, deltasNoEffect{0};
  std::atomic<std::uint64_t> pulls{0}, resyncs{0}, entriesScanned{0};
  std::atomic<std::uint64_t> storeCommits{0}, storeFailures{0};
};

/// How far a reading of the log came.
struct LogReading {
  std::uint64_t position = 0;
  bool more = false;
  std::optional<std::string> resync;
};

class GatewayCore : public std::enable_shared_from_this<GatewayCore> {
 public:
  explicit GatewayCore(GatewayOptions options);
  ~GatewayCore();
  void open();   ///< loads the store and sets the rules
  void close();  ///< the gateway ended: wakes whoever waits
  /// Makes room for more stamps that only snapshots get, unless a commit under way may use them. @pre the exclusive
  /// lock.
  bool makeSnapshotRoom();
  std::size_t queued() const;  ///< pushes that wait for the next commit

  PushResult push(const SyncPush& push, PushContext context);
  /// A stranger's push as it stands in its JSON; nullopt where it must be read first. @throws what `mayPush` throws.
  std::optional<PushResult> pushText(std::string_view json, const std::function<void(std::string_view)>& mayPush);
  PushResult check(const SyncPush& push, PushContext context) const;

  /// The view of these claims under the rules now, and the rules' generation.
  CompiledView viewOf(const Claims& claims);
  /// Why a reader at `since` cannot go on; nullopt if it can.
  std::optional<std::string> resyncReason(std::uint64_t since, const ClientView& view) const;
  /// Appends what the view sees after `position`, up to `maxDeltas` (and the second half of a pair).
  /// @param stamps takes the stamp of each delta, unless it is null.
  LogReading read(std::uint64_t position, const CompiledView& view, std::size_t maxDeltas, std::vector<RowDelta>& out,
                  std::vector<Hlc>* stamps = nullptr);

  /// What a subscriber has to read, everything committed by now included.
  Mail takeMail(const CommitListener* who);
  /// Reads the entries of these stamps as `read` would, and takes those that it read out of `stamps`.
  LogReading readStamps(std::vector<std::uint64_t>& stamps, const CompiledView& view, std::size_t maxDeltas,
                        std::vector<RowDelta>& out);
  void giveBackMail(const CommitListener* who, std::vector<std::uint64_t> stamps, bool scan);
  /// From now on the subscriber is told of what its view may see alone. @return whether that began now.
  bool fileView(const CommitListener* who, const CompiledView& view);

  IngestState takeIngest(std::string_view sender);

  void setRules(SyncRules rules);
  void setSchema(TableSchema schema);
  using Schemas = std::shared_ptr<const std::vector<TableSchema>>;
  Schemas schemas() const;
  std::size_t purgeTable(std::string_view table);
  std::size_t enforceRetention();
  GatewayStats stats() const;

  /// Whether this is one of several gateways over one log.
  bool shared() const noexcept { return journal_ != nullptr; }
  /// Applies what other gateways have appended by now. @throws Error{storeUnavailable, storeCorrupt, positionLost}
  void catchUp();
  /// The same, if `since` was given by a gateway that has applied more.
  void catchUpBeyond(std::uint64_t since);
  /// Tells the other gateways. @throws Error{storeUnavailable}
  void shareNote(const ReaderNote& note, const std::function<void()>* published = nullptr);
  bool purgeClient(std::string_view client);
  void saveSnapshot();

  void addListener(std::shared_ptr<CommitListener> listener);
  void removeListener(const CommitListener* listener) noexcept;

  std::int64_t nowMs() const;
  std::uint64_t head() const;

  const GatewayOptions options;
  const Clock& wall;
  HlcClock clock;
  ClientRegistry clients;
  GatewayCounters counters;

  mutable std::shared_mutex mutex;  ///< guards `state` and `ingest`; readers hold it for short slices only
  BufferState state;
  IngestBook ingest;

 private:
  void beginLife();
  void enqueue(CommitTicket& ticket);
  void lead();
  void commitGroup(std::span<CommitTicket* const> group);
  void failGroup(std::span<CommitTicket* const> group, const std::function<std::exception_ptr()>& error);
  void stageOne(CommitTicket& ticket);
  bool underPressure(CommitTicket& ticket) const;
  void makeDurable(const GatewayMeta& meta, bool clean);
  GatewayMeta metaNow() const;
  void publishAndTrim(std::size_t budget);
  std::size_t trimLog(std::size_t budget);
  bool logIsOver() const;
  void dropTombstones(bool now);
  bool dropTombstone(const Tombstone& tombstone);
  std::size_t dropTable(NameId table);
  void dropRow(std::uint32_t slot);
  void writeMeta(const GatewayMeta& meta, bool clean);
  void forgetPurges();
  void requireWhole() const;
  std::uint64_t nextHead();
  void count(const PushResult& result);
  void notify() noexcept;
  void routeNew();

  // Several gateways over one log (gateway_shared.cpp).
  class SharedSnapshot;
  /// Runs what follows a stay under the commit lock, however that ends. Declared before the lock.
  struct Epilogue {
    explicit Epilogue(GatewayCore& owner) : core(owner) {}
    Epilogue(const Epilogue&) = delete;
    Epilogue& operator=(const Epilogue&) = delete;
    ~Epilogue() { core.afterCommit(); }
    GatewayCore& core;
  };
  void openShared();
  void commitShared(std::span<CommitTicket* const> group);
  bool stageShared(std::span<CommitTicket* const> group, bool again, bool sure);
  void writeNotes(std::span<CommitTicket* const> group, EntryDraft& entry) const;
  void writeDrops(EntryDraft& entry, bool now);
  bool appendShared();
  void appendAlone(const std::function<void(EntryDraft&)>& write);
  void readOn();
  void readFromSnapshot();
  void applyEntry(const EntryView& entry, std::uint64_t sequence);
  void applyPart(const EntrySection& section);
  /// So that what is stamped next is later than all that was applied.
  void restoreClock();
  void applyDrops(std::string_view payload);
  void applyRules(std::string_view payload);
  void applyPurge(std::string_view payload);
  void applyReader(const EntrySection& section);
  void noteSnapshotView(const std::string& view, std::string_view client);
  void undoStaged() noexcept;
  IngestState takeIngestShared(std::string_view sender);
  void setRulesShared(const SyncRules& rules);
  std::size_t purgeTableShared(std::string_view table);
  std::size_t enforceRetentionShared();
  /// After every stay under `commitMutex_`: tells who follows, and looks for what came meanwhile.
  void afterCommit() noexcept;
  void onWake() noexcept;
  void answerNews() noexcept;
  void storeSnapshot();
  std::uint64_t loadSharedSnapshot();
  void loadChunk(const EntryView& chunk, std::uint64_t sequence);
  void loadState(std::string_view payload);
  void finishSharedLoad(std::uint64_t trimmedTo);

  std::unique_ptr<PreparedPush> borrowPrepared();
  void giveBack(std::unique_ptr<PreparedPush> prepared);
  LogSlice nextSlice(LogReading& reading, const CompiledView& view, std::vector<PurgedTable>& purged) const;

  mutable std::mutex queueMutex_;
  std::vector<CommitTicket*> queue_;  ///< guarded by queueMutex_
  bool leading_ = false;              ///< guarded by queueMutex_: one of those that wait commits for all

  std::mutex commitMutex_;                  ///< one leader or administrator at a time
  Staging staging_;                         ///< guarded by commitMutex_
  std::unique_ptr<SegmentLog> segments_;    ///< guarded by commitMutex_; null without a store
  std::unique_ptr<SharedJournal> journal_;  ///< the pointer is constant; guarded by commitMutex_; null without a log
  EntryNames entryNames_;                   ///< guarded by commitMutex_
  bool appending_ = false;             ///< guarded by commitMutex_: what is staged is the entry that is being appended
  std::atomic<bool> appended_{false};  ///< others must be woken
  std::atomic<unsigned> news_{0};      ///< the log woke this gateway, and nobody has looked since
  std::atomic<bool> savingSnapshot_{false};  ///< one snapshot of the log at a time
  std::uint64_t lastSnapshot_ = 0;           ///< sequence of the newest known here; whoever saves one may touch it
  std::int64_t tombstonesLookedMs_ = 0;      ///< guarded by commitMutex_
  std::atomic<std::size_t> segmentBytes_{0};
  bool broken_ = false;  ///< guarded by commitMutex_: a commit's outcome is unknown

  mutable std::mutex scratchMutex_;
  std::vector<std::unique_ptr<PreparedPush>> scratch_;  ///< guarded by scratchMutex_

  mutable std::mutex schemasMutex_;
  Schemas schemas_;  ///< guarded by schemasMutex_; pushes under way keep the list that they began with

  mutable std::mutex listenersMutex_;
  std::vector<std::shared_ptr<CommitListener>> listeners_;  ///< guarded by listenersMutex_
  bool closed_ = false;                                     ///< guarded by listenersMutex_

  mutable std::mutex fanOutMutex_;  ///< before `mutex`
  FanOut fanOut_;                   ///< guarded by fanOutMutex_

  ViewCache views_;
};

/// Checks options. @throws Error{invalidConfig} naming the option.
void validateOptions(const GatewayOptions& options);

}  // namespace tidegate::detail
