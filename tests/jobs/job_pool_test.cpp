/// Runs beside each other, and runs that end before their time.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <string>
#include <thread>

#include "jobs/jobs_rig.h"
#include "jobs/slow_source.h"

namespace tidegate::test {
namespace {

using std::chrono::milliseconds;

/// Waits as the system does, and counts.
struct CountingScheduler final : Scheduler {
  bool waitFor(std::chrono::microseconds time, std::stop_token stop) override {
    ++waits;
    return systemScheduler().waitFor(time, std::move(stop));
  }
  std::atomic<int> waits{0};
};

struct CountingObserver final : JobObserver {
  void onRunEnded(std::string_view, const JobRun& run) override {
    if (run.outcome == RunOutcome::ok) ++ok;
  }
  std::atomic<int> ok{0};
};

bool comesTrue(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

TEST(JobPool, RunsAsManyJobsAtOnceAsThereAreWorkersAndNoMore) {
  for (const int workers : {1, 2, 4}) {
    SCOPED_TRACE(workers);
    JobsRig rig;
    SlowSource slow;
    slow.always = true;
    CountingScheduler scheduler;
    const auto ended = std::make_shared<CountingObserver>();
    ReplicationJobsOptions options = rig.options();
    options.drivers = {{Dialect::sqlite, slow.driver(rig.sourcePath)}};
    options.workers = static_cast<std::size_t>(workers);
    options.lookInterval = milliseconds(10);
    options.observer = ended;
    options.clock = nullptr;
    options.scheduler = &scheduler;
    ReplicationJobs jobs(options);
    for (int i = 0; i < 6; ++i) {
      ReplicationJob job = rig.users();
      job.name = job.target = "copy" + std::to_string(i);
      job.cron = "@yearly";
      jobs.create(job);
      jobs.request(job.name);
    }
    jobs.start();
    ASSERT_TRUE(comesTrue([&] { return slow.open() == workers; }));
    // Only the thread that keeps leases waits now. After twenty of its rounds a worker too many would have begun.
    const int waits = scheduler.waits;
    ASSERT_TRUE(comesTrue([&] { return scheduler.waits >= waits + 20; }));
    EXPECT_EQ(slow.open(), workers);
    int running = 0;
    for (const JobStatus& job : jobs.list()) running += job.state == JobState::running ? 1 : 0;
    EXPECT_EQ(running, workers);
    slow.go.request_stop();
    EXPECT_TRUE(comesTrue([&] { return ended->ok == 6; }));
    jobs.stop();
    EXPECT_EQ(slow.most(), workers);
    EXPECT_EQ(slow.connections(), 0);
  }
}

/// Ten users, read three at a time.
struct PagedRig {
  PagedRig() {
    rig.source.exec(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) "
        "INSERT INTO users SELECT i, 'u', '2026-01-01 10:00:' || printf('%02d', i) FROM n");
  }
  std::unique_ptr<ReplicationJobs> make() {
    ReplicationJobsOptions options = rig.options();
    options.drivers = {{Dialect::sqlite, slow.driver(rig.sourcePath)}};
    auto jobs = std::make_unique<ReplicationJobs>(options);
    ReplicationJob job = rig.users();
    job.batchSize = 3;
    jobs->create(job);
    return jobs;
  }
  /// Whether a page has been committed, and rows of the second were read since.
  bool isInSecondPage() { return rig.observer->progress.size() == 1 && ++rowsSince == 3; }

  JobsRig rig;
  SlowSource slow;
  int rowsSince = 0;
};

TEST(JobPool, ACancelInItsSecondPageLeavesTheFirstAloneAndNothingElse) {
  PagedRig paged;
  JobsRig& rig = paged.rig;
  paged.slow.stallsAtRow = [&] { return paged.isInSecondPage(); };
  const auto jobs = paged.make();
  auto run = std::async(std::launch::async, [&] { return jobs->run("users"); });
  paged.slow.reached.wait();
  EXPECT_TRUE(jobs->cancel("users"));
  const JobRun cancelled = run.get();
  EXPECT_EQ(cancelled.outcome, RunOutcome::cancelled);
  EXPECT_EQ(cancelled.pages, 1u);
  EXPECT_EQ(cancelled.rowsSynced, 3u);
  EXPECT_EQ(rig.replica("SELECT id FROM users ORDER BY id"), (std::vector<std::string>{"1", "2", "3"}));
  EXPECT_EQ(paged.slow.connections(), 0) << "a connection was left open";
  EXPECT_EQ(jobs->get("users").rowsSynced, 3u);
  const JobRun next = jobs->run("users");
  EXPECT_EQ(next.outcome, RunOutcome::ok);
  EXPECT_EQ(rig.replicaText("SELECT count(*) FROM users"), "10");
}

TEST(JobPool, AFailureInItsSecondPageLeavesTheFirstAndClosesTheConnection) {
  PagedRig paged;
  JobsRig& rig = paged.rig;
  bool fails = true;
  paged.slow.stallsAtRow = [&] {
    if (fails && paged.isInSecondPage()) throw Error(ErrorCode::connectionFailed, Retry::later, "cut");
    return false;
  };
  const auto jobs = paged.make();
  const JobRun failed = jobs->run("users");
  EXPECT_EQ(failed.outcome, RunOutcome::failed);
  EXPECT_EQ(failed.error, "cut");
  EXPECT_EQ(failed.pages, 1u);
  EXPECT_EQ(rig.replica("SELECT id FROM users ORDER BY id"), (std::vector<std::string>{"1", "2", "3"}));
  EXPECT_EQ(paged.slow.connections(), 0) << "a connection was left open";
  fails = false;
  EXPECT_EQ(jobs->run("users").outcome, RunOutcome::ok);
  EXPECT_EQ(rig.replicaText("SELECT count(*) FROM users"), "10");
}

TEST(JobPool, ConnectionsAreClosedHoweverARunEnds) {
  JobsRig rig;
  SlowSource slow;
  ReplicationJobsOptions options = rig.options();
  options.drivers = {{Dialect::sqlite, slow.driver(rig.sourcePath)}};
  ReplicationJobs jobs(options);
  slow.go.request_stop();
  jobs.create(rig.users());
  EXPECT_EQ(slow.connections(), 0) << "of the check";
  EXPECT_EQ(jobs.run("users").outcome, RunOutcome::ok);
  EXPECT_EQ(slow.connections(), 0) << "of a run";
  slow.beforeRows = [] { throw Error(ErrorCode::queryFailed, Retry::afterOperator, "no"); };
  EXPECT_EQ(jobs.run("users").outcome, RunOutcome::failed);
  slow.beforeRows = [] { throw std::runtime_error("not one of ours"); };
  EXPECT_EQ(jobs.run("users").outcome, RunOutcome::failed);
  slow.beforeRows = nullptr;
  rig.source.exec("ALTER TABLE users RENAME TO gone");
  EXPECT_EQ(jobs.run("users").outcome, RunOutcome::failed);
  EXPECT_EQ(errorFrom([&] { jobs.create(rig.users()); }).code(), ErrorCode::tableNotFound);
  EXPECT_EQ(slow.connections(), 0) << "of what failed";
  EXPECT_EQ(slow.connected(), 6);
}

}  // namespace
}  // namespace tidegate::test
