#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

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

/// What befalls a world.
struct Weather {
  unsigned accidents = 3;  ///< crashes and clock steps, in percent of the steps
  unsigned stalls = 0;     ///< questions to the source that take long, in percent; another process goes on meanwhile
  bool hurried = false;    ///< days pass between two looks
  seconds step = minutes(30);  ///< of the wall clock, at most
};

/// Processes that come and go, a store and a replica that stay, and a source that is written to all the time.
class World {
 public:
  World(std::uint64_t seed, std::size_t jobs, std::size_t processes, unsigned stalls = 0)
      : random_(seed), stalls_(stalls), processes_(processes) {
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
    p.query = sqlite::queryFn({.path = sourcePath_});
    p.jobs = std::make_unique<ReplicationJobs>(ReplicationJobsOptions{
        .store = std::make_shared<MortalStore>(disk_, p.life),
        .key = testKey(),
        .drivers = {{Dialect::sqlite, driver(i)}},
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
  void goOn(bool hurried) {
    const auto now = clock_.wallNow();
    if (next_ && *next_ > now && random_.chance(hurried ? 15 : 60)) {
      clock_.advance(*next_ - now);
    } else {
      clock_.advance(seconds(random_.between(1, (hurried ? 36 : 4) * 3'600)));
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

  std::size_t interruptedRuns() {
    std::size_t out = 0;
    for (const ReplicationJob& job : jobs_) {
      for (const JobRun& run : detail::JobBook(disk_, 1).runs(job.name, 0, SIZE_MAX)) {
        out += run.outcome == RunOutcome::interrupted ? 1 : 0;
      }
    }
    return out;
  }

  /// After a process looked at the store and lived: nothing that should have run has not. The record says that no tick
  /// is left; that a run began at or after the last one, the runs alone say.
  void expectNoTickUndone() {
    detail::JobBook book(disk_, 1);
    for (const ReplicationJob& job : jobs_) {
      const auto record = book.require(job.name);
      if (record.lease || job.catchUp == CatchUp::skip) continue;
      const auto& [cron, zone] = schedules_.at(job.name);
      const Clock::Micros now = clock_.wallNow();
      ASSERT_GT(*cron.next(record.handled, *zone), now) << job.name;
      const auto last = cron.previous(now + Clock::Micros(1), *zone);
      if (!last || *last <= record.createdAt) continue;
      const auto began = newestOkBegin(book, job.name);
      ASSERT_TRUE(began) << job.name << " never ran";
      ASSERT_GE(*began, *last) << job.name << ": no run began at or after its last tick";
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
    QueryFn query{};
  };

  /// A connection of each process's own: one may ask while another's answer is being read.
  JobDriver driver(std::size_t process) {
    JobDriver out = sqlite::jobDriver();
    out.connect = [this, process](const JobSource&) {
      return QueryFn(Dialect::sqlite, [this, process](const Query& asked) {
        if (asked.sql.find("tidegate_src") != std::string::npos) mayStall(process, asked.sql);
        return processes_[process].query(asked);
      });
    };
    return out;
  }

  /// The source is silent for longer than a lease stands, or not quite; the other process goes on.
  void mayStall(std::size_t process, const std::string& sql) {
    if (stalled_ || !random_.chance(stalls_)) return;
    const auto job = std::find_if(jobs_.begin(), jobs_.end(), [&](const ReplicationJob& each) {
      return sql.find(quoteIdentifier(Dialect::sqlite, each.table)) != std::string::npos;
    });
    ASSERT_NE(job, jobs_.end()) << sql;
    const auto lease = leaseOf(job->name);
    stalled_ = true;
    lookOn(1 - process);
    const bool fresh = lease && stalledLeases_.insert(job->name + " " + std::to_string(lease->epoch)).second;
    const bool dies = random_.chance(60);
    clock_.advance(seconds(dies ? random_.between(31, 4'000) : random_.between(1, 28)));
    lookOn(1 - process);
    if (fresh && !dies && leaseOf(job->name) != lease) {
      ADD_FAILURE() << job->name << ": another process took a lease over that had not stood still for long enough";
    }
    stalled_ = false;
  }
  void lookOn(std::size_t which) {
    if (!runDue(which)) restart(which);
  }
  std::optional<detail::JobLease> leaseOf(const std::string& job) {
    return detail::JobBook(disk_, 1).require(job).lease;
  }

  static std::optional<Clock::Micros> newestOkBegin(detail::JobBook& book, const std::string& name) {
    for (std::uint64_t before = 0;;) {
      const auto runs = book.runs(name, before, 2);
      if (runs.empty()) return std::nullopt;
      for (const JobRun& run : runs) {
        if (run.outcome == RunOutcome::ok) return run.startedAt;
      }
      before = runs.back().id;
    }
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
    schedules_.emplace(name, std::pair(Cron::parse(cron), TimeZone::load(zone)));
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
  ManualClock clock_{Clock::Micros(seconds(1'767'225'600))};  // 2026-01-01
  std::int64_t stamp_ = 1'767'225'600'000'001;  ///< never a whole second: texts of one length sort as times do
  std::int64_t rows_ = 0;
  std::shared_ptr<JobStore> disk_ = std::make_shared<MemoryJobStore>();
  std::shared_ptr<ReplicaDisk> replica_ = std::make_shared<ReplicaDisk>();
  std::vector<ReplicationJob> jobs_;
  std::map<std::string, std::pair<Cron, std::shared_ptr<const TimeZone>>> schedules_;
  std::optional<Clock::Micros> next_;
  const unsigned stalls_;
  bool stalled_ = false;  ///< a question is silent now
  std::set<std::string> stalledLeases_;
  std::vector<Process> processes_;
};

void live(std::uint64_t seed, std::int64_t days, std::size_t jobs, const Weather& weather) {
  World world(seed, jobs, 2, weather.stalls);
  Random& random = world.random();
  const auto end = world.clock().wallNow() + hours(24 * days);
  while (world.clock().wallNow() < end) {
    for (std::uint64_t i = random.below(4); i > 0; --i) world.writeRows();
    world.goOn(weather.hurried);
    const std::int64_t step = weather.step.count();
    if (random.chance(weather.accidents)) world.clock().stepWall(seconds(random.between(-step, step)));
    const std::size_t which = random.index(2);
    if (random.chance(weather.accidents)) {
      world.life(which).lastWrite = world.life(which).writes + random.below(8) + 1;
      world.life(which).afterIt = random.chance(50);
    }
    if (world.runDue(which)) {
      world.expectNoTickUndone();
    } else {
      world.restart(which);
    }
    if (::testing::Test::HasFailure()) return;
  }
  world.settle();
  // A clock that goes back by more than is waited out has its schedule begun anew, and ticks come again.
  if (weather.step <= minutes(30)) world.expectEachTickOnce();
  world.expectReplicaIsTheSource();
  EXPECT_EQ(world.replica().broken, std::vector<std::string>());
  if (weather.stalls > 0) {
    EXPECT_GT(world.interruptedRuns(), 2u) << "no run was overtaken";
  }
}

TEST(JobsInVirtualTime, AYearOfSchedulesLosesNoTickAndRepeatsNone) {
  // The first looks every hour or two; the others see many ticks missed at once.
  forEachSeed(3, [](std::uint64_t seed) { live(seed, 365, 3, {.hurried = seed > 1}); });
}

TEST(JobsInVirtualTime, WeeksFullOfCrashesAndClockStepsEndWithTheSourcesRows) {
  forEachSeed(5, [](std::uint64_t seed) { live(1'000 + seed, 21, 3, {.accidents = 30}); });
}

TEST(JobsInVirtualTime, AClockThatIsSetByHoursLosesNoTickEither) {
  forEachSeed(2, [](std::uint64_t seed) { live(2'000 + seed, 21, 3, {.accidents = 20, .step = hours(30)}); });
}

/// Two processes at one job at the same time: the one whose source was silent for too long finds itself overtaken.
TEST(JobsInVirtualTime, AProcessThatStallsInItsSourceIsOvertakenAndWritesNothingMore) {
  forEachSeed(4, [](std::uint64_t seed) { live(3'000 + seed, 14, 3, {.accidents = 10, .stalls = 8}); });
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
