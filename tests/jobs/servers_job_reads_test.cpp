/// What a run reads of real servers: keys of every type that are gone, rows that commit late, and over what connection.
#include <gtest/gtest.h>

#include <future>
#include <string>
#include <vector>

#include "jobs/server_jobs_rig.h"

namespace tidegate::test {
namespace {

using servers::eventually;
using servers::execute;
using servers::readAll;

class ServerJobReads : public ::testing::TestWithParam<const char*> {
 protected:
  /// The source as its form has it, for TLS.
  JobSource byParts(const std::string& host, JobTls tls, const std::string& ca = {}) const {
    return {.dialect = rig_.server.dialect(),
            .host = host,
            .port = rig_.port(),
            .user = "tidegate",
            .password = "tidegate-secret",
            .database = "tidegate",
            .tls = tls,
            .caFile = ca.empty() ? ca : servers::environment("TIDEGATE_TLS_DIR") + "/" + ca};
  }
  /// Of jobs, in the eyes of the server.
  std::string connections() {
    const std::string sql =
        postgres_
            ? "SELECT count(*)::text AS n FROM pg_stat_activity WHERE application_name = 'tidegate-jobs'"
            : "SELECT CAST(count(*) AS char) AS n FROM information_schema.processlist WHERE user = 'tidegate' AND "
              "id <> CONNECTION_ID()";
    return readAll(rig_.writer, sql).at(0).at(0).as<std::string>();
  }
  ReplicationJob whole(const std::string& table) const {
    ReplicationJob job = rig_.job(table);
    job.mode = JobMode::diff;
    job.trackingColumn = "";
    job.primaryKey = {"id"};
    return job;
  }

  ServerRig rig_{servers::Server(GetParam())};
  const bool postgres_ = rig_.server.isPostgres();
};

struct KeyCase {
  const char* columns;  ///< and their types
  const char* key;
  std::vector<std::string> keys;  ///< of four rows; the third is deleted
};

std::vector<KeyCase> keyCases(bool postgres) {
  const std::vector<std::string> days{"'2026-01-01'", "'2026-01-02'", "'1969-12-31'", "'2099-06-01'"};
  const std::vector<std::string> moments{"'2026-01-01 00:00:00'", "'2026-01-01 00:00:00.000001'",
                                         "'2026-01-01 10:20:30.5'", "'2030-01-01 23:59:59.999999'"};
  const std::vector<std::string> numbers{"1.5", "-1.500", "0", "123456789.125"};
  const std::vector<std::string> large{"1", "9007199254740993", "9007199254740992", "9223372036854775807"};
  const std::vector<std::string> pairs{"'a', 1", "'a', 2", "'b', 1", "'a:b', 1"};
  const std::vector<std::string> words{"'a'", "'a b'", "'Ünïcode'", "'x''y'"};
  const std::vector<std::string> reals{"0.1", "-2.5", "1e100", "3"};
  if (postgres) {
    return {{"a varchar(20), b integer", "a, b", pairs},
            {"a timestamptz, b text",
             "a, b",
             {"'2026-01-01 00:00:00+00', 'x'", "'2026-01-01 00:00:00.000001+00', 'x'", "'2026-01-01 01:00:00+01', 'y'",
              "'2030-01-01 00:00:00+00', ''"}},
            {"a uuid",
             "a",
             {"'00000000-0000-0000-0000-000000000001'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
              "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12'"}},
            {"a numeric(12,3)", "a", numbers},
            {"a numeric", "a", {"1", "1.50", "1.5000001", "100000000000000000000000.1"}},
            {"a timestamptz", "a", moments},
            {"a timestamp", "a", moments},
            {"a date", "a", days},
            {"a time", "a", {"'00:00'", "'10:20:30.000001'", "'10:20:30'", "'23:59:59'"}},
            {"a bytea", "a", {R"('\x00')", R"('\x01')", R"('\xff00ff')", R"('\x27')"}},
            {"a bigint", "a", large},
            {"a text", "a", words},
            {"a char(10)", "a", words},
            {"a boolean, b smallint", "a, b", {"true, 1", "false, 1", "true, 2", "false, 2"}},
            {"a double precision", "a", reals}};
  }
  return {{"a varchar(20), b integer", "a, b", pairs},
          {"a datetime(6), b varchar(9)",
           "a, b",
           {"'2026-01-01 00:00:00', 'x'", "'2026-01-01 00:00:00.000001', 'x'", "'2026-01-01 00:00:00', 'y'",
            "'2030-01-01 00:00:00', ''"}},
          {"a decimal(12,3)", "a", numbers},
          {"a datetime(6)", "a", moments},
          {"a timestamp(6)", "a", moments},
          {"a date", "a", days},
          {"a time(6)", "a", {"'00:00'", "'10:20:30.000001'", "'10:20:30'", "'23:59:59'"}},
          {"a binary(4)", "a", {"x'00000000'", "x'ff00ff00'", "x'27272727'", "x'ffffffff'"}},
          {"a varbinary(9)", "a", {"x'00'", "x'01'", "x'ff00ff'", "x'27'"}},
          {"a bigint unsigned", "a", {"1", "9007199254740993", "9007199254740992", "18446744073709551615"}},
          {"a varchar(20) CHARACTER SET utf8mb4", "a", words},
          {"a char(10) CHARACTER SET utf8mb4", "a", words},
          {"a enum('p', 'q', 'r', 's')", "a", {"'p'", "'q'", "'r'", "'s'"}},
          {"a double", "a", reals}};
}

TEST_P(ServerJobReads, FindDeletesByKeysOfEveryType) {
  ManualClock clock{Clock::Micros(std::chrono::seconds(1'767'225'600))};
  ReplicationJobsOptions options = rig_.options();
  options.clock = &clock;
  ReplicationJobs jobs(options);
  int tables = 0;
  for (const KeyCase& each : keyCases(postgres_)) {
    SCOPED_TRACE(each.columns);
    const std::string key = each.key;
    execute(rig_.writer,
            {"DROP TABLE IF EXISTS job_keys", std::string("CREATE TABLE job_keys(") + each.columns +
                                                  ", v varchar(9), updated_at timestamp, PRIMARY KEY(" + key + "))"});
    for (std::size_t i = 0; i < each.keys.size(); ++i) {
      execute(rig_.writer, {"INSERT INTO job_keys(" + key + ", v, updated_at) VALUES (" + each.keys[i] + ", 'v" +
                            std::to_string(i) + "', '2026-01-01 10:00:00')"});
    }
    ReplicationJob job = rig_.job("job_keys");
    job.name = job.target = "keys_" + std::to_string(++tables);
    job.deleteCheck = std::chrono::hours(1);
    job.batchSize = 3;
    jobs.create(job);
    const JobRun first = rig_.run(jobs, job.name);
    EXPECT_EQ(first.rowsSynced, 4u);
    EXPECT_EQ(first.rowsDeleted, 0u) << "rows were taken for gone that are there";
    execute(rig_.writer, {"DELETE FROM job_keys WHERE v = 'v2'"});
    clock.advance(std::chrono::hours(2));
    const JobRun second = rig_.run(jobs, job.name);
    EXPECT_EQ(second.rowsDeleted, 1u);
    EXPECT_EQ(rig_.replica("SELECT v FROM " + job.target + " ORDER BY v"),
              (std::vector<std::string>{"v0", "v1", "v3"}));
  }
}

/// A transaction stamps a row, others commit later stamps, it commits: no look-back reaches back to it.
TEST_P(ServerJobReads, MissNoRowOfATransactionThatIsOpenUnderACommitHorizon) {
  const std::string now = postgres_ ? "clock_timestamp()" : "NOW(6)";
  for (const bool horizon : {false, true}) {
    SCOPED_TRACE(horizon ? "with one" : "without one");
    execute(rig_.writer, {"DROP TABLE IF EXISTS job_horizon",
                          postgres_ ? "CREATE TABLE job_horizon(id bigint PRIMARY KEY, updated_at timestamptz)"
                                    : "CREATE TABLE job_horizon(id bigint PRIMARY KEY, updated_at timestamp(6))"});
    ReplicationJobs jobs(rig_.options());
    ReplicationJob job = rig_.job("job_horizon");
    job.name = job.target = horizon ? "with_horizon" : "without_horizon";
    job.lookback = std::chrono::milliseconds(0);
    job.commitHorizon = horizon;
    jobs.create(job);
    const QueryFn late = rig_.server.writer();
    execute(late, {"BEGIN", "INSERT INTO job_horizon VALUES (1, " + now + ")"});
    execute(rig_.writer, {"INSERT INTO job_horizon VALUES (2, " + now + ")"});
    EXPECT_EQ(rig_.run(jobs, job.name).rowsSynced, 1u);
    execute(late, {"COMMIT"});
    EXPECT_EQ(rig_.run(jobs, job.name).rowsSynced, horizon ? 1u : 0u);
    EXPECT_EQ(rig_.run(jobs, job.name).rowsSynced, 0u);
  }
}

/// The view says of the very connection that reads it whether it is encrypted.
TEST_P(ServerJobReads, GoOverTheTlsThatTheirSourceDemands) {
  const std::string schema = servers::isMariaDb() ? "information_schema" : "performance_schema";
  execute(
      rig_.writer,
      {"DROP VIEW IF EXISTS job_tls",
       postgres_ ? "CREATE VIEW job_tls AS SELECT 1 AS id, CASE WHEN ssl THEN 'encrypted' ELSE 'plain' END AS v "
                   "FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
                 : "CREATE VIEW job_tls AS SELECT 1 AS id, IF(variable_value = '', 'plain', 'encrypted') AS v FROM " +
                       schema + ".session_status WHERE variable_name = 'Ssl_cipher'"});
  ReplicationJobs jobs(rig_.options());
  ReplicationJob job = whole("job_tls");
  const auto read = [&](JobSource source) {
    job.source = std::move(source);
    jobs.create(job);
    EXPECT_EQ(jobs.get("job_tls").job.source.tls, job.source.tls);
    rig_.run(jobs, "job_tls");
    return rig_.replica("SELECT v FROM job_tls").at(0);
  };
  EXPECT_EQ(read(byParts("127.0.0.1", JobTls::off)), "plain");
  EXPECT_EQ(read(byParts("127.0.0.1", JobTls::requireUnverified)), "encrypted");
  EXPECT_EQ(read(byParts("localhost", JobTls::verifyFull, "ca.pem")), "encrypted");
  const auto refusal = [&](JobSource source) {
    job.source = std::move(source);
    return errorFrom([&] { jobs.create(job); });
  };
  EXPECT_EQ(refusal(byParts("127.0.0.1", JobTls::verifyFull, "ca.pem")).code(), ErrorCode::connectionFailed)
      << "the certificate is localhost's";
  EXPECT_EQ(refusal(byParts("localhost", JobTls::verifyFull, "other-ca.pem")).code(), ErrorCode::connectionFailed);
  EXPECT_EQ(refusal(byParts("localhost", JobTls::verifyFull)).code(), ErrorCode::connectionFailed)
      << "the system does not know the authority";
  if (postgres_) {
    EXPECT_EQ(read(byParts("127.0.0.1", JobTls::verifyCa, "ca.pem")), "encrypted");
    EXPECT_EQ(refusal(byParts("127.0.0.1", JobTls::verifyCa, "other-ca.pem")).code(), ErrorCode::connectionFailed);
  } else {
    EXPECT_EQ(refusal(byParts("127.0.0.1", JobTls::verifyCa, "ca.pem")).code(), ErrorCode::invalidConfig);
  }
  // A run holds to it as the check does: what was verified once is verified again.
  job.source = byParts("localhost", JobTls::verifyFull, "ca.pem");
  const testing::TempDir dir;
  std::filesystem::copy_file(job.source.caFile, dir / "ca.pem");
  job.source.caFile = dir / "ca.pem";
  jobs.create(job);
  std::filesystem::copy_file(servers::environment("TIDEGATE_TLS_DIR") + "/other-ca.pem", dir / "ca.pem",
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_EQ(jobs.run("job_tls").outcome, RunOutcome::failed);
}

TEST_P(ServerJobReads, LeaveNoConnectionOpenHoweverTheyEnd) {
  const std::string before = connections();
  execute(rig_.writer,
          {"DROP TABLE IF EXISTS job_ends", "DROP VIEW IF EXISTS job_sleeps",
           "CREATE TABLE job_ends(id integer PRIMARY KEY, v varchar(9))", "INSERT INTO job_ends VALUES (1, 'a')",
           postgres_ ? "CREATE VIEW job_sleeps AS SELECT 1 AS id, pg_sleep(60)::text AS v"
                     : "CREATE VIEW job_sleeps AS SELECT 1 AS id, SLEEP(60) AS v"});
  ReplicationJobs jobs(rig_.options());
  jobs.create(whole("job_ends"));
  jobs.create(whole("job_sleeps"));
  const auto closed = [&] { return eventually([&] { return connections() == before; }); };
  EXPECT_TRUE(closed()) << "of the checks";
  rig_.run(jobs, "job_ends");
  EXPECT_TRUE(closed()) << "of a run";
  auto sleeping = std::async(std::launch::async, [&] { return jobs.run("job_sleeps"); });
  const std::string asleep =
      postgres_ ? "SELECT pid FROM pg_stat_activity WHERE application_name = 'tidegate-jobs' AND wait_event = 'PgSleep'"
                : "SELECT id FROM information_schema.processlist WHERE state = 'User sleep'";
  EXPECT_TRUE(eventually([&] { return !readAll(rig_.writer, asleep).empty(); }));
  EXPECT_NE(connections(), before) << "nothing is seen of a run: the test proves nothing";
  EXPECT_TRUE(jobs.cancel("job_sleeps"));
  EXPECT_EQ(sleeping.get().outcome, RunOutcome::cancelled);
  EXPECT_TRUE(closed()) << "of a run that was cancelled";
  execute(rig_.writer,
          {"ALTER TABLE job_ends DROP COLUMN v", "INSERT INTO job_ends VALUES (2)", "DROP VIEW job_sleeps"});
  EXPECT_EQ(jobs.run("job_sleeps").outcome, RunOutcome::failed);
  ReplicationJob job = whole("job_sleeps");
  EXPECT_EQ(errorFrom([&] { jobs.create(job); }).code(), ErrorCode::tableNotFound);
  EXPECT_TRUE(closed()) << "of what failed";
}

/// They are unequal to themselves, and yet did not change.
TEST(PostgresJobReads, KeepNumbersThatAreNoneOrHaveNoEnd) {
  ServerRig rig{servers::Server("postgres")};
  execute(rig.writer,
          {"DROP TABLE IF EXISTS job_nan",
           "CREATE TABLE job_nan(id bigint PRIMARY KEY, r double precision, f real, n numeric, updated_at timestamp)",
           "INSERT INTO job_nan VALUES (1, 'NaN', 'NaN', 'NaN', '2026-01-01 10:00:00'), "
           "(2, 'Infinity', '-Infinity', 1e30, '2026-01-01 10:00:00'), (3, 1e308, -0.5, 0, '2026-01-01 10:00:00')"});
  ReplicationJobs jobs(rig.options());
  for (const JobMode mode : {JobMode::incremental, JobMode::diff}) {
    SCOPED_TRACE(toString(mode));
    ReplicationJob job = rig.job("job_nan");
    job.mode = mode;
    job.name = job.target = std::string("nan_") + std::string(toString(mode));
    if (mode == JobMode::diff) job.trackingColumn = "";
    jobs.create(job);
    EXPECT_EQ(rig.run(jobs, job.name).rowsSynced, 3u);
    EXPECT_EQ(rig.run(jobs, job.name).rowsSynced, 0u) << "nothing changed";
    EXPECT_EQ(rig.replica("SELECT r || ' ' || f || ' ' || n FROM " + job.target + " WHERE id = 1"),
              (std::vector<std::string>{"NaN NaN NaN"}));
    EXPECT_EQ(rig.replica("SELECT r > 1e308 AND f < -1e308 FROM " + job.target + " WHERE id = 2"),
              (std::vector<std::string>{"1"}));
  }
}

INSTANTIATE_TEST_SUITE_P(Servers, ServerJobReads, ::testing::Values("postgres", "mysql"),
                         [](const auto& which) { return std::string(which.param); });

}  // namespace
}  // namespace tidegate::test
