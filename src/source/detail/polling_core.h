/// What a PollingSource is made of.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "source/detail/delta_shapes.h"
#include "source/detail/poll_runner.h"
#include "source/detail/polling_feed.h"
#include "source/detail/staged_snapshot.h"
#include "source/detail/staged_state.h"
#include "tidegate/source/polling_source.h"

namespace tidegate::detail {

/// @thread The driving thread, unless said.
class PollingCore {
 public:
  PollingCore(IngestSourceConfig config, PollingSourceOptions options);

  void init(const SourceContext& context);
  void connect();
  /// The table's configuration. @throws Error{tableNotFound}
  const IngestTableConfig& tableOf(const std::string& table) const;
  /// The table's shape, learned where it is not known.
  Shape describe(const std::string& table);
  Position baseline(const std::vector<std::string>& tables, const ChangeHandler& handler, std::stop_token stop);
  void stream(const std::vector<std::string>& tables, PollingPlace from, const ChangeHandler& handler,
              std::stop_token stop);
  /// Writes what was acknowledged to the stores.
  void flush();
  bool resumes() const;

  // Any thread.
  void ack(PollingPlace place);
  std::optional<PollingPlace> acked() const;
  void setPaused(bool paused);
  SourceLag lag() const;
  Shape knownShape(const std::string& table) const;

  const IngestSourceConfig config;
  const PollingSourceOptions options;
  SourceStateMachine state;

 private:
  struct Meta;
  struct Runner;
  /// One table's poller, and the stop of its poll.
  using Runners = std::vector<std::unique_ptr<Runner>>;

  void readMeta();
  void writeMeta();
  void beginEpoch();
  void requirePlace(PollingPlace from) const;
  void rewind(PollingPlace from, const std::vector<std::string>& tables);
  std::string readyKey(const std::string& table) const;
  std::unique_ptr<Runner> makeRunner(const std::string& table, PollingFeed& feed);
  PollingFeed makeFeed(const ChangeHandler& handler, bool baseline, std::stop_source& polls,
                       const std::stop_token& stop);
  void firstBaseline(const std::string& table, PollingFeed& feed, const std::stop_token& polls);
  void laterBaseline(const std::string& table, PollingFeed& feed, const std::stop_token& polls);
  /// One poll of each table. @return the failure that needs a new connection.
  std::optional<Error> pollAll(Runners& runners, PollingFeed& feed, const std::stop_token& stop, bool& whole);
  void session(Runners& runners, PollingFeed& feed, const std::stop_token& polls, const std::stop_token& stop);
  bool waitWhilePaused(SourceState back, const std::stop_token& stop);
  void waitForNext(std::chrono::microseconds time, const std::stop_token& stop);
  void wake();
  /// All made so far was delivered.
  void delivered();
  void saveColumns(const std::string& table);

  SourceContext context_;
  const Clock* clock_ = &systemClock();
  Scheduler* scheduler_ = &systemScheduler();
  std::unique_ptr<HlcClock> stamps_;
  StagedState staged_;
  StagedSnapshots snapshots_;
  std::shared_ptr<PollObserver> observer_;
  PollingPlace place_;                          ///< of the last event made
  bool snapshotsLast_ = true;                   ///< the pictures of diff tables outlive the process
  std::uint64_t firstEpoch_ = 0;                ///< what came before belongs to other stores
  std::map<std::string, PollingPlace> lastOf_;  ///< of the last event made, by table
  std::optional<PollingPlace> unknownBefore_;   ///< up to here an earlier process delivered nobody knows what
  std::optional<PollingPlace> flushed_;         ///< acknowledged, in the stores

  mutable std::mutex shapesMutex_;
  DeltaShapes shapes_;  ///< guarded by shapesMutex_ against `knownShape`

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  // guarded by mutex_
  bool paused_ = false;
  std::optional<PollingPlace> acked_;
  std::stop_source wakeUp_;  ///< of the wait now going on or to come
  Clock::Micros lastWhole_{0};
};

}  // namespace tidegate::detail
