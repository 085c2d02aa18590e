// The polling thread: one loop, injected waiting, and a stop that is not held up by a query that hangs.
#include <gmock/gmock.h>

#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>

#include "source/source_rig.h"
#include "tidegate/gateway/gateway.h"

namespace tidegate::test {
namespace {

using namespace std::chrono_literals;

/// Waits until the test lets it go on; notes what it was asked to wait for. Deadlines of `stop` pass at once.
class SteppedScheduler final : public Scheduler {
 public:
  bool waitFor(std::chrono::microseconds duration, std::stop_token stop) override {
    std::unique_lock lock(mutex_);
    if (duration <= kAtOnce) return !stop.stop_requested();
    waits_.push_back(duration);
    changed_.notify_all();
    const std::size_t mine = waits_.size();
    changed_.wait(lock, stop, [&] { return released_ >= mine; });
    return !stop.stop_requested();
  }
  /// Blocks until the loop waits for the n-th time.
  std::chrono::microseconds nthWait(std::size_t n) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, 30s, [&] { return waits_.size() >= n; })) << "the loop never waited";
    return n <= waits_.size() ? waits_[n - 1] : 0us;
  }
  void release() {
    const std::lock_guard lock(mutex_);
    ++released_;
    changed_.notify_all();
  }
  std::size_t waits() {
    const std::lock_guard lock(mutex_);
    return waits_.size();
  }
  static constexpr std::chrono::microseconds kAtOnce{50ms};

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::vector<std::chrono::microseconds> waits_;
  std::size_t released_ = 0;
};

/// A query function that ignores its stop token and hangs until it is let go.
struct HangingSource {
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    int inside = 0, calls = 0, most = 0;
    bool released = false;
  };
  std::shared_ptr<Shared> shared = std::make_shared<Shared>();
  QueryFn query() const {
    return QueryFn(Dialect::postgres, [s = shared](const Query&) {
      std::unique_lock lock(s->mutex);
      ++s->calls;
      s->most = std::max(s->most, ++s->inside);
      s->changed.notify_all();
      s->changed.wait(lock, [&] { return s->released; });
      --s->inside;
      s->changed.notify_all();
      return resultOf({"id", "v"}, {{1, "late"}});
    });
  }
  void waitUntilInside() const {
    std::unique_lock lock(shared->mutex);
    EXPECT_TRUE(shared->changed.wait_for(lock, 30s, [&] { return shared->inside > 0; }));
  }
  void release() const {
    const std::lock_guard lock(shared->mutex);
    shared->released = true;
    shared->changed.notify_all();
  }
};

struct CountingObserver final : PollObserver {
  std::atomic<int> polls{0};
  std::function<void()> onEach = [] {};
  void onPoll(const std::string&, const PollReport&) override {
    ++polls;
    onEach();
  }
};

struct PollerRig {
  Gateway gateway;
  SteppedScheduler scheduler;
  std::shared_ptr<CountingObserver> observer = std::make_shared<CountingObserver>();
  std::atomic<bool> failing{false};
  std::atomic<int> queries{0};
  QueryFn query{Dialect::postgres, [this](const Query&) -> ResultSet {
                  ++queries;
                  if (failing) throw Error(ErrorCode::connectionFailed, Retry::later, "no route");
                  return resultOf({"id", "v"}, {{1, "x"}});
                }};
  IngestSourceConfig config(QueryFn fn) const {
    return {.name = "s", .query = std::move(fn), .tables = {{.table = "t", .query = "SELECT 1"}}};
  }
  SourcePollerOptions options() {
    return {.observer = observer, .scheduler = &scheduler, .jitterSeed = 7, .stopDeadline = 20ms};
  }
};

TEST(SourcePoller, PollOnceBringsRowsIntoTheGateway) {
  PollerRig rig;
  SourcePoller poller(rig.config(rig.query), rig.gateway, rig.options());
  const PollReport report = poller.pollOnce();
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report.tables.at(0).inserts, 1u);
  const auto row = rig.gateway.row("t", "1");
  ASSERT_TRUE(row.has_value());
  EXPECT_TRUE(*row->find("v") == Value("x"));
  EXPECT_EQ(poller.lastReport()->tables.at(0).applied, 1u);
}

TEST(SourcePoller, ARestartedPollerThatReadsAnUnchangedTableAgainAddsNothingToTheLog) {
  PollerRig rig;
  SourcePoller(rig.config(rig.query), rig.gateway, rig.options()).pollOnce();
  const auto before = rig.gateway.stats().logEntries;
  const PollReport again = SourcePoller(rig.config(rig.query), rig.gateway, rig.options()).pollOnce();
  EXPECT_EQ(again.tables.at(0).inserts, 1u);
  EXPECT_EQ(again.tables.at(0).applied, 0u);
  EXPECT_EQ(rig.gateway.stats().logEntries, before);
}

TEST(SourcePoller, TheThreadPollsAtOnceAndThenAfterEachInterval) {
  PollerRig rig;
  SourcePoller poller(rig.config(rig.query), rig.gateway, rig.options());
  poller.start();
  EXPECT_EQ(rig.scheduler.nthWait(1), 10s);
  EXPECT_EQ(rig.observer->polls, 1);
  rig.scheduler.release();
  EXPECT_EQ(rig.scheduler.nthWait(2), 10s);
  EXPECT_EQ(rig.observer->polls, 2);
  EXPECT_TRUE(poller.stop());
  EXPECT_FALSE(poller.running());
}

TEST(SourcePoller, FailuresBackOffWithJitterAndASuccessResets) {
  PollerRig rig;
  rig.failing = true;
  SourcePoller poller(rig.config(rig.query), rig.gateway, rig.options());
  poller.start();
  std::chrono::microseconds most = 20s;
  for (std::size_t n = 1; n <= 7; ++n) {
    const auto wait = rig.scheduler.nthWait(n);
    EXPECT_LE(wait, most) << n;
    EXPECT_GE(wait, most / 2) << n;
    most = std::min<std::chrono::microseconds>(most * 2, 300s);
    EXPECT_EQ(poller.lastReport()->consecutiveFailures, n);
    if (n == 7) rig.failing = false;
    rig.scheduler.release();
  }
  EXPECT_EQ(rig.scheduler.nthWait(8), 10s);
  EXPECT_EQ(poller.lastReport()->consecutiveFailures, 0u);
}

TEST(SourcePoller, StopReturnsAlthoughTheQueryHangsAndItsLateResultIsDropped) {
  PollerRig rig;
  HangingSource hanging;
  auto gateway = std::make_unique<Gateway>();
  {
    SourcePoller poller(rig.config(hanging.query()), *gateway, rig.options());
    poller.start();
    hanging.waitUntilInside();
    EXPECT_FALSE(poller.stop());
    EXPECT_FALSE(poller.running());
    EXPECT_THROW(poller.pollOnce(), Error);
  }
  gateway.reset();  // nothing of the host may be touched from here on
  hanging.release();
  std::unique_lock lock(hanging.shared->mutex);
  EXPECT_TRUE(hanging.shared->changed.wait_for(lock, 30s, [&] { return hanging.shared->inside == 0; }));
  EXPECT_EQ(rig.observer->polls, 0);
}

TEST(SourcePoller, StopThenStartDuringAPollRunsOneLoop) {
  PollerRig rig;
  HangingSource hanging;
  SourcePoller poller(rig.config(hanging.query()), rig.gateway, rig.options());
  poller.start();
  hanging.waitUntilInside();
  EXPECT_FALSE(poller.stop());
  poller.start();
  poller.start();
  EXPECT_TRUE(poller.running());
  hanging.release();
  EXPECT_EQ(rig.scheduler.nthWait(1), 10s);
  EXPECT_EQ(rig.observer->polls, 1);  // the late one was dropped
  EXPECT_EQ(hanging.shared->most, 1);
  EXPECT_EQ(hanging.shared->calls, 2);
  EXPECT_TRUE(poller.stop());
  EXPECT_EQ(rig.scheduler.waits(), 1u);
}

TEST(SourcePoller, AQueryThatHeedsItsStopTokenEndsInTime) {
  PollerRig rig;
  std::promise<void> inside;
  QueryFn obedient(Dialect::postgres, [&](const Query& q) -> ResultSet {
    std::mutex mutex;
    std::condition_variable_any changed;
    inside.set_value();
    std::unique_lock lock(mutex);
    changed.wait(lock, q.stop, [] { return false; });
    throw Error(ErrorCode::queryCancelled, Retry::later, "cancelled");
  });
  SourcePollerOptions options = rig.options();
  options.scheduler = nullptr;
  options.stopDeadline = 30s;
  SourcePoller poller(rig.config(obedient), rig.gateway, options);
  poller.start();
  inside.get_future().wait();
  EXPECT_TRUE(poller.stop());
  EXPECT_EQ(rig.observer->polls, 0);
}

TEST(SourcePoller, StopFromACallbackDoesNotDeadlock) {
  PollerRig rig;
  SourcePoller poller(rig.config(rig.query), rig.gateway, rig.options());
  std::promise<bool> stopped;
  rig.observer->onEach = [&] { stopped.set_value(poller.stop()); };
  poller.start();
  EXPECT_FALSE(stopped.get_future().get());
  EXPECT_FALSE(poller.running());
  EXPECT_THROW(poller.pollOnce(), Error);
}

TEST(SourcePoller, PausedPollsAreSkippedUntilResume) {
  PollerRig rig;
  SourcePoller poller(rig.config(rig.query), rig.gateway, rig.options());
  poller.pause();
  EXPECT_TRUE(poller.pollOnce().tables.empty());
  poller.start();
  EXPECT_EQ(rig.queries, 0);
  poller.resume();
  rig.scheduler.nthWait(1);
  EXPECT_EQ(rig.queries, 1);
}

TEST(SourcePoller, WakeStartsTheNextPollWithoutWaitingForTheInterval) {
  PollerRig rig;
  SourcePoller poller(rig.config(rig.query), rig.gateway, rig.options());
  poller.start();
  rig.scheduler.nthWait(1);
  poller.wake();
  rig.scheduler.nthWait(2);
  EXPECT_EQ(rig.queries, 2);
}

TEST(SourcePoller, PollOnceAfterStopThrowsUntilStart) {
  PollerRig rig;
  SourcePoller poller(rig.config(rig.query), rig.gateway, rig.options());
  EXPECT_TRUE(poller.stop());
  EXPECT_TRUE(poller.stop());
  try {
    poller.pollOnce();
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::stopped);
  }
  poller.start();
  rig.scheduler.nthWait(1);
  EXPECT_TRUE(poller.pollOnce().ok());
}

TEST(SourcePoller, PollsFromSeveralThreadsNeverOverlap) {
  PollerRig rig;
  std::atomic<int> inside{0}, most{0};
  QueryFn query(Dialect::postgres, [&](const Query&) {
    most = std::max<int>(most, ++inside);
    std::this_thread::yield();
    --inside;
    return resultOf({"id", "v"}, {{1, "x"}});
  });
  SourcePoller poller(rig.config(query), rig.gateway, rig.options());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) poller.pollOnce();
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(most, 1);
}

TEST(SourcePoller, RefusesAConfigurationThatCannotWork) {
  PollerRig rig;
  EXPECT_THROW(SourcePoller({.name = "s"}, rig.gateway), Error);
}

}  // namespace
}  // namespace tidegate::test
