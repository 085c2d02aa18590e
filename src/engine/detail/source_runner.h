/// A source: its baselines, its stream, its retries, and the hand-over to the pipelines that share it. Starts no
/// thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "engine/detail/ack_tracker.h"
#include "engine/detail/pipeline_runner.h"
#include "engine/detail/retry_state.h"
#include "engine/detail/shared_batch.h"
#include "engine/detail/source_control.h"
#include "engine/detail/waker.h"
#include "tidegate/engine/engine.h"

namespace tidegate::detail {

/// @thread `open`, `turn`, `close`: one at a time. The rest: any.
class SourceRunner final : public SourceControl {
 public:
  using Micros = std::chrono::microseconds;
  struct Parts {
    const Clock& clock;
    Scheduler& scheduler;
    EngineObserver& observer;
    AckTracker& acks;
    std::uint64_t seed = 0;
    std::function<void(const Error&)> haltEverything{};
    std::function<void()> mendEverything{};
  };
  SourceRunner(const SourceSpec& spec, BatchPool& pool, Parts parts);

  const SourceSpec& spec() const noexcept { return spec_; }
  void add(PipelineRunner& pipeline) { pipelines_.push_back(&pipeline); }

  /// Connects, validates every table and describes it to the pipelines. May be called again after it failed.
  /// @throws Error
  void open();
  void close();

  /// What a turn came to.
  enum class Turn {
    worked,    ///< there may be more to do
    waiting,   ///< until `due`, or until woken
    finished,  ///< the stream ended by itself
    stopped
  };
  struct Result {
    Turn turn = Turn::worked;
    std::optional<Micros> due{};
  };
  /// One baseline, or one stream until it is stopped, has to begin anew, or ends.
  Result turn(std::stop_token stop);
  /// The next turns stream again after the stream ended by itself.
  void again() { finished_ = false; }
  Waker& waker() noexcept { return waker_; }

  /// For a host without threads: called while the source waits for room, and after each batch.
  struct Inline {
    std::function<void(Micros atMost)> wait{};
    std::function<void()> delivered{};
    std::size_t batchesPerTurn = SIZE_MAX;  ///< then the turn ends, so that other sources come to theirs
  };
  void runsInline(Inline hooks) { inline_ = std::move(hooks); }
  void endTurn();

  void pause();
  void resume();
  /// Goes on after `halt`.
  void mend();

  void restart() override;
  void roomMade() override { waker_.wake(); }
  void halt(const Error& error, bool everything) override;
  void goOn() override { parts_.mendEverything(); }

  SourceStatus status() const;
  std::optional<Error> haltedBy() const;

 private:
  void initialise();
  void validate();
  Result streamOrBaseline(const std::stop_token& stop);
  bool joinAll();
  bool readBaselines();
  void stream();
  std::optional<Position> startOfStream(const std::vector<PipelineRunner*>& joined) const;
  Result failed(const Error& error);
  void positionLost();
  std::stop_token beginCall(const std::stop_token& stop);

  Taken offer(ChangeBatch& batch, bool baseline);
  bool roomForAll(std::size_t events, std::size_t bytes);
  bool roomFor(PipelineRunner& pipeline, std::size_t events, std::size_t bytes);
  bool waitForRoom(std::size_t events, std::size_t bytes);
  void waitABit(Micros atMost);
  void deliver(ChangeBatch& batch, std::size_t bytes, bool baseline);
  void onState(const SourceStateChange& change);

  const SourceSpec& spec_;
  SyncSource& source_;
  Parts parts_;
  std::vector<PipelineRunner*> pipelines_;
  std::vector<std::string> tables_;
  BatchPool& pool_;
  Waker waker_;
  RetryState backoff_;                ///< of the source's thread
  std::atomic<bool> mended_ = false;  ///< somebody else wants it to begin anew
  Inline inline_{};
  const bool total_;

  // The thread's own.
  std::vector<PipelineRunner*> taking_;  ///< who gets what is delivered now
  bool streamed_ = false;                ///< since the pipelines last began at what is durable
  bool touched_ = false, initialised_ = false;
  bool lost_ = false;  ///< the place; nothing was read anew since
  std::atomic<bool> finished_{false};
  std::size_t batches_ = 0;
  Micros retryAt_{0};

  std::atomic<bool> paused_{false}, closed_{false};
  mutable std::mutex mutex_;
  // guarded by mutex_
  std::stop_source call_;  ///< of the baseline or stream under way
  std::optional<Error> haltedBy_{};
  SourceStatus status_{};
  Position received_{};
};

}  // namespace tidegate::detail
