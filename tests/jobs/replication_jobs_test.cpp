#include "tidegate/jobs/replication_jobs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <latch>
#include <thread>

#include "jobs/jobs_rig.h"
#include "jobs/slow_source.h"
#include "tidegate/sqlite/job_store.h"

namespace tidegate::test {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

TEST(ReplicationJobs, RunsAJobAtItsTickAndNotBefore) {
  JobsRig rig;
  rig.clock.advance(seconds(10));
  rig.jobs->create(rig.users());
  const auto next = rig.jobs->runDue();
  EXPECT_TRUE(rig.observer->ended.empty());
  ASSERT_TRUE(next);
  EXPECT_EQ(*next - rig.clock.wallNow(), seconds(50));
  EXPECT_EQ(rig.jobs->get("users").nextRunAt, next);
  rig.clock.advance(seconds(50));
  rig.jobs->runDue();
  ASSERT_EQ(rig.observer->ended.size(), 1u);
  EXPECT_EQ(rig.observer->ended[0].trigger, RunTrigger::schedule);
  EXPECT_EQ(rig.observer->ended[0].tick, *next);
  rig.jobs->runDue();
  EXPECT_EQ(rig.observer->ended.size(), 1u);
}

TEST(ReplicationJobs, MakesOneRunOfTheTicksThatItMissed) {
  JobsRig rig;
  rig.jobs->create(rig.users());
  rig.clock.advance(minutes(90));
  rig.jobs->runDue();
  ASSERT_EQ(rig.observer->ended.size(), 1u);
  EXPECT_EQ(rig.observer->ended[0].trigger, RunTrigger::catchUp);
}

TEST(ReplicationJobs, LeavesMissedTicksWhereTheJobSaysSo) {
  JobsRig rig;
  ReplicationJob job = rig.users();
  job.catchUp = CatchUp::skip;
  job.cron = "0 * * * *";
  rig.jobs->create(job);
  rig.clock.advance(minutes(90));
  const auto next = rig.jobs->runDue();
  EXPECT_TRUE(rig.observer->ended.empty());
  EXPECT_EQ(*next - rig.clock.wallNow(), minutes(30));
  rig.clock.advance(minutes(30));
  rig.jobs->runDue();
  EXPECT_EQ(rig.observer->ended.size(), 1u);
}

TEST(ReplicationJobs, FollowsTheWallClockOfTheJobsZone) {
  JobsRig rig;
  ReplicationJob job = rig.users();
  job.cron = "30 2 * * *";
  job.timeZone = "Asia/Kolkata";
  rig.jobs->create(job);
  // 02:30 in Kolkata is 21:00 UTC.
  EXPECT_EQ(*rig.jobs->get("users").nextTick - rig.clock.wallNow(), std::chrono::hours(21));
}

TEST(ReplicationJobs, WaitsLongerWithEachFailureAndRecoversAtOnce) {
  JobsRig rig;
  rig.jobs->create(rig.users());
  rig.source.exec("ALTER TABLE users RENAME TO gone");
  std::vector<std::chrono::microseconds> waits;
  for (int i = 0; i < 6; ++i) {
    rig.clock.advance(minutes(1));
    while (rig.observer->ended.size() == static_cast<std::size_t>(i)) {
      const auto next = rig.jobs->runDue();
      if (rig.observer->ended.size() > static_cast<std::size_t>(i)) break;
      ASSERT_TRUE(next);
      rig.clock.advance(*next - rig.clock.wallNow());
    }
    const JobStatus status = rig.jobs->get("users");
    EXPECT_EQ(status.failures, static_cast<std::uint32_t>(i) + 1);
    EXPECT_EQ(status.state, JobState::backingOff);
    EXPECT_NE(status.lastError->find("users"), std::string::npos);
    waits.push_back(*status.nextRunAt - rig.clock.wallNow());
  }
  EXPECT_GE(waits.back(), minutes(8));
  EXPECT_GT(waits[5], waits[0]);
  rig.source.exec("ALTER TABLE gone RENAME TO users");
  EXPECT_EQ(rig.run().outcome, RunOutcome::ok);
  const JobStatus status = rig.jobs->get("users");
  EXPECT_EQ(status.failures, 0u);
  EXPECT_FALSE(status.lastError);
  EXPECT_LE(*status.nextRunAt - rig.clock.wallNow(), minutes(1));
}

TEST(ReplicationJobs, OneJobsFailureIsNotTheOthers) {
  JobsRig rig;
  rig.source.exec("CREATE TABLE other(id INTEGER PRIMARY KEY, at TEXT)");
  rig.jobs->create(rig.users());
  ReplicationJob other = rig.users();
  other.name = other.table = "other";
  other.trackingColumn = "at";
  const JobCreated created = rig.jobs->create(other);
  ASSERT_EQ(created.warnings.size(), 1u) << "no index on the tracking column";
  rig.source.exec("DROP TABLE users; INSERT INTO other VALUES (1, '2026-01-01')");
  rig.clock.advance(minutes(1));
  rig.jobs->runDue();
  EXPECT_EQ(rig.jobs->get("users").failures, 1u);
  EXPECT_EQ(rig.jobs->get("other").rowsSynced, 1u);
}

TEST(ReplicationJobs, CreatingAgainKeepsCursorAndCounters) {
  JobsRig rig;
  rig.source.exec("INSERT INTO users VALUES (1, 'a', '2026-01-01 10:00:00')");
  rig.jobs->create(rig.users());
  rig.run();
  ReplicationJob job = rig.users();
  job.cron = "@daily";
  job.batchSize = 7;
  const JobCreated again = rig.jobs->create(job);
  EXPECT_FALSE(again.created);
  EXPECT_FALSE(again.cursorReset);
  EXPECT_EQ(rig.run().rowsSynced, 0u);
  EXPECT_EQ(rig.jobs->get("users").rowsSynced, 1u);
  EXPECT_EQ(rig.jobs->get("users").job.batchSize, 7u);
}

TEST(ReplicationJobs, CreatingAgainWithAnotherTableResetsTheCursorAndSaysWhy) {
  JobsRig rig;
  rig.source.exec(
      "INSERT INTO users VALUES (1, 'a', '2026-01-01 10:00:00');"
      "CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT, updated_at TEXT);"
      "INSERT INTO people VALUES (1, 'old', '2020-01-01 00:00:00')");
  ReplicationJob job = rig.users();
  job.target = "copy";
  rig.jobs->create(job);
  rig.run();
  job.table = "people";
  EXPECT_TRUE(rig.jobs->check(job).cursorReset);
  EXPECT_EQ(rig.jobs->get("users").job.table, "users") << "a check changes nothing";
  const JobCreated again = rig.jobs->create(job);
  EXPECT_TRUE(again.cursorReset);
  EXPECT_EQ(again.resetReason, "table_name changed from \"users\" to \"people\"");
  EXPECT_FALSE(rig.jobs->get("users").cursor);
  EXPECT_EQ(rig.run().rowsSynced, 1u) << "a row older than the old cursor";
  EXPECT_EQ(rig.replicaText("SELECT name FROM copy"), "old");
}

TEST(ReplicationJobs, RefusesWhatCannotWorkAndChangesNothing) {
  JobsRig rig;
  const auto refusal = [&](const std::function<void(ReplicationJob&)>& change) {
    ReplicationJob job = rig.users();
    change(job);
    return errorFrom([&] { rig.jobs->create(job); });
  };
  EXPECT_EQ(refusal([](auto& job) { job.table = "nope"; }).code(), ErrorCode::tableNotFound);
  EXPECT_EQ(refusal([](auto& job) { job.trackingColumn = "nope"; }).code(), ErrorCode::columnNotFound);
  EXPECT_EQ(refusal([](auto& job) { job.columns = {"nope"}; }).code(), ErrorCode::columnNotFound);
  EXPECT_EQ(refusal([](auto& job) { job.primaryKey = {"nope"}; }).code(), ErrorCode::columnNotFound);
  EXPECT_EQ(refusal([](auto& job) { job.target = "SQLITE_master"; }).code(), ErrorCode::invalidConfig);
  EXPECT_EQ(refusal([](auto& job) { job.target = "_tidegate_checkpoints"; }).code(), ErrorCode::invalidConfig);
  EXPECT_EQ(refusal([](auto& job) { job.source.database = "/no/such/file"; }).code(), ErrorCode::connectionFailed);
  EXPECT_EQ(refusal([](auto& job) { job.source = {.dialect = Dialect::postgres, .host = "h"}; }).code(),
            ErrorCode::invalidConfig);
  EXPECT_TRUE(rig.jobs->list().empty());
  rig.jobs->create(rig.users());
  EXPECT_NE(refusal([](auto& job) { job.name = "second"; }).message().find("written by job \"users\""),
            std::string::npos);
}

TEST(ReplicationJobs, WritesNoTableThatTheHostKeepsForItself) {
  JobsRig rig;
  ReplicationJobsOptions options = rig.options();
  options.reservedTargets = {"Accounts"};
  ReplicationJobs jobs(options);
  ReplicationJob job = rig.users();
  for (const char* target : {"Accounts", "accounts", "ACCOUNTS"}) {
    job.target = target;
    const Error refused = errorFrom([&] { jobs.create(job); });
    EXPECT_EQ(refused.code(), ErrorCode::invalidConfig) << target;
    EXPECT_NE(refused.message().find("reserved by the host"), std::string::npos) << refused.message();
  }
  EXPECT_TRUE(jobs.list().empty());
  job.target = "accounts2";
  EXPECT_NO_THROW(jobs.create(job));
}

TEST(ReplicationJobs, SqlInNamesStaysAName) {
  JobsRig rig;
  for (const char* evil : {"users; DROP TABLE users", "users\" --", "users' OR '1'='1", "users`", "\"users\"", "u\\",
                           "[users]", "users/**/", "users) --"}) {
    ReplicationJob job = rig.users();
    job.table = evil;
    EXPECT_EQ(errorFrom([&] { rig.jobs->create(job); }).code(), ErrorCode::tableNotFound) << evil;
    job = rig.users();
    job.trackingColumn = evil;
    EXPECT_EQ(errorFrom([&] { rig.jobs->create(job); }).code(), ErrorCode::columnNotFound) << evil;
    job = rig.users();
    job.columns = {evil};
    EXPECT_EQ(errorFrom([&] { rig.jobs->create(job); }).code(), ErrorCode::columnNotFound) << evil;
    job = rig.users();
    job.primaryKey = {evil};
    EXPECT_EQ(errorFrom([&] { rig.jobs->create(job); }).code(), ErrorCode::columnNotFound) << evil;
    job = rig.users();
    job.target = evil;
    rig.jobs->create(job);
    EXPECT_EQ(rig.run().outcome, RunOutcome::ok);
    EXPECT_EQ(rig.replica("SELECT name FROM sqlite_schema WHERE name = '" +
                          [&] {
                            std::string quoted;
                            for (const char* c = evil; *c != '\0'; ++c)
                              quoted += *c == '\'' ? "''" : std::string(1, *c);
                            return quoted;
                          }() +
                          "'")
                  .size(),
              1u);
    rig.jobs->remove("users");
  }
  EXPECT_EQ(rig.source.text("SELECT count(*) FROM users"), "0");
}

TEST(ReplicationJobs, PausesAndResumes) {
  JobsRig rig;
  rig.jobs->create(rig.users());
  rig.jobs->pause("users");
  EXPECT_EQ(rig.jobs->get("users").state, JobState::paused);
  rig.clock.advance(minutes(10));
  EXPECT_FALSE(rig.jobs->runDue());
  EXPECT_TRUE(rig.observer->ended.empty());
  EXPECT_EQ(rig.run().trigger, RunTrigger::manual) << "by hand it runs all the same";
  rig.jobs->resume("users");
  rig.clock.advance(minutes(10));
  rig.jobs->runDue();
  EXPECT_EQ(rig.observer->ended.size(), 2u);
}

TEST(ReplicationJobs, ResetsAndRemoves) {
  JobsRig rig;
  rig.source.exec("INSERT INTO users VALUES (1, 'a', '2026-01-01 10:00:00')");
  rig.jobs->create(rig.users());
  rig.run();
  rig.jobs->reset("users");
  EXPECT_FALSE(rig.jobs->get("users").cursor);
  EXPECT_EQ(rig.run().rowsSynced, 1u);
  EXPECT_EQ(rig.jobs->history("users").size(), 2u);
  EXPECT_TRUE(rig.jobs->remove("users"));
  EXPECT_TRUE(rig.jobs->list().empty());
  EXPECT_EQ(errorFrom([&] { rig.jobs->history("users"); }).code(), ErrorCode::invalidArgument);
  EXPECT_EQ(rig.replicaText("SELECT count(*) FROM users"), "1");
}

TEST(ReplicationJobs, KeepsAHistoryOfBoundedLength) {
  JobsRig rig;
  ReplicationJobsOptions options = rig.options();
  options.keepRuns = 3;
  ReplicationJobs jobs(options);
  jobs.create(rig.users());
  for (int i = 0; i < 5; ++i) jobs.run("users");
  const auto runs = jobs.history("users");
  ASSERT_EQ(runs.size(), 3u);
  EXPECT_EQ(runs[0].id, 5u);
  EXPECT_EQ(jobs.get("users").runs, 5u);
}

TEST(ReplicationJobs, ARunByHandDuringAnotherIsRefusedHereAndInAnotherProcess) {
  JobsRig rig;
  SlowSource slow;
  ReplicationJobsOptions options = rig.options();
  options.drivers = {{Dialect::sqlite, slow.driver(rig.sourcePath)}};
  options.leaseTime = minutes(5);
  // Each process has a handle of its own to the store.
  const auto withHandle = [&] {
    options.store = sqlite::jobStore(rig.dir / "jobs.db");
    return options;
  };
  ReplicationJobs jobs(withHandle()), other(withHandle());
  jobs.create(rig.users());
  auto first = std::async(std::launch::async, [&] { return jobs.run("users"); });
  slow.reached.wait();
  EXPECT_EQ(errorFrom([&] { jobs.run("users"); }).code(), ErrorCode::backPressure);
  EXPECT_EQ(errorFrom([&] { other.run("users"); }).retry(), Retry::later);
  EXPECT_EQ(jobs.get("users").state, JobState::running);
  EXPECT_EQ(other.get("users").state, JobState::running);
  rig.clock.advance(minutes(1));
  other.runDue();
  slow.go.request_stop();
  EXPECT_EQ(first.get().outcome, RunOutcome::ok);
  EXPECT_EQ(slow.most(), 1);
  EXPECT_EQ(slow.connections(), 0) << "a connection was left open";
}

TEST(ReplicationJobs, CancelEndsARunAndNotTheJob) {
  JobsRig rig;
  SlowSource slow;
  ReplicationJobsOptions options = rig.options();
  options.drivers = {{Dialect::sqlite, slow.driver(rig.sourcePath)}};
  ReplicationJobs jobs(options);
  jobs.create(rig.users());
  auto first = std::async(std::launch::async, [&] { return jobs.run("users"); });
  slow.reached.wait();
  EXPECT_TRUE(jobs.cancel("users"));
  EXPECT_EQ(first.get().outcome, RunOutcome::cancelled);
  EXPECT_EQ(slow.connections(), 0) << "a connection was left open";
  EXPECT_EQ(jobs.get("users").failures, 0u);
  EXPECT_FALSE(jobs.cancel("users"));
  EXPECT_EQ(jobs.run("users").outcome, RunOutcome::ok);
}

TEST(ReplicationJobs, WorkersRunJobsInTheBackgroundAndStopCleanly) {
  JobsRig rig;
  rig.source.exec("INSERT INTO users VALUES (1, 'a', '2026-01-01 10:00:00')");
  ReplicationJobsOptions options = rig.options();
  options.clock = nullptr;
  options.scheduler = nullptr;
  options.lookInterval = std::chrono::milliseconds(20);
  struct Waiter final : JobObserver {
    std::latch ended{1};
    void onRunEnded(std::string_view, const JobRun&) override { ended.count_down(); }
  };
  const auto waiter = std::make_shared<Waiter>();
  options.observer = waiter;
  ReplicationJobs jobs(options);
  ReplicationJob job = rig.users();
  job.cron = "@yearly";
  jobs.create(job);
  jobs.start();
  jobs.request("users");
  waiter->ended.wait();
  jobs.stop();
  EXPECT_EQ(jobs.get("users").rowsSynced, 1u);
  EXPECT_EQ(errorFrom([&] { jobs.start(); }).code(), ErrorCode::stopped);
}

TEST(ReplicationJobs, AStopThatInterruptsARunLeavesItDueForTheNextProcess) {
  JobsRig rig;
  SlowSource slow;
  ReplicationJobsOptions options = rig.options();
  options.drivers = {{Dialect::sqlite, slow.driver(rig.sourcePath)}};
  options.scheduler = nullptr;
  auto jobs = std::make_unique<ReplicationJobs>(options);
  jobs->create(rig.users());
  rig.clock.advance(minutes(1));
  jobs->start();
  slow.reached.wait();
  jobs->stop();
  EXPECT_EQ(jobs->history("users")[0].outcome, RunOutcome::interrupted);
  jobs = std::make_unique<ReplicationJobs>(options);
  jobs->runDue();
  EXPECT_EQ(jobs->history("users")[0].outcome, RunOutcome::ok);
}

TEST(ReplicationJobs, TakesAJobOverFromAProcessThatDied) {
  JobsRig rig;
  SlowSource slow;
  ReplicationJobsOptions options = rig.options();
  options.drivers = {{Dialect::sqlite, slow.driver(rig.sourcePath)}};
  options.store = sqlite::jobStore(rig.dir / "jobs.db");
  ReplicationJobs dead(options);
  options = rig.options();
  options.store = sqlite::jobStore(rig.dir / "jobs.db");
  ReplicationJobs jobs(options);
  dead.create(rig.users());
  rig.clock.advance(minutes(1));
  auto lost = std::async(std::launch::async, [&] { return dead.runDue(); });
  slow.reached.wait();
  jobs.runDue();
  EXPECT_TRUE(rig.observer->ended.empty()) << "the lease was not looked at";
  rig.clock.advance(seconds(29));
  jobs.runDue();
  EXPECT_TRUE(rig.observer->ended.empty());
  rig.clock.advance(seconds(2));
  jobs.runDue();
  ASSERT_EQ(rig.observer->ended.size(), 1u);
  EXPECT_EQ(rig.observer->ended[0].outcome, RunOutcome::ok);
  // It was not dead but slow: its rows and its place are no longer taken.
  slow.go.request_stop();
  lost.get();
  EXPECT_EQ(rig.observer->ended.back().outcome, RunOutcome::interrupted);
  const auto runs = jobs.history("users");
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(rig.replicaText("SELECT count(*) FROM users"), "0");
  EXPECT_EQ(runs[0].outcome, RunOutcome::ok);
  EXPECT_EQ(runs[1].outcome, RunOutcome::interrupted);
}

TEST(ReplicationJobs, AClockThatWasFarAheadDoesNotSilenceAJob) {
  JobsRig rig;
  rig.jobs->create(rig.users());
  rig.clock.stepWall(std::chrono::hours(24 * 365));
  rig.jobs->runDue();
  rig.clock.stepWall(-std::chrono::hours(24 * 365));
  rig.clock.advance(minutes(2));
  rig.jobs->runDue();
  rig.clock.advance(minutes(2));
  rig.jobs->runDue();
  EXPECT_EQ(rig.observer->ended.size(), 2u);
  EXPECT_EQ(rig.observer->warnings.size(), 1u);
}

}  // namespace
}  // namespace tidegate::test
