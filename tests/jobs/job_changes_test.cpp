/// What it means that a job is made again with other fields: which say that its rows are others.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "jobs/jobs_rig.h"

namespace tidegate::test {
namespace {

struct FieldChange {
  const char* what;
  std::function<void(ReplicationJob&)> change;
  const char* reason;  ///< how it begins; "": the cursor is kept
};

/// A job of a server that is a SQLite file, whatever says where it is.
struct ChangesRig {
  ChangesRig() {
    rig.source.exec(
        "DROP TABLE users; CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, updated_at TEXT, "
        "seen_at TEXT);"
        "CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, updated_at TEXT, seen_at TEXT);"
        "INSERT INTO users VALUES (1, 'a', '2026-01-01 10:00:00', '2026-01-01 10:00:00'),"
        "(2, 'b', '2026-01-01 10:01:00', '2026-01-01 10:01:00')");
    rig.source.exec("INSERT INTO people SELECT * FROM users");
    ReplicationJobsOptions options = rig.options();
    JobDriver driver = sqlite::jobDriver();
    driver.connect = [this, real = driver.connect](const JobSource&) {
      return real({.dialect = Dialect::sqlite, .database = rig.sourcePath});
    };
    options.drivers = {{Dialect::mysql, driver}};
    jobs = std::make_unique<ReplicationJobs>(options);
    job = rig.users();
    job.source = {.dialect = Dialect::mysql,
                  .dsn = "mysql://me:first-secret@db.example/shop",
                  .host = "db.example",
                  .port = 3306,
                  .user = "me",
                  .password = "first-secret",
                  .database = "shop"};
  }

  JobsRig rig;
  std::unique_ptr<ReplicationJobs> jobs;
  ReplicationJob job;
};

const std::vector<FieldChange>& fieldChanges() {
  static const std::vector<FieldChange> kChanges{
      {"host", [](auto& job) { job.source.host = "other.example"; }, "source changed from"},
      {"port", [](auto& job) { job.source.port = 3307; }, "source changed from"},
      {"database", [](auto& job) { job.source.database = "other"; }, "source changed from"},
      {"dsn", [](auto& job) { job.source.dsn = "mysql://me:first-secret@db2/shop"; }, "source changed from"},
      {"table_name", [](auto& job) { job.table = "people"; }, "table_name changed from \"users\" to \"people\""},
      {"tracking_col", [](auto& job) { job.trackingColumn = "seen_at"; },
       "tracking_col changed from \"updated_at\" to \"seen_at\""},
      {"target_table", [](auto& job) { job.target = "copy"; }, "target_table changed from \"users\" to \"copy\""},
      {"primary_key", [](auto& job) { job.primaryKey = {"name"}; }, "primary_key changed from \"\" to \"name\""},
      {"mode",
       [](auto& job) {
         job.mode = JobMode::diff;
         job.trackingColumn = "";
       },
       "mode changed from \"incremental\" to \"diff\""},
      {"password", [](auto& job) { job.source.password = "second-secret"; }, ""},
      {"the dsn's password", [](auto& job) { job.source.dsn = "mysql://me:second-secret@db.example/shop"; }, ""},
      {"user", [](auto& job) { job.source.user = "you"; }, ""},
      {"tls", [](auto& job) { job.source.tls = JobTls::verifyFull; }, ""},
      {"ca_file", [](auto& job) { job.source.caFile = "/ca.pem"; }, ""},
      {"a target that is the same", [](auto& job) { job.target = "users"; }, ""},
      {"columns", [](auto& job) { job.columns = {"name"}; }, ""},
      {"cron_tab", [](auto& job) { job.cron = "@daily"; }, ""},
      {"time_zone", [](auto& job) { job.timeZone = "Asia/Tokyo"; }, ""},
      {"batch_size", [](auto& job) { job.batchSize = 7; }, ""},
      {"page_cap", [](auto& job) { job.pageCap = 7; }, ""},
      {"lookback", [](auto& job) { job.lookback = std::chrono::seconds(1); }, ""},
      {"lookback_rows", [](auto& job) { job.lookbackRows = 7; }, ""},
      {"delete_check", [](auto& job) { job.deleteCheck = std::chrono::hours(1); }, ""},
      {"max_delete_fraction", [](auto& job) { job.maxDeleteFraction = 1; }, ""},
      {"catch_up", [](auto& job) { job.catchUp = CatchUp::skip; }, ""},
  };
  return kChanges;
}

TEST(JobChanges, ResetTheCursorWhereTheRowsAreOthersAndNowhereElse) {
  for (const FieldChange& each : fieldChanges()) {
    SCOPED_TRACE(each.what);
    ChangesRig rig;
    rig.jobs->create(rig.job);
    ASSERT_EQ(rig.jobs->run("users").rowsSynced, 2u);
    const auto cursor = rig.jobs->get("users").cursor;
    ASSERT_TRUE(cursor);
    ReplicationJob changed = rig.job;
    each.change(changed);
    const bool resets = *each.reason != '\0';
    const JobCreated asked = rig.jobs->check(changed);
    EXPECT_EQ(rig.jobs->get("users").cursor, cursor) << "a check changes nothing";
    const JobCreated again = rig.jobs->create(changed);
    EXPECT_FALSE(again.created);
    EXPECT_EQ(again.cursorReset, resets);
    EXPECT_EQ(asked.cursorReset, resets);
    EXPECT_EQ(again.resetReason.substr(0, resets ? std::string(each.reason).size() : std::string::npos), each.reason);
    EXPECT_EQ(asked.resetReason, again.resetReason);
    EXPECT_EQ(again.resetReason.find("secret"), std::string::npos) << again.resetReason;
    const JobStatus status = rig.jobs->get("users");
    EXPECT_EQ(status.cursor.has_value(), !resets);
    EXPECT_EQ(status.rowsSynced, 2u) << "counters are kept";
    EXPECT_EQ(status.runs, 1u);
    // A target has the key that it was made with.
    if (resets) testing::PlainDb(rig.rig.replicaPath).exec("DROP TABLE users");
    const JobRun run = rig.jobs->run("users");
    EXPECT_EQ(run.outcome, RunOutcome::ok) << run.error.value_or("");
    EXPECT_EQ(run.rowsRead, resets ? 2u : 1u) << "the newest row alone lies in the look-back";
  }
}

/// The replica still holds the old one's place.
TEST(JobChanges, AJobMadeAfterOneOfItsNameWasRemovedBeginsAnew) {
  ChangesRig rig;
  rig.jobs->create(rig.job);
  ASSERT_EQ(rig.jobs->run("users").rowsRead, 2u);
  EXPECT_TRUE(rig.jobs->remove("users"));
  rig.rig.source.exec("UPDATE people SET updated_at = '2020-01-01 00:00:00'");
  rig.job.table = "people";
  EXPECT_TRUE(rig.jobs->create(rig.job).created);
  EXPECT_EQ(rig.jobs->get("users").rowsSynced, 0u);
  EXPECT_EQ(rig.jobs->run("users").rowsSynced, 2u) << "rows before the old job's cursor";
}

}  // namespace
}  // namespace tidegate::test
