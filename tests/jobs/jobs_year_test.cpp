#include <gtest/gtest.h>

#include <set>

#include "jobs/detail/job_book.h"
#include "jobs/jobs_rig.h"
#include "jobs/sim_world.h"
#include "support/property.h"
#include "tidegate/jobs/cron.h"
#include "tidegate/sqlite/query_fn.h"

namespace tidegate::test {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

/// Processes that come and go, a store and a replica that stay, and a source that is written to all the time.
class World {
 public:
  World(std::uint64_t seed, std::size_t jobs, std::size_t processes) : random_(seed), processes_(processes) {
    source_.exec("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF");
    for (std::size_t i = 0; i < jobs; ++i) addJob(i);
    for (std::size_t i = 0; i < processes; ++i) restart(i);
    for (const ReplicationJob& job : jobs_) process(0).create(job);
  }

  ReplicationJobs& process(std::size_t i) { return *processes_[i].jobs; }
  Life& life(std::size_t i) { return *processes_[i].life; }
  Random& random() { return random_; }
  ManualClock& clock() { return clock_; }
  ReplicaDisk& replica() { return *replica_; }

  void restart(std::size_t i) {
    Process& p = processes_[i];
    p.jobs.reset();
    p.life = std::make_shared<Life>();
    p.jobs = std::make_unique<ReplicationJobs>(ReplicationJobsOptions{
        .store = std::make_shared<MortalStore>(disk_, p.life),
        .key = testKey(),
        .drivers = {{Dialect::sqlite, driver()}},
        .replica = [this, life = p.life] { return std::make_shared<MortalSink>(replica_, life); },
        .keepRuns = 1'000'000,
        .observer = std::make_shared<JobObserver>(),
        .clock = &clock_,
        .jitterSeed = random_.bits() | 1});
  }

  /// @return whether it lived through it.
  bool runDue(std::size_t i) {
    try {
      next_ = process(i).runDue();
    } catch (const Died&) {
    }
    return !life(i).dead;
  }

  /// To the next run that somebody knew of, or anywhere.
  void goOn() {
    const auto now = clock_.wallNow();
    if (next_ && *next_ > now && random_.chance(60)) {
      clock_.advance(*next_ - now);
    } else {
      clock_.advance(seconds(random_.between(1, 4 * 3'600)));
    }
  }

  void writeRows() {
    const std::size_t job = random_.index(jobs_.size());
    const std::string table = jobs_[job].table;
    const std::string at = toIso(Timestamp::utc(stamp_ += 1'000 * random_.between(1, 900)));
    const std::int64_t id = random_.between(1, ++rows_ / 2 + 2);
    const std::string values = std::to_string(id) + ", 'v" + std::to_string(rows_) + "', '" + at + "'";
    source_.exec("INSERT INTO " + table + " VALUES (" + values +
                 ") ON CONFLICT(id) DO UPDATE SET v = excluded.v, at = "
                 "excluded.at");
  }

  std::vector<JobRun> okRuns(const ReplicationJob& job) {
    std::vector<JobRun> out;
    for (const JobRun& run : detail::JobBook(disk_, 1).runs(job.name, 0, SIZE_MAX)) {
      if (run.outcome == RunOutcome::ok) out.push_back(run);
    }
    return out;
  }

  /// After a process looked at the store and lived: nothing that should have run has not.
  void expectNoTickUndone() {
    for (const ReplicationJob& job : jobs_) {
      const auto record = detail::JobBook(disk_, 1).require(job.name);
      if (record.lease || job.catchUp == CatchUp::skip) continue;
      const auto next = Cron::parse(job.cron).next(record.handled, *TimeZone::load(job.timeZone));
      ASSERT_GT(*next, clock_.wallNow()) << job.name;
    }
  }

  void expectEachTickOnce() {
    for (const ReplicationJob& job : jobs_) {
      std::set<std::int64_t> ticks;
      for (const JobRun& run : okRuns(job)) {
        if (run.tick) {
          ASSERT_TRUE(ticks.insert(run.tick->count()).second) << job.name << " ran twice for one tick";
        }
      }
      ASSERT_FALSE(ticks.empty()) << job.name;
    }
  }

  void expectReplicaIsTheSource() {
    for (const ReplicationJob& job : jobs_) {
      std::vector<std::string> wanted = source_.texts("SELECT id || ' ' || v FROM " + job.table + " ORDER BY id");
      std::vector<std::string> held;
      for (const auto& [id, v] : replica_->tables[job.table]) held.push_back(std::to_string(id) + " " + v);
      ASSERT_EQ(held, wanted) << job.name;
    }
  }

  /// Everything that is due, by one process, with no more accidents.
  void settle() {
    restart(0);
    const auto end = clock_.wallNow() + hours(24 * 9);
    while (clock_.wallNow() < end) {
      ASSERT_TRUE(runDue(0));
      clock_.advance(next_ ? std::max<Clock::Micros>(seconds(31), *next_ - clock_.wallNow()) : seconds(31));
    }
    ASSERT_TRUE(runDue(0));
  }

  const std::vector<ReplicationJob>& jobs() const { return jobs_; }

 private:
  struct Process {
    std::shared_ptr<Life> life;
    std::unique_ptr<ReplicationJobs> jobs;
  };

  JobDriver driver() {
    JobDriver out = sqlite::jobDriver();
    out.connect = [this](const JobSource&) { return query_; };
    return out;
  }

  void addJob(std::size_t i) {
    static const std::vector<std::pair<const char*, const char*>> kSchedules{{"0 */3 * * *", "UTC"},
                                                                             {"30 2 * * *", "Europe/Berlin"},
                                                                             {"15 1,2,3 * * *", "America/New_York"},
                                                                             {"0 9 * * MON-FRI", "Asia/Tokyo"},
                                                                             {"0 0,12 * * *", "America/Havana"},
                                                                             {"@weekly", "Australia/Lord_Howe"}};
    const auto& [cron, zone] = kSchedules[(i + random_.index(2) * 3) % kSchedules.size()];
    const std::string name = "t" + std::to_string(i);
    source_.exec("CREATE TABLE " + name + "(id INTEGER PRIMARY KEY, v TEXT, at TEXT)");
    jobs_.push_back({.name = name,
                     .source = {.dialect = Dialect::sqlite, .database = sourcePath_},
                     .table = name,
                     .trackingColumn = "at",
                     .cron = cron,
                     .timeZone = zone,
                     .batchSize = 2,
                     .pageCap = static_cast<std::size_t>(random_.between(1, 20)),
                     .catchUp = random_.chance(30) ? CatchUp::skip : CatchUp::run});
  }

  Random random_;
  testing::TempDir dir_;
  std::string sourcePath_ = dir_ / "source.db";
  testing::PlainDb source_{sourcePath_};
  QueryFn query_ = sqlite::queryFn({.path = sourcePath_});
  ManualClock clock_{Clock::Micros(seconds(1'767'225'600))};  // 2026-01-01
  std::int64_t stamp_ = 1'767'225'600'000'001;  ///< never a whole second: texts of one length sort as times do
  std::int64_t rows_ = 0;
  std::shared_ptr<JobStore> disk_ = std::make_shared<MemoryJobStore>();
  std::shared_ptr<ReplicaDisk> replica_ = std::make_shared<ReplicaDisk>();
  std::vector<ReplicationJob> jobs_;
  std::optional<Clock::Micros> next_;
  std::vector<Process> processes_;
};

/// Lives through `days` with accidents of that likelihood, in percent of the steps.
void live(std::uint64_t seed, std::int64_t days, unsigned accidents) {
  World world(seed, 3, 2);
  Random& random = world.random();
  const auto end = world.clock().wallNow() + hours(24 * days);
  while (world.clock().wallNow() < end) {
    for (std::uint64_t i = random.below(4); i > 0; --i) world.writeRows();
    world.goOn();
    // Less than what is taken for a clock that was wrong; see AClockThatWasFarAheadDoesNotSilenceAJob for that.
    if (random.chance(accidents)) world.clock().stepWall(seconds(random.between(-1'800, 1'800)));
    const std::size_t which = random.index(2);
    if (random.chance(accidents)) {
      world.life(which).lastWrite = world.life(which).writes + random.below(8) + 1;
      world.life(which).afterIt = random.chance(50);
    }
    if (world.runDue(which)) {
      world.expectNoTickUndone();
    } else {
      world.restart(which);
    }
    if (::testing::Test::HasFatalFailure()) return;
  }
  world.settle();
  world.expectEachTickOnce();
  world.expectReplicaIsTheSource();
  EXPECT_EQ(world.replica().broken, std::vector<std::string>());
}

TEST(JobsInVirtualTime, AYearOfSchedulesLosesNoTickAndRepeatsNone) {
  forEachSeed(1, [](std::uint64_t seed) { live(seed, 365, 3); });
}

TEST(JobsInVirtualTime, WeeksFullOfCrashesAndClockStepsEndWithTheSourcesRows) {
  forEachSeed(12, [](std::uint64_t seed) { live(1'000 + seed, 21, 30); });
}

TEST(JobsInVirtualTime, ACrashAtAnyWriteLeavesTheNextProcessAWholeJob) {
  // First without one, to know how many writes there are.
  std::uint64_t writes = 1;
  for (std::uint64_t last = 0; last <= writes; ++last) {
    for (const bool afterIt : {false, true}) {
      SCOPED_TRACE("write " + std::to_string(last) + (afterIt ? ", after it" : ", before it"));
      World world(7, 1, 1);
      for (int i = 0; i < 60; ++i) world.writeRows();
      world.clock().advance(hours(25));
      const std::uint64_t before = world.life(0).writes;
      if (last > 0) {
        world.life(0).lastWrite = before + last;
        world.life(0).afterIt = afterIt;
      }
      const bool lived = world.runDue(0);
      if (last == 0) {
        ASSERT_TRUE(lived);
        writes = world.life(0).writes - before;
        ASSERT_GT(writes, 8u);
        continue;
      }
      ASSERT_FALSE(lived);
      world.restart(0);
      world.runDue(0);  // sees a lease that it cannot judge yet
      world.clock().advance(seconds(31));
      ASSERT_TRUE(world.runDue(0));
      world.expectNoTickUndone();
      world.expectEachTickOnce();
      world.expectReplicaIsTheSource();
      EXPECT_EQ(world.replica().broken, std::vector<std::string>());
      if (::testing::Test::HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace tidegate::test
