// Law 5.6 over many seeds: whatever fails, each failure is counted and seen, the schedule goes on, the wait backs off
// within its band, and it begins where the poll ended. The thread is the real one; time is not.
#include <condition_variable>
#include <mutex>

#include "source/source_rig.h"
#include "support/property.h"
#include "tidegate/gateway/gateway.h"

namespace tidegate::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

/// How one table's poll goes.
enum class Outcome { well, noAnswer, brokenStream, refused };

/// Passes each wait at once by moving the clock; holds the loop at the last until it is stopped.
class CountedScheduler final : public Scheduler {
 public:
  struct Wait {
    microseconds began, duration;
  };
  CountedScheduler(ManualClock& clock, std::size_t last) : clock_(clock), last_(last) {}

  bool waitFor(microseconds duration, std::stop_token stop) override {
    std::unique_lock lock(mutex_);
    if (waits.size() < last_) waits.push_back({clock_.steadyNow(), duration});
    if (waits.size() < last_) {
      clock_.advance(duration);
      return true;
    }
    changed_.notify_all();
    changed_.wait(lock, stop, [] { return false; });
    return false;
  }
  bool untilLast() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return waits.size() >= last_; });
  }

  std::vector<Wait> waits;  ///< to be read once the poller has stopped

 private:
  ManualClock& clock_;
  const std::size_t last_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
};

class BrokenStream final : public RowStream {
 public:
  const Columns& columns() const override { return columns_; }
  bool next(std::vector<Value>&) override {
    throw Error(ErrorCode::connectionFailed, Retry::later, "the connection broke");
  }

 private:
  Columns columns_ = makeColumns({"id", "v"});
};

/// Notes what is reported, and when.
struct TimedObserver final : PollObserver {
  explicit TimedObserver(const ManualClock& c) : clock(c) {}
  void onPoll(const std::string& source, const PollReport& report) override {
    EXPECT_EQ(source, "shop");
    reports.push_back(report);
    ended.push_back(clock.steadyNow());
  }
  const ManualClock& clock;
  std::vector<PollReport> reports;
  std::vector<microseconds> ended;
};

/// One seed's plan and what came of it.
struct ScheduleRun {
  std::vector<std::vector<Outcome>> plan;  ///< by poll and table
  std::vector<microseconds> began;         ///< of each poll: its first query
  std::size_t poll = 0, table = 0;         ///< whose query comes next
  Outcome current = Outcome::well;         ///< of the table now polled
  std::vector<microseconds> tookSoFar;     ///< of each poll
  IngestSourceConfig config;
  ManualClock clock;
  std::shared_ptr<TimedObserver> observer = std::make_shared<TimedObserver>(clock);
  std::vector<CountedScheduler::Wait> waits;

  void make(Random& random) {
    const std::size_t tables = static_cast<std::size_t>(random.between(1, 3));
    for (std::int64_t polls = random.between(3, 16); polls > 0; --polls) {
      const std::uint64_t weather = random.below(4);  // outages last: two in four polls fail altogether
      auto& outcomes = plan.emplace_back(tables, Outcome::well);
      for (Outcome& o : outcomes) {
        if (weather >= 2 || (weather == 1 && random.chance(50))) o = static_cast<Outcome>(random.between(1, 3));
      }
    }
    config.name = "shop";
    config.interval = milliseconds(random.between(100, random.chance(50) ? 2'000 : 60'000));
    config.maxBackoff = milliseconds(random.between(0, random.chance(50) ? 5'000 : 600'000));
    config.query = QueryFn(Dialect::postgres, [this, &random](const Query&) { return answer(random); });
    for (std::size_t t = 0; t < tables; ++t) {
      config.tables.push_back({.table = fmt::format("table{}", t), .query = "SELECT 1"});
    }
  }

  ResultSet answer(Random& random) {
    if (table == 0) {
      began.push_back(clock.steadyNow());
      tookSoFar.emplace_back(0);
    }
    const microseconds takes(random.between(0, 90'000'000));
    clock.advance(takes);
    tookSoFar.back() += takes;
    current = plan[poll][table];
    const auto fresh = static_cast<std::int64_t>(poll);  // a row of a new value each time, so it is pushed
    if (++table == plan[poll].size()) {
      ++poll;
      table = 0;
    }
    if (current == Outcome::noAnswer) throw std::runtime_error("no answer");
    if (current == Outcome::brokenStream) return ResultSet(std::make_unique<BrokenStream>());
    return resultOf({"id", "v"}, {{1, fresh}});
  }
  PushResult take(const SyncPush& push) const {
    PushResult result;
    if (current == Outcome::refused)
      result.status = PushStatus::backPressure;
    else
      result.verdicts.assign(push.deltas.size(), {Verdict::applied, {}});
    return result;
  }

  void drive(std::uint64_t jitterSeed) {
    Gateway gateway;
    CountedScheduler scheduler(clock, plan.size());
    SourcePoller poller(config, gateway,
                        {.observer = observer,
                         .clock = &clock,
                         .scheduler = &scheduler,
                         .jitterSeed = jitterSeed,
                         .push = [this](const SyncPush& push, PushContext) { return take(push); }});
    poller.start();
    ASSERT_TRUE(scheduler.untilLast()) << "the schedule ended";
    ASSERT_TRUE(poller.stop());
    waits = scheduler.waits;
  }
};

/// The longest wait after `outages` polls in a row in which every table failed; the least is half of it.
milliseconds longestWait(const IngestSourceConfig& config, unsigned outages) {
  const double doubled =
      static_cast<double>(config.interval.count()) * static_cast<double>(std::uint64_t{1} << outages);
  const milliseconds most = std::max(config.interval, config.maxBackoff);
  return doubled > static_cast<double>(most.count()) ? most : milliseconds(static_cast<std::int64_t>(doubled));
}

void expectReports(const ScheduleRun& run) {
  ASSERT_EQ(run.observer->reports.size(), run.plan.size());
  std::uint32_t failures = 0;
  for (std::size_t p = 0; p < run.plan.size(); ++p) {
    const PollReport& report = run.observer->reports[p];
    ASSERT_EQ(report.tables.size(), run.plan[p].size()) << "poll " << p;
    bool failed = false;
    for (std::size_t t = 0; t < run.plan[p].size(); ++t) {
      const bool wanted = run.plan[p][t] != Outcome::well;
      failed = failed || wanted;
      ASSERT_EQ(report.tables[t].error.has_value(), wanted) << "poll " << p << ", table " << t;
      if (!wanted) continue;
      EXPECT_NE(report.tables[t].error->message().find(fmt::format("table{}", t)), std::string::npos);
    }
    failures = failed ? failures + 1 : 0;
    EXPECT_EQ(report.consecutiveFailures, failures) << "poll " << p;
    EXPECT_EQ(report.ok(), !failed);
    EXPECT_EQ(report.duration, run.tookSoFar[p]);
  }
}

void expectWaits(const ScheduleRun& run) {
  ASSERT_EQ(run.waits.size(), run.plan.size());
  unsigned outages = 0;
  for (std::size_t p = 0; p < run.plan.size(); ++p) {
    const auto& outcomes = run.plan[p];
    const bool outage = std::find(outcomes.begin(), outcomes.end(), Outcome::well) == outcomes.end();
    outages = outage ? outages + 1 : 0;
    const auto [began, duration] = run.waits[p];
    EXPECT_EQ(began, run.observer->ended[p]) << "poll " << p;
    EXPECT_EQ(began, run.began[p] + run.tookSoFar[p]) << "the interval runs from the end of poll " << p;
    if (p + 1 < run.began.size()) {
      EXPECT_EQ(run.began[p + 1], began + duration) << "poll " << p;
    }
    const milliseconds most = longestWait(run.config, outages);
    EXPECT_LE(duration, most) << "after " << outages << " outages";
    EXPECT_GE(duration, outage ? microseconds(most) / 2 : most) << "after " << outages << " outages";
  }
}

TEST(ScheduleLaws, WhateverFailsIsCountedSeenAndWaitedForWithinTheBand) {
  forEachSeed(1'000, [](std::uint64_t seed) {
    Random random(seed);
    ScheduleRun run;
    run.make(random);
    run.drive(seed);
    if (testing::Test::HasFailure()) return;
    expectReports(run);
    expectWaits(run);
  });
}

TEST(ScheduleLaws, PollersThatFailedTogetherComeBackSpreadOverTheBand) {
  double least = 1, most = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Random random(seed);
    ScheduleRun run;
    run.make(random);
    run.plan = {std::vector<Outcome>(run.config.tables.size(), Outcome::noAnswer)};
    run.drive(seed);
    ASSERT_EQ(run.waits.size(), 1u);
    const double part = static_cast<double>(run.waits[0].duration.count()) /
                        static_cast<double>(microseconds(longestWait(run.config, 1)).count());
    least = std::min(least, part);
    most = std::max(most, part);
  }
  EXPECT_LT(least, 0.55);
  EXPECT_GT(most, 0.95);
}

}  // namespace
}  // namespace tidegate::test
