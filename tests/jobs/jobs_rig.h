/// A source, a replica and jobs between them, all in SQLite files, under a clock that the test moves.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sqlite/temp_database.h"
#include "support/manual_clock.h"
#include "tidegate/core/error.h"
#include "tidegate/jobs/replication_jobs.h"
#include "tidegate/sqlite/job_driver.h"
#include "tidegate/sqlite/sink.h"

namespace tidegate::test {

inline JobKey testKey() { return JobKey::fromBytes(std::string(32, 'k')); }

/// Notes what it is told.
struct NotingObserver final : JobObserver {
  std::vector<std::string> began, warnings;
  std::vector<JobRun> ended, progress;
  void onRunBegan(std::string_view job, const JobRun&) override { began.emplace_back(job); }
  void onProgress(std::string_view, const JobRun& soFar) override { progress.push_back(soFar); }
  void onRunEnded(std::string_view, const JobRun& run) override { ended.push_back(run); }
  void onWarning(std::string_view, std::string_view message) override { warnings.emplace_back(message); }
};

inline Error errorFrom(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& e) {
    return e;
  }
  ADD_FAILURE() << "no error was thrown";
  return {ErrorCode::internal, Retry::never, "none"};
}

struct JobsRig {
  explicit JobsRig(const std::string& schema =
                       "CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT, updated_at TEXT);"
                       "CREATE INDEX by_time ON users(updated_at, id)") {
    source.exec("PRAGMA journal_mode = WAL");
    source.exec(schema);
    jobs = make();
  }

  ReplicationJobsOptions options() {
    return {
        .store = store,
        .key = testKey(),
        .drivers = {{Dialect::sqlite, sqlite::jobDriver()}},
        .replica =
            [path = replicaPath] { return sqlite::sink({.path = path, .synchronous = sqlite::Synchronous::normal}); },
        .observer = observer,
        .clock = &clock,
        .scheduler = &scheduler,
        .jitterSeed = 1};
  }
  std::unique_ptr<ReplicationJobs> make() { return std::make_unique<ReplicationJobs>(options()); }

  ReplicationJob users() const {
    return {.name = "users",
            .source = {.dialect = Dialect::sqlite, .database = sourcePath},
            .table = "users",
            .trackingColumn = "updated_at",
            .cron = "* * * * *"};
  }

  /// A run that must succeed.
  JobRun run(const std::string& name = "users") {
    JobRun run = jobs->run(name);
    EXPECT_EQ(run.outcome, RunOutcome::ok) << run.error.value_or("");
    return run;
  }
  std::vector<std::string> replica(const std::string& sql) { return testing::PlainDb(replicaPath).texts(sql); }
  std::string replicaText(const std::string& sql) { return replica(sql).at(0); }

  testing::TempDir dir;
  std::string sourcePath = dir / "source.db", replicaPath = dir / "replica.db";
  testing::PlainDb source{sourcePath};
  ManualClock clock{Clock::Micros(std::chrono::seconds(1'767'225'600))};  // 2026-01-01
  ManualScheduler scheduler{clock};
  std::shared_ptr<JobStore> store = std::make_shared<MemoryJobStore>();
  std::shared_ptr<NotingObserver> observer = std::make_shared<NotingObserver>();
  std::unique_ptr<ReplicationJobs> jobs;
};

}  // namespace tidegate::test
