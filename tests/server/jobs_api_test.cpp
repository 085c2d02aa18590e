#include "tidegate/server/jobs_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "jobs/jobs_rig.h"
#include "server/admin_rig.h"

namespace tidegate::server::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using tidegate::test::JobsRig;

constexpr const char* kPassword = "hunter2-correct-horse";

struct JobsApi : ::testing::Test, AdminRig {
  JobsApi() {
    rig.source.exec("INSERT INTO users VALUES (1, 'Ada', '2026-01-01'), (2, 'Bob', '2026-01-02')");
    addJobsApi(api, *rig.jobs);
    serve();
  }
  /// The running calls end before the jobs go.
  ~JobsApi() override { server->stop(std::chrono::seconds(5)); }

  nlohmann::json users() const {
    return {{"name", "users"},
            {"source", {{"dialect", "sqlite"}, {"database", rig.sourcePath}}},
            {"table_name", "users"},
            {"tracking_col", "updated_at"},
            {"cron_tab", "*/5 * * * *"}};
  }
  Told create(const nlohmann::json& job) { return ask("POST", "/replication/jobs", job.dump()); }

  JobsRig rig;
};

TEST_F(JobsApi, MakesAJobRunsItAndShowsHowItIs) {
  const Told made = create(users());
  EXPECT_EQ(made.status, 201) << made.text;
  EXPECT_EQ(made.headers.get("location"), "/replication/jobs/users");
  EXPECT_EQ(made.body["created"], true);
  EXPECT_EQ(made.body["job"]["tracking_type"], "timestamp");

  const Told run = ask("POST", "/replication/jobs/users/run");
  EXPECT_EQ(run.status, 200) << run.text;
  EXPECT_EQ(run.body["outcome"], "ok");
  EXPECT_EQ(run.body["rows_synced"], 2);
  EXPECT_EQ(rig.replicaText("SELECT count(*) FROM users"), "2");

  const Told listed = ask("GET", "/replication/jobs");
  ASSERT_EQ(listed.body["jobs"].size(), 1u) << listed.text;
  const auto& job = listed.body["jobs"][0];
  EXPECT_EQ(job["rows_synced"], 2);
  EXPECT_EQ(job["state"], "idle");
  EXPECT_EQ(job["next_run_at"], "2026-01-01T00:05:00Z");
  EXPECT_EQ(ask("GET", "/replication/jobs/users").body, job);
  EXPECT_EQ(listed.headers.get("cache-control"), "no-store");
}

TEST_F(JobsApi, CreatingAgainTellsWhetherTheCursorWasResetAndWhy) {
  rig.source.exec("CREATE TABLE others(id INTEGER PRIMARY KEY, updated_at TEXT)");
  create(users());
  ask("POST", "/replication/jobs/users/run");
  auto job = users();
  job["batch_size"] = 7;
  Told again = create(job);
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.body["cursor_reset"], false);
  EXPECT_EQ(again.body["job"]["rows_synced"], 2);
  job["table_name"] = "others";
  job["target_table"] = "users2";
  again = create(job);
  EXPECT_EQ(again.body["cursor_reset"], true);
  EXPECT_THAT(again.body["reset_reason"].get<std::string>(), HasSubstr("table_name changed"));
  EXPECT_THAT(again.body["warnings"].dump(), HasSubstr("index"));
}

TEST_F(JobsApi, ACheckSaysTheSameAndChangesNothing) {
  const Told checked = ask("POST", "/replication/check", users().dump());
  EXPECT_EQ(checked.status, 200) << checked.text;
  EXPECT_EQ(checked.body["created"], true);
  EXPECT_EQ(ask("GET", "/replication/jobs").body["jobs"].size(), 0u);
  auto bad = users();
  bad["cron_tab"] = "61 * * * *";
  EXPECT_EQ(ask("POST", "/replication/check", bad.dump()).status, 400);
}

TEST_F(JobsApi, AMistakeNamesItsFieldAndNothingIsChanged) {
  const auto refused = [&](const char* field, const nlohmann::json& value, int status, const char* code) {
    auto job = users();
    job[field] = value;
    const Told told = create(job);
    EXPECT_EQ(told.status, status) << field << ": " << told.text;
    EXPECT_EQ(told.body["code"], code) << field;
    EXPECT_THAT(told.body["detail"].get<std::string>(),
                HasSubstr(value.is_string() ? value.get<std::string>() : field));
    EXPECT_EQ(told.headers.get("content-type"), "application/problem+json");
  };
  refused("batch_size", 0, 400, "invalidConfig");
  refused("colour", 1, 400, "invalidConfig");
  refused("table_name", "nowhere", 422, "tableNotFound");
  refused("tracking_col", "missing_column", 422, "columnNotFound");
  refused("target_table", "_tidegate_x", 400, "invalidConfig");
  EXPECT_EQ(ask("POST", "/replication/jobs", "{").status, 400);
  EXPECT_EQ(ask("POST", "/replication/jobs", "").status, 400);
  EXPECT_EQ(ask("GET", "/replication/jobs").body["jobs"].size(), 0u);
}

TEST_F(JobsApi, APatchChangesWhatItNamesAndNothingElse) {
  create(users());
  const Told told = ask("PATCH", "/replication/jobs/users", R"({"cron_tab":"@hourly","source":{"port":0}})");
  EXPECT_EQ(told.status, 200) << told.text;
  EXPECT_EQ(told.body["job"]["cron_tab"], "@hourly");
  EXPECT_EQ(told.body["job"]["tracking_col"], "updated_at");
  EXPECT_EQ(ask("PATCH", "/replication/jobs/users", R"({"name":"other"})").status, 400);
  EXPECT_EQ(ask("PATCH", "/replication/jobs/users", R"({"cron_tab":"x"})").status, 400);
  EXPECT_EQ(ask("PATCH", "/replication/jobs/users", "[]").status, 400);
  EXPECT_EQ(ask("PATCH", "/replication/jobs/none", R"({"cron_tab":"@hourly"})").status, 404);
  EXPECT_EQ(ask("GET", "/replication/jobs/users").body["cron_tab"], "@hourly");
}

TEST_F(JobsApi, PausesResumesResetsCancelsAndRemoves) {
  create(users());
  ask("POST", "/replication/jobs/users/run");
  EXPECT_EQ(ask("POST", "/replication/jobs/users/pause").body["state"], "paused");
  EXPECT_EQ(ask("POST", "/replication/jobs/users/resume").body["state"], "idle");
  EXPECT_FALSE(ask("GET", "/replication/jobs/users").body["cursor"].is_null());
  EXPECT_TRUE(ask("POST", "/replication/jobs/users/reset").body["cursor"].is_null());
  EXPECT_EQ(ask("POST", "/replication/jobs/users/cancel").status, 200);
  EXPECT_EQ(ask("POST", "/replication/jobs/users/run").body["rows_read"], 2) << "a reset reads everything again";
  const Told removed = ask("DELETE", "/replication/jobs/users");
  EXPECT_EQ(removed.body, nlohmann::json::parse(R"({"removed":true,"source_cleaned":true})"));
  EXPECT_EQ(rig.replicaText("SELECT count(*) FROM users"), "2") << "the table stays";
  for (const char* path : {"", "/run", "/reset", "/pause", "/resume", "/cancel"}) {
    EXPECT_EQ(ask(*path == '\0' ? "DELETE" : "POST", std::string("/replication/jobs/users") + path).status, 404)
        << path;
  }
  EXPECT_EQ(ask("GET", "/replication/jobs/users/history").status, 404);
}

TEST_F(JobsApi, ShowsTheHistoryPageByPage) {
  create(users());
  for (int i = 0; i < 5; ++i) ask("POST", "/replication/jobs/users/run");
  const auto runs = ask("GET", "/replication/jobs/users/history?limit=2").body["runs"];
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0]["id"], 5);
  const auto older = ask("GET", "/replication/jobs/users/history?limit=10&before=4").body["runs"];
  ASSERT_EQ(older.size(), 3u);
  EXPECT_EQ(older[0]["id"], 3);
  for (const char* bad : {"limit=0", "limit=1001", "limit=x", "before=-1", "limit="}) {
    EXPECT_EQ(ask("GET", std::string("/replication/jobs/users/history?") + bad).status, 400) << bad;
  }
}

TEST_F(JobsApi, ARunThatIsOnlyAskedForComesByItself) {
  create(users());
  const Told asked = ask("POST", "/replication/jobs/users/run?wait=false");
  EXPECT_EQ(asked.status, 202) << asked.text;
  EXPECT_EQ(asked.body["rows_synced"], 0);
  rig.jobs->runDue();
  EXPECT_EQ(ask("GET", "/replication/jobs/users").body["rows_synced"], 2);
  EXPECT_EQ(ask("POST", "/replication/jobs/users/run?wait=perhaps").status, 400);
}

TEST_F(JobsApi, ASecondRunMeanwhileIsRefusedAndOtherCallsAreNotKeptWaiting) {
  std::promise<void> begun, goOn;
  auto options = rig.options();
  options.drivers[Dialect::sqlite].connect = [&, connect = sqlite::jobDriver().connect,
                                              calls = std::make_shared<std::atomic<int>>(0)](const JobSource& source) {
    if (++*calls == 2) {  // the first is the check at `create`
      begun.set_value();
      goOn.get_future().wait();
    }
    return connect(source);
  };
  ReplicationJobs slow(options);
  AdminRig other;
  addJobsApi(other.api, slow, {.waitingRuns = 2});
  other.serve();
  ASSERT_EQ(other.ask("POST", "/replication/jobs", users().dump()).status, 201);
  auto first = std::async(std::launch::async, [&] { return other.ask("POST", "/replication/jobs/users/run"); });
  begun.get_future().wait();
  const Told second = other.ask("POST", "/replication/jobs/users/run");
  EXPECT_EQ(second.status, 409) << second.text;
  EXPECT_EQ(second.body["code"], "backPressure");
  EXPECT_EQ(other.ask("GET", "/replication/jobs/users").body["state"], "running");
  EXPECT_EQ(other.ask("POST", "/replication/jobs/users/run?wait=false").status, 202);
  goOn.set_value();
  EXPECT_EQ(first.get().body["outcome"], "ok");
  other.server->stop(std::chrono::seconds(5));
}

TEST_F(JobsApi, NoAnswerEverHoldsASecret) {
  auto options = rig.options();
  options.drivers[Dialect::mysql] = sqlite::jobDriver();
  options.drivers[Dialect::mysql].connect = [](const JobSource& source) -> QueryFn {
    throw Error(ErrorCode::authenticationFailed, Retry::afterOperator, "no entry for " + source.password);
  };
  ReplicationJobs leaky(options);
  AdminRig other;
  addJobsApi(other.api, leaky);
  other.serve();
  const nlohmann::json job = {{"name", "s"},
                              {"source", {{"dialect", "mysql"}, {"host", "h"}, {"password", kPassword}}},
                              {"table_name", "t"},
                              {"mode", "diff"},
                              {"cron_tab", "@daily"}};
  const Told refused = other.ask("POST", "/replication/jobs", job.dump());
  EXPECT_EQ(refused.status, 422) << "the source's refusal is not this api's 401";
  EXPECT_THAT(refused.text, Not(HasSubstr(kPassword)));
  EXPECT_THAT(refused.text, HasSubstr("***"));

  auto kept = users();
  kept["source"]["password"] = kPassword;
  const Told made = create(kept);
  EXPECT_EQ(made.status, 201) << made.text;
  for (const char* path : {"/replication/jobs", "/replication/jobs/users", "/replication/jobs/users/history"}) {
    EXPECT_THAT(ask("GET", path).text, Not(HasSubstr(kPassword))) << path;
  }
  EXPECT_EQ(ask("GET", "/replication/jobs/users").body["source"]["password"], "***");
  EXPECT_THAT(made.text, Not(HasSubstr(kPassword)));
  other.server->stop(std::chrono::seconds(5));
}

TEST_F(JobsApi, AFailedRunSaysWhyAndSoDoesTheJob) {
  ASSERT_EQ(create(users()).status, 201);
  rig.source.exec("DROP TABLE users");
  const Told run = ask("POST", "/replication/jobs/users/run");
  EXPECT_EQ(run.status, 200) << run.text;
  EXPECT_EQ(run.body["outcome"], "failed");
  EXPECT_THAT(run.body["error"].get<std::string>(), HasSubstr("users"));
  EXPECT_EQ(ask("GET", "/replication/jobs/users").body["last_error"], run.body["error"]);
  EXPECT_EQ(ask("GET", "/replication/jobs/users/history").body["runs"][0]["error"], run.body["error"]);
}

TEST_F(JobsApi, IsForAdminsAlone) {
  for (const Operation& operation : api.operations()) {
    std::string path = operation.pattern;
    if (const auto at = path.find("{name}"); at != std::string::npos) path.replace(at, 6, "users");
    EXPECT_EQ(ask(operation.method, path, "", "").status, 401) << operation.method << " " << path;
    EXPECT_EQ(ask(operation.method, path, "", "client").status, 403) << operation.method << " " << path;
  }
}

}  // namespace
}  // namespace tidegate::server::test
