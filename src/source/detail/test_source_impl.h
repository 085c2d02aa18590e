/// What a TestSource is made of: the script, the reading of the log, and the session that delivers.
#pragma once

#include <atomic>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "source/detail/test_log.h"
#include "source/detail/test_positions.h"
#include "tidegate/source/test_source.h"

namespace tidegate {

struct TestSource::Impl {
  using Place = detail::TestPlace;

  /// Carries what the handler threw past everything that looks after failures of the source itself.
  struct ReaderFailed {
    std::exception_ptr cause;
  };

  Impl(std::shared_ptr<TestDatabase> d, TestSourceOptions o)
      : database(std::move(d)), log(*database->impl_), options(std::move(o)) {}

  bool has(TestDefect defect) const { return options.defect == defect; }

  // Any thread.
  void wake() { log.wake(); }
  Place deliveredPlace() const;
  SourceLag trueLag() const;

  // The driving thread.
  void failIfScripted(TestCall call);
  void connect();
  /// @throws Error{connectionFailed} if the script broke the connection.
  void checkConnection();
  /// @throws Error{positionLost} if what follows `read` was acknowledged and forgotten.
  void checkAcknowledged();
  /// Waits while paused. @return false if stopped.
  bool waitWhilePaused(SourceState back, std::stop_token stop);
  /// Offers the batch until it is taken. @return false if stopped before.
  bool offer(ChangeBatch& batch, const ChangeHandler& handler, SourceState back, std::stop_token stop);
  Position readBaseline(const std::vector<std::string>& tables, const ChangeHandler& handler, std::stop_token stop);
  /// One connection's stream. @return when stopped, or when `onIdle` said so.
  void session(const std::set<std::string>& tables, const ChangeHandler& handler, std::stop_token stop);
  /// Fills a batch from `read` on. @return whether there is anything in it.
  bool fill(const std::set<std::string>& tables, ChangeBatch& batch);
  void addCommit(const detail::TestCommit& commit, const std::set<std::string>& tables, std::size_t most,
                 ChangeBatch& batch);
  void taken(const ChangeBatch& batch, std::size_t events);
  std::size_t allowance() const;
  void rewind();
  Clock::Micros now() const { return clock->wallNow(); }

  const std::shared_ptr<TestDatabase> database;
  TestDatabase::Impl& log;
  const TestSourceOptions options;
  SourceStateMachine state;

  // Set by `init`, then constant.
  SourceContext context;
  const Clock* clock = &systemClock();
  Scheduler* scheduler = &systemScheduler();

  // The driving thread's.
  Place read;     ///< the stream has read up to here
  Place emitted;  ///< and put events into batches up to here
  Backoff backoff{};

  std::atomic<bool> paused{false}, broken{false};
  std::atomic<std::uint64_t> delivered{0}, declined{0}, connects{0};

  mutable std::mutex mutex;
  // guarded by mutex
  struct Failure {
    Error error;
    std::uint64_t left;  ///< calls that fail, or events until it fails
  };
  std::map<TestCall, Failure> failingCalls;
  std::optional<Failure> failingEvent;
  std::optional<Place> redeliver;
  std::optional<SourceLag> scriptedLag;
  std::vector<Position> acks;
  Position acked;
  std::optional<Place> deliveredTo;  ///< what the handler took
  std::int64_t deliveredMicros = 0;  ///< commit time of the last event taken
};

}  // namespace tidegate
