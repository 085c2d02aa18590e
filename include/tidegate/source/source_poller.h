/// The short way for the commonest use: poll a database into a gateway, on a thread of its own or driven by the host.
///
///     SourcePoller poller(config, gateway);
///     poller.start();                    // or: PollReport r = poller.pollOnce();
///     …
///     poller.stop();                     // returns within the deadline, even if a query hangs
///
/// Laws 5.1 to 5.6 of docs/guarantees.md. Origin: LakeSync's SourcePoller.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <vector>

#include "tidegate/core/clock.h"
#include "tidegate/core/error.h"
#include "tidegate/core/state_store.h"
#include "tidegate/gateway/gateway.h"
#include "tidegate/source/ingest_config.h"
#include "tidegate/source/snapshot_store.h"

namespace tidegate {

/// What one poll of one table did.
struct TableReport {
  std::string table;
  std::uint64_t rowsRead = 0;
  std::uint64_t bytesRead = 0;                         ///< of values (`valueBytes`)
  std::uint64_t suppressed = 0;                        ///< rows re-read unchanged: no delta was made
  std::uint64_t inserts = 0, updates = 0, erases = 0;  ///< deltas pushed, by op
  std::uint64_t applied = 0;                           ///< deltas that changed what the gateway's readers see
  std::uint64_t duplicates = 0;                        ///< deltas the gateway knew or that had no effect
  std::uint64_t nullCursorRows = 0;
  std::chrono::microseconds duration{0};
  std::optional<std::chrono::milliseconds> lag;  ///< now minus newest cursor, where that is a time
  std::optional<Error> error;                    ///< what stopped this table's poll; the other tables went on
};

/// What one poll did.
struct PollReport {
  std::vector<TableReport> tables;
  std::chrono::microseconds duration{0};
  std::uint32_t consecutiveFailures = 0;  ///< polls in a row with at least one error, this one included
  bool ok() const noexcept;
};

/// Told about every poll.
/// @thread Called on the polling thread, outside every lock; never after `stop()` returned.
class PollObserver {
 public:
  virtual ~PollObserver() = default;
  virtual void onPoll(const std::string& source, const PollReport& report) {
    (void)source;
    (void)report;
  }
  /// A page was accepted: progress on long first polls.
  virtual void onProgress(const std::string& source, const TableReport& soFar) {
    (void)source;
    (void)soFar;
  }
  virtual void onWarning(const std::string& source, const std::string& message) {
    (void)source;
    (void)message;
  }
};

/// Where the poller pushes; `Gateway::handlePush` in production, a fault injector in a simulation.
using PushFunction = std::function<PushResult(const SyncPush& push, PushContext context)>;

struct SourcePollerOptions {
  std::shared_ptr<StateStore> state{};  ///< null: memory (a restart re-reads everything; the gateway stays silent)
  std::shared_ptr<SnapshotStore> snapshots{};  ///< null: memory
  std::shared_ptr<PollObserver> observer{};    ///< null: warnings and errors go to spdlog's default logger
  const Clock* clock = nullptr;                ///< null: the system's
  Scheduler* scheduler = nullptr;              ///< null: the system's
  std::uint64_t jitterSeed = 0;                ///< 0: seeded from std::random_device
  std::chrono::milliseconds stopDeadline{5'000};
  PushFunction push{};  ///< empty: gateway.handlePush
};

/// Polls one source into one gateway.
/// @thread `start`, `stop`, `pause`, `resume`, `pollOnce` from any; two polls never overlap.
class SourcePoller {
 public:
  /// @throws Error{invalidConfig}. Touches neither the source nor the store. `gateway` must outlive the poller.
  SourcePoller(IngestSourceConfig config, Gateway& gateway, SourcePollerOptions options = {});
  /// Stops.
  ~SourcePoller();
  SourcePoller(const SourcePoller&) = delete;
  SourcePoller& operator=(const SourcePoller&) = delete;

  /// Polls all tables once, on the calling thread. A table's failure is in its report; the others go on.
  /// @throws Error{stopped} after `stop` (until `start`). Never throws for a failing source.
  PollReport pollOnce();
  /// The same with a token that cancels the running query.
  PollReport pollOnce(std::stop_token stop);

  /// Starts the polling thread; the first poll begins at once. No effect if running.
  void start();
  /// Cancels a running query, waits for the thread, saves nothing that was not accepted. If the query function ignores
  /// its stop token past `stopDeadline`, the thread is left behind, detached from this object, and its late results are
  /// dropped. No callback runs after it returns. Idempotent.
  /// @return whether the thread ended within the deadline.
  bool stop();
  /// Skips polls until `resume`; a running poll ends first after its next push.
  void pause();
  void resume();
  bool running() const;
  /// Starts the next poll now instead of after the interval.
  void wake();
  /// The last complete report; nullopt before the first.
  std::optional<PollReport> lastReport() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace tidegate
