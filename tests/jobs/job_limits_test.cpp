/// A job's numbers: what they are by themselves, how far they go, and that a run goes by them.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <functional>
#include <string>
#include <vector>

#include "jobs/jobs_rig.h"

namespace tidegate::test {
namespace {

using JsonTree = nlohmann::json;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr hours kTenYears{24 * 3'650};

ReplicationJob limitedJob() {
  return {.name = "j",
          .source = {.dialect = Dialect::postgres, .host = "h"},
          .table = "t",
          .trackingColumn = "at",
          .cron = "@hourly"};
}

TEST(JobLimits, AreTheOnesThatAreWrittenDownWhereAJobNamesNone) {
  const JsonTree job = JsonTree::parse(toJson(jobFromJson(R"({"name": "j"})")));
  EXPECT_EQ(job["batch_size"], 500);
  EXPECT_EQ(job["page_cap"], 50);
  EXPECT_EQ(job["lookback"], 5.0);
  EXPECT_EQ(job["lookback_rows"], 1'000);
  EXPECT_EQ(job["commit_horizon"], false);
  EXPECT_EQ(job["delete_check"], 0);
  EXPECT_EQ(job["max_delete_fraction"], 0.5);
  EXPECT_EQ(job["mode"], "incremental");
  EXPECT_EQ(job["tracking_type"], "timestamp");
  EXPECT_EQ(job["time_zone"], "UTC");
  EXPECT_EQ(job["catch_up"], "run");
}

TEST(JobLimits, AreKeptFromBothSides) {
  struct Edge {
    const char* field;
    std::function<void(ReplicationJob&)> good, bad;
  };
  const std::vector<Edge> edges{
      {"batch_size", [](auto& j) { j.batchSize = 1; }, [](auto& j) { j.batchSize = 0; }},
      {"batch_size", [](auto& j) { j.batchSize = 10'000; }, [](auto& j) { j.batchSize = 10'001; }},
      {"page_cap", [](auto& j) { j.pageCap = 1; }, [](auto& j) { j.pageCap = 0; }},
      {"page_cap", [](auto& j) { j.pageCap = 1'000'000; }, [](auto& j) { j.pageCap = 1'000'001; }},
      {"lookback", [](auto& j) { j.lookback = milliseconds(0); }, [](auto& j) { j.lookback = milliseconds(-1); }},
      {"lookback", [](auto& j) { j.lookback = kTenYears; }, [](auto& j) { j.lookback = kTenYears + milliseconds(1); }},
      {"lookback_rows", [](auto& j) { j.lookbackRows = 1; }, [](auto& j) { j.lookbackRows = 0; }},
      {"lookback_rows", [](auto& j) { j.lookbackRows = 1'000'000; }, [](auto& j) { j.lookbackRows = 1'000'001; }},
      {"delete_check", [](auto& j) { j.deleteCheck = seconds(0); }, [](auto& j) { j.deleteCheck = seconds(-1); }},
      {"delete_check", [](auto& j) { j.deleteCheck = kTenYears; },
       [](auto& j) { j.deleteCheck = kTenYears + seconds(1); }},
      {"max_delete_fraction", [](auto& j) { j.maxDeleteFraction = 0; }, [](auto& j) { j.maxDeleteFraction = -0.1; }},
      {"max_delete_fraction", [](auto& j) { j.maxDeleteFraction = 1; }, [](auto& j) { j.maxDeleteFraction = 1.1; }},
      {"commit_horizon", [](auto& j) { j.commitHorizon = true; },
       [](auto& j) {
         j.commitHorizon = true;
         j.trackingType = TrackingType::id;
       }},
      {"commit_horizon", [](auto& j) { j.commitHorizon = false; },
       [](auto& j) {
         j.commitHorizon = true;
         j.source = {.dialect = Dialect::sqlite, .database = "f"};
       }},
      {"commit_horizon", [](auto& j) { j.commitHorizon = false; },
       [](auto& j) {
         j.commitHorizon = true;
         j.mode = JobMode::diff;
         j.trackingColumn = "";
       }},
      {"delete_check", [](auto& j) { j.deleteCheck = seconds(5); },
       [](auto& j) {
         j.deleteCheck = seconds(5);
         j.mode = JobMode::diff;
         j.trackingColumn = "";
       }},
  };
  for (const Edge& edge : edges) {
    SCOPED_TRACE(edge.field);
    ReplicationJob job = limitedJob();
    edge.good(job);
    EXPECT_NO_THROW(validate(job));
    job = limitedJob();
    edge.bad(job);
    const Error refused = errorFrom([&] { validate(job); });
    EXPECT_EQ(refused.code(), ErrorCode::invalidConfig);
    EXPECT_NE(refused.message().find(std::string("job \"j\": ") + edge.field + " "), std::string::npos)
        << refused.message();
  }
}

/// As a row of a transaction that was begun before others and committed after them.
TEST(JobLimits, ATimesLookbackFindsWhatCameLateByUpToThatMuch) {
  struct Case {
    milliseconds lookback;
    bool found;
  };
  for (const Case& each : {Case{milliseconds(0), false}, Case{seconds(9), false}, Case{seconds(11), true}}) {
    SCOPED_TRACE(each.lookback.count());
    JobsRig rig;
    rig.source.exec("INSERT INTO users VALUES (1, 'a', '2026-01-01 10:00:00'), (3, 'c', '2026-01-01 10:00:30')");
    ReplicationJob job = rig.users();
    job.lookback = each.lookback;
    rig.jobs->create(job);
    rig.run();
    rig.source.exec("INSERT INTO users VALUES (2, 'ten seconds late', '2026-01-01 10:00:20')");
    EXPECT_EQ(rig.run().rowsSynced, each.found ? 1u : 0u);
    EXPECT_EQ(rig.run().rowsSynced, 0u);
  }
}

TEST(JobLimits, AnIdsLookbackFindsWhatCameLateAmongThatManyOfTheNewest) {
  JobsRig rig("CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT)");
  for (int id = 10; id <= 100; id += 10) {
    rig.source.exec("INSERT INTO users VALUES (" + std::to_string(id) + ", 'u')");
  }
  ReplicationJob job = rig.users();
  job.trackingColumn = "id";
  job.trackingType = TrackingType::id;
  job.lookbackRows = 3;
  job.batchSize = 4;
  rig.jobs->create(job);
  EXPECT_EQ(rig.run().rowsSynced, 10u);
  const JobRun same = rig.run();
  EXPECT_EQ(same.rowsSynced, 0u) << "nothing changed";
  EXPECT_EQ(same.rowsRead, 3u) << "the three newest are read again";
  // The newest three are 80, 90 and 100.
  rig.source.exec("INSERT INTO users VALUES (85, 'late'), (45, 'too late')");
  EXPECT_EQ(rig.run().rowsSynced, 1u);
  EXPECT_EQ(rig.replica("SELECT id FROM users WHERE id % 10 = 5"), (std::vector<std::string>{"85"}));
  EXPECT_EQ(rig.jobs->get("users").cursor, "100");
}

TEST(JobLimits, ARunReadsPagesOfTheBatchSizeAndAsManyAsThePageCap) {
  JobsRig rig;
  rig.source.exec(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 26000) "
      "INSERT INTO users SELECT i, 'u', strftime('%Y-%m-%d %H:%M:%S', 1767225600 + i, 'unixepoch') FROM n");
  rig.jobs->create(rig.users());
  const JobRun run = rig.run();
  EXPECT_EQ(run.pages, 50u);
  EXPECT_EQ(run.rowsSynced, 25'000u) << "50 pages of 500";
  EXPECT_TRUE(run.more);
}

/// A source that takes its time.
JobDriver slowDriver(ManualClock& clock) {
  JobDriver out = sqlite::jobDriver();
  out.connect = [&clock, real = out.connect](const JobSource& source) {
    const QueryFn query = real(source);
    return QueryFn(Dialect::sqlite, [&clock, query](const Query& asked) {
      if (asked.sql.find("tidegate_src") != std::string::npos) clock.advance(milliseconds(750));
      return query(asked);
    });
  };
  return out;
}

TEST(JobTimes, SayWhenItRanHowLongItTookAndWhenItIsDue) {
  JobsRig rig;
  rig.source.exec("INSERT INTO users VALUES (1, 'a', '2026-01-01 10:00:00')");
  ReplicationJobsOptions options = rig.options();
  options.drivers = {{Dialect::sqlite, slowDriver(rig.clock)}};
  ReplicationJobs jobs(options);
  ReplicationJob job = rig.users();
  job.cron = "*/5 * * * *";
  jobs.create(job);
  JsonTree listed = JsonTree::parse(toJson(jobs.list())).at(0);
  EXPECT_EQ(listed["previous_tick"], "2026-01-01T00:00:00Z") << "this very moment's";
  EXPECT_EQ(listed["next_tick"], "2026-01-01T00:05:00Z");
  EXPECT_EQ(listed["next_run_at"], "2026-01-01T00:05:00Z");
  EXPECT_EQ(listed["last_run_at"], nullptr);
  EXPECT_EQ(listed["last_success_at"], nullptr);

  rig.clock.advance(seconds(7 * 60));
  const JobRun run = jobs.run("users");
  const double took = JsonTree::parse(toJson(run))["duration_ms"];
  EXPECT_GE(took, 750.0);
  EXPECT_EQ(static_cast<std::int64_t>(took) % 750, 0) << "every question took as long";
  EXPECT_EQ(run.duration, std::chrono::duration_cast<std::chrono::microseconds>(milliseconds(std::int64_t(took))));
  listed = JsonTree::parse(toJson(jobs.list())).at(0);
  EXPECT_EQ(listed["last_run_at"], "2026-01-01T00:07:00Z") << "when it began";
  EXPECT_EQ(listed["last_success_at"], toIso(Timestamp::utc((run.startedAt + run.duration).count())));
  EXPECT_EQ(listed["previous_tick"], "2026-01-01T00:05:00Z");
  EXPECT_EQ(listed["next_tick"], "2026-01-01T00:10:00Z");
  EXPECT_EQ(listed["next_run_at"], "2026-01-01T00:10:00Z") << "the run was for the tick at 5 too";
  const JsonTree history = JsonTree::parse(toJson(jobs.history("users")));
  EXPECT_EQ(history.at(0)["duration_ms"], took);
  EXPECT_EQ(history.at(0)["started_at"], "2026-01-01T00:07:00Z");

  jobs.pause("users");
  listed = JsonTree::parse(toJson(jobs.list())).at(0);
  EXPECT_EQ(listed["next_run_at"], nullptr);
  EXPECT_EQ(listed["next_tick"], "2026-01-01T00:10:00Z") << "the schedule is what it is";
}

}  // namespace
}  // namespace tidegate::test
