/// A pipeline: from its queue through the router into its sink, in units of work. Starts no thread and never sleeps:
/// whoever calls `step` decides when.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "engine/detail/ack_tracker.h"
#include "engine/detail/pipeline_link.h"
#include "engine/detail/pipeline_stats.h"
#include "engine/detail/retry_state.h"
#include "engine/detail/router.h"
#include "engine/detail/source_control.h"
#include "engine/detail/unit.h"
#include "tidegate/core/clock.h"
#include "tidegate/engine/observer.h"
#include "tidegate/engine/pipeline.h"

namespace tidegate::detail {

class DeadLetterWriter;

/// @thread Construction, `open`, `step`, `finish` and what commands run: one at a time; `workAtSource` beside them. The
/// rest: any.
class PipelineRunner {
 public:
  using Micros = std::chrono::microseconds;
  struct Parts {
    SyncSource& source;
    const Clock& clock;
    Scheduler& scheduler;
    EngineObserver& observer;
    BatchPool& pool;
    AckTracker& acks;
    std::size_t ackIndex = 0;
    SourceControl& control;
    Micros ackInterval{0};
    std::uint64_t seed = 0;
  };
  PipelineRunner(const PipelineSpec& spec, Parts parts);
  ~PipelineRunner();

  const PipelineSpec& spec() const noexcept { return spec_; }
  PipelineLink& link() noexcept { return link_; }
  const PipelineLink& link() const noexcept { return link_; }
  /// Full names of the tables, in the order of the spec; known after `check`.
  const std::vector<std::string>& tables() const noexcept { return names_; }

  /// Checks routes against the source's shapes, beside the spec's tables. @throws Error{invalidConfig}
  void check(const std::vector<Shape>& shapes);
  /// Opens the sink and reads its checkpoint. @throws Error
  void open();

  struct Step {
    bool worked = false;
    std::optional<Micros> due{};  ///< steady time at which there is something to do; nullopt: only when woken
  };
  Step step();
  /// On the source's thread: applies what is queued, and commits a unit that is worth it, where the sink never waits
  /// and the pipeline's thread does nothing just then. @return whether that one has nothing left to do: else wake it.
  bool workAtSource();
  /// Whether nothing is left to do that could be done now: queue, unit and commands.
  bool drained() const;
  /// Ends: what is open is undone. @return whether everything that was received is durable.
  bool finish();
  /// Asks sinks to give up what they are doing.
  void giveUp() { sinkStop_.request_stop(); }

  /// The pipeline fails for a reason outside of its sink.
  void fail(Error error);
  /// Brings it back if it is isolated.
  void retryIsolated();
  /// The next stream begins at what is durable; what is open is undone.
  void resetSession();
  bool resetting() const noexcept { return resetting_; }
  void countDropped(std::uint64_t events);

  PipelineStatus status() const;
  std::optional<Error> stoppedBy() const;

  // For verification, repair and replay, on the pipeline's thread with no unit open.
  Sink& sink() noexcept { return *spec_.sink; }
  Router& router() noexcept { return router_; }
  const Position& place() const noexcept { return border_; }
  /// Applies changes that are not of the stream and makes them durable. @throws Error; nothing is then changed.
  void applyAside(const ChangeBatch& changes);

 private:
  friend class DeadLetterWriter;
  // pipeline_runner.cpp
  void setState(PipelineState state, std::string reason);
  void settleState();
  void publish();
  bool runCommand();
  Step stepLocked();
  void handled();
  template <typename Work>
  void guarded(Work work);
  Step idle(Micros now);
  bool mayWorkAtSource() const;
  bool applyQueued();
  bool commitAtSource();
  std::optional<Micros> nextDue() const;
  bool isDueSooner() const;
  void adopt(const std::optional<std::string>& checkpoint);
  Checkpoint makeCheckpoint();
  void prepareKnown();
  void setPlace(const Position& place);
  // pipeline_work.cpp
  void process(QueueItem& item);
  enum class Commit { ifDue, later };
  void processEvents(QueueItem& item, Commit commit);
  void keepWholeTransactions(QueueItem& item);
  void notePlace(const QueueItem& item);
  void beginStream(const QueueItem& item);
  void beginBaseline(const QueueItem& item);
  void endBaseline(const QueueItem& item);
  void noteHole(const QueueItem& item);
  void commitIfDue(bool nothingQueued);
  bool unitIsFull(Micros now) const;
  void restartIfWanted();
  void commit();
  bool commitBy(const std::function<bool(const std::string&)>& give);
  void committed(std::uint64_t events, Micros took);
  void sweep(Micros now);
  bool atBorder() const noexcept { return !wholeTransactions_ || !inTransaction_; }
  bool ahead() const noexcept { return border_ != durable_; }
  // pipeline_apply.cpp
  void apply(Piece& piece);
  void applyOneByOne(Piece& piece, std::size_t from, bool mayCommit);
  void applyOne(const Piece& piece, std::size_t event);
  void commitWithin(const Piece& piece, std::size_t done);
  void committedWithin();
  // pipeline_failure.cpp
  void failed(const Error& error);
  void giveUpOn(const Error& error);
  bool deadLetter(const Error& error);
  void retryAfter(const Error& error, const RetryDecision& decision);
  void retryNow(std::string reason);
  void isolate(const Error& error);
  void recover();
  void reapply();
  void undo();
  void startOver();
  void loadLetters();

  const PipelineSpec& spec_;
  Parts parts_;
  PipelineLink link_;
  PipelineStats stats_;
  Router router_;
  UnitOfWork unit_;
  RetryState backoff_;
  std::unique_ptr<DeadLetterWriter> letters_;
  std::vector<std::string> names_;
  std::stop_source sinkStop_;
  bool wholeTransactions_ = true, keepsCheckpoints_ = true, neverWaits_ = false;
  std::optional<Micros> sleepsUntil_{};  ///< what the last step that had nothing to do meant to wait for
  std::mutex stepMutex_;                 ///< held by whoever does a step; what only steps touch is guarded by it

  // The place in the stream.
  Position seen_{};    ///< of the last event routed
  Position border_{};  ///< of the last place where a unit may end
  Position durable_{};
  bool inTransaction_ = false;
  std::int64_t lastCommitMicros_ = 0;  ///< the source's time of the last event routed

  // The checkpoint.
  std::uint64_t number_ = 0;
  std::string tablesJson_{};
  std::optional<std::string> durableText_{}, pendingText_{};
  Micros lastCheckpoint_{0};

  /// Baselines that came to their end since the last commit: the call's number and the tables.
  std::vector<std::pair<std::uint64_t, std::vector<std::string>>> arrived_{};

  // Failure.
  enum class Health { working, broken, isolated, stopped };
  Health health_ = Health::working;
  Micros retryAt_{0};
  bool mustStartOver_ = false;             ///< the stream has to bring the unit again
  bool ackedPast_ = false;                 ///< the source was told more than the isolated pipeline has
  bool undone_ = false;                    ///< what was received, and undone, comes with the next stream
  bool restartWanted_ = false;             ///< a table needs a baseline, which is not durable yet
  bool careful_ = false;                   ///< singling out a poison change: one event at a time
  std::optional<Error> outsideFailure_{};  ///< guarded by failureMutex_
  std::mutex failureMutex_;
  std::atomic<bool> hasOutsideFailure_{false};
  std::atomic<bool> resetting_{false};

  std::vector<Micros> nextSweep_{};  ///< beside the tables; only those with a time to live are used
  ChangeBatch single_{};
  /// A commit within a unit whose outcome is not known yet.
  struct Within {
    const Piece* piece;
    std::size_t done;
    Position position;
  };
  std::optional<Within> within_{};
  bool anyTtl_ = false;
};

}  // namespace tidegate::detail
