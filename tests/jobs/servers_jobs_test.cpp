#include <gtest/gtest.h>

#include <string>

#include "jobs/server_jobs_rig.h"

namespace tidegate::test {
namespace {

using servers::eventually;
using servers::execute;
using servers::Server;
using Texts = std::vector<std::string>;

class ServerJobs : public ::testing::TestWithParam<const char*> {
 protected:
  ServerRig rig_{Server(GetParam())};
  const bool postgres_ = rig_.server.isPostgres();
};

TEST_P(ServerJobs, BringTypesTiesMicrosecondsAndLargeIdsExactly) {
  execute(rig_.writer,
          {"DROP TABLE IF EXISTS job_types",
           postgres_ ? "CREATE TABLE job_types(id bigint PRIMARY KEY, n numeric(30,10), r double precision, s text, d "
                       "date, b bytea, updated_at timestamptz)"
                     : "CREATE TABLE job_types(id bigint PRIMARY KEY, n decimal(30,10), r double, s text, d date, b "
                       "blob, updated_at timestamp(6) NULL)",
           "CREATE INDEX job_types_at ON job_types(updated_at, id)"});
  const std::string zone = postgres_ ? "+00" : "";
  for (int i = 0; i < 12; ++i) {
    execute(rig_.writer, {"INSERT INTO job_types VALUES (" + std::to_string(9'007'199'254'740'990 + i) +
                          ", 12345678901234567890.0123456789, 0.1, '00" + std::to_string(i) +
                          "', '2026-02-28', NULL, '2026-01-01 10:00:00.00000" + std::to_string(i / 4) + zone + "')"});
  }
  ReplicationJobs jobs(rig_.options());
  ReplicationJob job = rig_.job("job_types");
  job.batchSize = 3;
  const JobCreated created = jobs.create(job);
  EXPECT_TRUE(created.warnings.empty()) << created.warnings.front();
  EXPECT_EQ(rig_.run(jobs, "job_types").rowsSynced, 12u);
  EXPECT_EQ(rig_.replica("SELECT count(DISTINCT id) || ' ' || min(id) || ' ' || max(id) FROM job_types"),
            (Texts{"12 9007199254740990 9007199254741001"}));
  EXPECT_EQ(rig_.replica("SELECT n || ' ' || r || ' ' || s || ' ' || d || ' ' || updated_at FROM job_types WHERE id = "
                         "9007199254740993"),
            (Texts{"12345678901234567890.0123456789 0.1 003 2026-02-28 2026-01-01T10:00:00.000000Z"}));
  EXPECT_EQ(jobs.get("job_types").cursor, "2026-01-01T10:00:00.000002Z");
  EXPECT_EQ(rig_.run(jobs, "job_types").rowsSynced, 0u);
}

TEST_P(ServerJobs, ReadRowsWhoseTrackingColumnIsNull) {
  execute(rig_.writer,
          {"DROP TABLE IF EXISTS job_nulls",
           postgres_ ? "CREATE TABLE job_nulls(id bigint PRIMARY KEY, v text, updated_at timestamp)"
                     : "CREATE TABLE job_nulls(id bigint PRIMARY KEY, v text, updated_at datetime(6))",
           "INSERT INTO job_nulls VALUES (1, 'a', NULL), (2, 'b', NULL), (3, 'c', '2026-01-01 10:00:00')"});
  ReplicationJobs jobs(rig_.options());
  ReplicationJob job = rig_.job("job_nulls");
  job.batchSize = 1;
  jobs.create(job);
  EXPECT_EQ(rig_.run(jobs, "job_nulls").rowsSynced, 3u);
  execute(rig_.writer, {"UPDATE job_nulls SET v = 'B' WHERE id = 2"});
  EXPECT_EQ(rig_.run(jobs, "job_nulls").rowsSynced, 1u);
  EXPECT_EQ(rig_.replica("SELECT v FROM job_nulls ORDER BY id"), (Texts{"a", "B", "c"}));
}

TEST_P(ServerJobs, FindDeletesColumnsAddedLaterAndLateCommits) {
  execute(rig_.writer,
          {"DROP TABLE IF EXISTS job_late",
           postgres_ ? "CREATE TABLE job_late(id bigint PRIMARY KEY, v text, updated_at timestamptz)"
                     : "CREATE TABLE job_late(id bigint PRIMARY KEY, v varchar(20), updated_at datetime(6))",
           "INSERT INTO job_late VALUES (1, 'a', '2026-01-01 10:00:00'), (2, 'b', '2026-01-01 10:00:01')"});
  ReplicationJobs jobs(rig_.options());
  ReplicationJob job = rig_.job("job_late");
  job.deleteCheck = std::chrono::seconds(1);
  jobs.create(job);
  const QueryFn late = rig_.server.writer();
  execute(late, {"BEGIN", "INSERT INTO job_late VALUES (4, 'late', '2026-01-01 10:00:02')"});
  execute(rig_.writer, {"INSERT INTO job_late VALUES (3, 'c', '2026-01-01 10:00:04')"});
  EXPECT_EQ(rig_.run(jobs, "job_late").rowsSynced, 3u);
  execute(late, {"COMMIT"});
  EXPECT_EQ(rig_.run(jobs, "job_late").rowsSynced, 1u);
  execute(rig_.writer,
          {postgres_ ? "ALTER TABLE job_late ADD COLUMN more integer"
                     : "ALTER TABLE job_late ADD COLUMN more integer unsigned",
           "INSERT INTO job_late VALUES (5, 'e', '2026-01-01 11:00:00', 55)", "DELETE FROM job_late WHERE id = 1"});
  EXPECT_TRUE(eventually([&] { return rig_.run(jobs, "job_late").rowsDeleted == 1; }));
  EXPECT_EQ(rig_.replica("SELECT id || v || coalesce(more, '') FROM job_late ORDER BY id"),
            (Texts{"2b", "3c", "4late", "5e55"}));
}

TEST_P(ServerJobs, CompareATableWithACompositeKeyWhole) {
  execute(rig_.writer,
          {"DROP TABLE IF EXISTS job_diff",
           postgres_ ? "CREATE TABLE job_diff(a varchar(20), b integer, n numeric(8,2), j jsonb, PRIMARY KEY(a, b))"
                     : "CREATE TABLE job_diff(a varchar(20), b integer, n decimal(8,2), j json, PRIMARY KEY(a, b))",
           "INSERT INTO job_diff VALUES ('x', 1, 1.50, '{\"k\": 1}'), ('x', 2, NULL, NULL), ('y', 1, 3, '[]')"});
  ReplicationJobs jobs(rig_.options());
  ReplicationJob job = rig_.job("job_diff");
  job.trackingColumn = "";
  job.mode = JobMode::diff;
  jobs.create(job);
  EXPECT_EQ(rig_.run(jobs, "job_diff").rowsSynced, 3u);
  EXPECT_EQ(rig_.run(jobs, "job_diff").rowsSynced, 0u);
  execute(rig_.writer, {"UPDATE job_diff SET n = 2 WHERE b = 2", "DELETE FROM job_diff WHERE a = 'y'"});
  const JobRun run = rig_.run(jobs, "job_diff");
  EXPECT_EQ(run.rowsSynced, 1u);
  EXPECT_EQ(run.rowsDeleted, 1u);
  EXPECT_EQ(rig_.replica("SELECT a || b || n FROM job_diff ORDER BY b"), (Texts{"x11.50", "x22.00"}));
}

TEST_P(ServerJobs, NameWhatIsWrongAndNeverThePassword) {
  execute(rig_.writer, {"DROP TABLE IF EXISTS job_wrong", "CREATE TABLE job_wrong(id integer, n integer)"});
  ReplicationJobs jobs(rig_.options());
  ReplicationJob job = rig_.job("job_wrong");
  EXPECT_EQ(errorFrom([&] { jobs.create(job); }).code(), ErrorCode::invalidConfig) << "no key";
  job.primaryKey = {"id"};
  EXPECT_EQ(errorFrom([&] { jobs.create(job); }).code(), ErrorCode::columnNotFound);
  job.trackingColumn = "n";
  EXPECT_NE(errorFrom([&] { jobs.create(job); }).message().find("say tracking_type \"id\""), std::string::npos);
  job.trackingType = TrackingType::id;
  EXPECT_FALSE(jobs.check(job).warnings.empty());
  job.table = "no_such_table";
  EXPECT_EQ(errorFrom([&] { jobs.create(job); }).code(), ErrorCode::tableNotFound);
  job.table = "job_wrong; DROP TABLE job_wrong";
  EXPECT_EQ(errorFrom([&] { jobs.create(job); }).code(), ErrorCode::tableNotFound);
  job.table = "job_wrong";
  const std::string password = "not-the-right-password";
  job.source = {.dialect = rig_.server.dialect(),
                .host = "127.0.0.1",
                .port = rig_.port(),
                .user = "nobody",
                .password = password,
                .database = "nothing"};
  const Error wrong = errorFrom([&] { jobs.create(job); });
  EXPECT_EQ(wrong.code(), ErrorCode::authenticationFailed) << wrong.what();
  EXPECT_EQ(wrong.message().find(password), std::string::npos) << wrong.what();
}

INSTANTIATE_TEST_SUITE_P(Servers, ServerJobs, ::testing::Values("postgres", "mysql"),
                         [](const auto& which) { return std::string(which.param); });

/// Jobs that follow tables of a real Postgres.
struct StreamJobs : ::testing::Test {
  ~StreamJobs() override { jobs.stop(); }
  ReplicationJob follower(const std::string& table) const {
    ReplicationJob job = rig.job(table);
    job.trackingColumn = job.cron = "";
    job.mode = JobMode::cdc;
    return job;
  }
  bool holds(const std::string& sql, const Texts& wanted, std::chrono::seconds deadline = std::chrono::seconds(30)) {
    const auto held = [&] {
      try {
        return rig.replica(sql) == wanted;
      } catch (const std::runtime_error&) {
        return false;  // not made yet
      }
    };
    return eventually(held, deadline);
  }

  ServerRig rig{Server("postgres")};
  ReplicationJobs jobs{rig.options()};
};

/// A publication that leaves a column of the key out has Postgres refuse the source's own updates and deletes.
TEST_F(StreamJobs, OfSomeColumnsLetTheSourceUpdateAndDelete) {
  execute(rig.writer, {"DROP TABLE IF EXISTS job_some",
                       "CREATE TABLE job_some(id bigint PRIMARY KEY, code text NOT NULL, v text, secret text)",
                       "CREATE UNIQUE INDEX job_some_code ON job_some(code)",
                       "INSERT INTO job_some VALUES (1, 'x', 'a', 'hush'), (2, 'y', 'b', 'hush')"});
  const std::string all = "SELECT id || code || v FROM job_some ORDER BY id";
  ReplicationJob job = follower("job_some");
  job.columns = {"v", "code"};
  jobs.create(job);
  jobs.start();
  ASSERT_TRUE(holds(all, {"1xa", "2yb"})) << jobs.get("job_some").lastError.value_or("");
  execute(rig.writer, {"UPDATE job_some SET v = 'B' WHERE id = 2", "DELETE FROM job_some WHERE id = 1"});
  EXPECT_TRUE(holds(all, {"2yB"}));
  EXPECT_EQ(rig.replica("SELECT name FROM pragma_table_info('job_some')"), (Texts{"id", "code", "v"}));
  EXPECT_TRUE(jobs.remove("job_some"));

  // The identity need not be the primary key.
  execute(rig.writer, {"ALTER TABLE job_some REPLICA IDENTITY USING INDEX job_some_code"});
  job.columns = {"v"};
  job.target = "job_some2";
  jobs.create(job);
  const std::string second = "SELECT id || code || v FROM job_some2 ORDER BY id";
  ASSERT_TRUE(holds(second, {"2yB"})) << jobs.get("job_some").lastError.value_or("");
  execute(rig.writer, {"INSERT INTO job_some VALUES (3, 'z', 'c', 'hush')", "UPDATE job_some SET v = 'C' WHERE id = 3",
                       "DELETE FROM job_some WHERE id = 2"});
  EXPECT_TRUE(holds(second, {"3zC"}));
  EXPECT_TRUE(jobs.remove("job_some"));

  // Of a row that is told apart by all its columns, Postgres publishes all or nothing.
  execute(rig.writer, {"ALTER TABLE job_some REPLICA IDENTITY FULL"});
  const Error refused = errorFrom([&] { jobs.create(job); });
  EXPECT_EQ(refused.code(), ErrorCode::invalidConfig);
  EXPECT_NE(refused.message().find("leave columns out"), std::string::npos) << refused.message();
  job.columns = {};
  EXPECT_NO_THROW(jobs.check(job));
}

TEST_F(StreamJobs, ThatAreGivenMoreColumnsBringThemWithTheNextChangeOrAReset) {
  execute(rig.writer,
          {"DROP TABLE IF EXISTS job_wider", "CREATE TABLE job_wider(id bigint PRIMARY KEY, v text, m text, n text)",
           "INSERT INTO job_wider VALUES (1, 'a', 'm1', 'n1'), (2, 'b', 'm2', 'n2')"});
  ReplicationJob job = follower("job_wider");
  job.columns = {"v"};
  EXPECT_TRUE(jobs.create(job).warnings.empty());
  jobs.start();
  ASSERT_TRUE(holds("SELECT id || v FROM job_wider ORDER BY id", {"1a", "2b"}));
  const auto widen = [&](const std::string& name) {
    job.columns.push_back(name);
    const JobCreated wider = jobs.create(job);
    EXPECT_FALSE(wider.cursorReset);
    ASSERT_EQ(wider.warnings.size(), 1u);
    EXPECT_NE(wider.warnings[0].find("new in the replica: " + name + ";"), std::string::npos) << wider.warnings[0];
  };
  widen("m");
  // What is written before the publication is wider says nothing of the column.
  EXPECT_TRUE(eventually([&] {
    execute(rig.writer, {"UPDATE job_wider SET v = 'B' WHERE id = 2"});
    return holds("SELECT id || v || m FROM job_wider ORDER BY id", {"1am1", "2Bm2"}, std::chrono::seconds(1));
  }));
  widen("n");
  jobs.reset("job_wider");
  EXPECT_TRUE(holds("SELECT id || v || m || n FROM job_wider ORDER BY id", {"1am1n1", "2Bm2n2"}));
  EXPECT_TRUE(jobs.remove("job_wider"));
}

TEST_F(StreamJobs, FollowAPostgresTableUntilTheyAreRemoved) {
  execute(rig.writer, {"DROP TABLE IF EXISTS job_stream", "CREATE TABLE job_stream(id bigint PRIMARY KEY, v text)",
                       "INSERT INTO job_stream VALUES (1, 'a'), (2, 'b')"});
  const auto slots = [&] {
    return servers::readAll(rig.writer,
                            "SELECT slot_name::text FROM pg_replication_slots WHERE slot_name LIKE "
                            "'tidegate_job_%'")
        .size();
  };
  jobs.create(follower("job_stream"));
  jobs.start();
  const std::string all = "SELECT id || v FROM job_stream ORDER BY id";
  ASSERT_TRUE(holds(all, {"1a", "2b"})) << jobs.get("job_stream").lastError.value_or("");
  execute(rig.writer, {"UPDATE job_stream SET v = 'B' WHERE id = 2", "DELETE FROM job_stream WHERE id = 1"});
  EXPECT_TRUE(holds(all, {"2B"}));
  EXPECT_EQ(jobs.get("job_stream").state, JobState::streaming);
  EXPECT_EQ(errorFrom([&] { jobs.run("job_stream"); }).code(), ErrorCode::invalidArgument);
  jobs.pause("job_stream");
  EXPECT_TRUE(eventually([&] { return jobs.get("job_stream").state == JobState::paused; }));
  execute(rig.writer, {"INSERT INTO job_stream VALUES (3, 'c')"});
  jobs.resume("job_stream");
  EXPECT_TRUE(holds(all, {"2B", "3c"}));
  EXPECT_EQ(slots(), 1u);
  EXPECT_TRUE(jobs.remove("job_stream"));
  EXPECT_EQ(slots(), 0u);
}

}  // namespace
}  // namespace tidegate::test
