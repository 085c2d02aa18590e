#include <gtest/gtest.h>

#include <string>

#include "jobs/jobs_rig.h"

namespace tidegate::test {
namespace {

using Texts = std::vector<std::string>;

TEST(JobRun, MakesTheTargetFromTheCatalogueAndBringsTheRows) {
  JobsRig rig;
  rig.source.exec("INSERT INTO users VALUES (1, 'Ada', '2026-01-01 10:00:00'), (2, NULL, '2026-01-01 10:00:01')");
  const JobCreated created = rig.jobs->create(rig.users());
  EXPECT_TRUE(created.created);
  EXPECT_TRUE(created.warnings.empty()) << created.warnings.front();
  const JobRun run = rig.run();
  EXPECT_EQ(run.rowsSynced, 2u);
  EXPECT_EQ(rig.replica("SELECT id || coalesce(name, '-') || updated_at FROM users ORDER BY id"),
            (Texts{"1Ada2026-01-01 10:00:00", "2-2026-01-01 10:00:01"}));
  EXPECT_EQ(rig.jobs->get("users").cursor, "2026-01-01 10:00:01");
}

TEST(JobRun, WritesARowAgainOnlyIfItChanged) {
  JobsRig rig;
  rig.source.exec("INSERT INTO users VALUES (1, 'Ada', '2026-01-01 10:00:00'), (2, 'Bo', '2026-01-01 10:00:01')");
  rig.jobs->create(rig.users());
  rig.run();
  EXPECT_EQ(rig.run().rowsSynced, 0u);
  rig.source.exec("UPDATE users SET name = 'Bob', updated_at = '2026-01-01 10:00:02' WHERE id = 2");
  EXPECT_EQ(rig.run().rowsSynced, 1u);
  EXPECT_EQ(rig.replicaText("SELECT name FROM users WHERE id = 2"), "Bob");
}

// The reference pages by the tracking column alone, and so skips or repeats rows that share a value.
TEST(JobRun, NeitherSkipsNorRepeatsRowsThatShareAValueAcrossAPageBorder) {
  JobsRig rig;
  for (int i = 1; i <= 25; ++i) {
    rig.source.exec("INSERT INTO users VALUES (" + std::to_string(i) + ", 'u', '2026-01-01 10:00:0" +
                    std::to_string(i / 10) + "')");
  }
  ReplicationJob job = rig.users();
  job.batchSize = 3;
  rig.jobs->create(job);
  EXPECT_EQ(rig.run().rowsSynced, 25u);
  EXPECT_EQ(rig.replicaText("SELECT count(*) FROM users"), "25");
}

// A page whose rows all lie in one millisecond leaves the reference where it was, for ever.
TEST(JobRun, PassesAPageThatIsFullOfOneMillisecond) {
  JobsRig rig;
  rig.source.exec(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 700) "
      "INSERT INTO users SELECT i, 'u', '2026-01-01 10:00:00.001' FROM n");
  rig.source.exec(
      "INSERT INTO users VALUES (701, 'last', '2026-01-01 10:00:00.002'), (702, 'far', '2026-01-02 00:00:00.000')");
  ReplicationJob job = rig.users();
  job.batchSize = 10;
  job.pageCap = 7;
  rig.jobs->create(job);
  for (int runs = 0; rig.run().more; ++runs) ASSERT_LT(runs, 5);
  EXPECT_EQ(rig.replicaText("SELECT count(*) FROM users"), "702");
}

TEST(JobRun, KeepsIdsBeyondADoublesExactRange) {
  JobsRig rig("CREATE TABLE big(id INTEGER PRIMARY KEY, v TEXT)");
  rig.source.exec(
      "INSERT INTO big VALUES (9007199254740993, 'a'), (9007199254740992, 'b'), (9223372036854775807, 'c')");
  ReplicationJob job = rig.users();
  job.table = "big";
  job.trackingColumn = "id";
  job.trackingType = TrackingType::id;
  job.batchSize = 1;
  rig.jobs->create(job);
  EXPECT_EQ(rig.run().rowsSynced, 3u);
  EXPECT_EQ(rig.replica("SELECT id || v FROM big ORDER BY id"),
            (Texts{"9007199254740992b", "9007199254740993a", "9223372036854775807c"}));
  EXPECT_EQ(rig.jobs->get("users").cursor, "9223372036854775807");
}

TEST(JobRun, FindsRowsWhoseTransactionCommittedLate) {
  JobsRig rig;
  rig.source.exec("INSERT INTO users VALUES (1, 'a', '2026-01-01 10:00:00'), (3, 'c', '2026-01-01 10:00:04')");
  rig.jobs->create(rig.users());
  rig.run();
  rig.source.exec("INSERT INTO users VALUES (2, 'late', '2026-01-01 10:00:02')");
  EXPECT_EQ(rig.run().rowsSynced, 1u);
  EXPECT_EQ(rig.replica("SELECT name FROM users ORDER BY id"), (Texts{"a", "late", "c"}));
}

TEST(JobRun, ReadsRowsWithoutAValueToTrackAndSeesThemChange) {
  JobsRig rig;
  rig.source.exec("INSERT INTO users VALUES (1, 'a', NULL), (2, 'b', NULL), (3, 'c', '2026-01-01 10:00:00')");
  ReplicationJob job = rig.users();
  job.batchSize = 1;
  rig.jobs->create(job);
  EXPECT_EQ(rig.run().rowsSynced, 3u);
  EXPECT_EQ(rig.run().rowsSynced, 0u);
  rig.source.exec("UPDATE users SET name = 'B' WHERE id = 2");
  EXPECT_EQ(rig.run().rowsSynced, 1u);
  EXPECT_EQ(rig.replicaText("SELECT name FROM users WHERE id = 2"), "B");
}

// The reference infers types from the first value that is not null.
TEST(JobRun, KnowsTheTypesOfAFirstPageThatIsAllNull) {
  JobsRig rig("CREATE TABLE t(id INTEGER PRIMARY KEY, n INTEGER, r REAL, s TEXT, updated_at TEXT)");
  rig.source.exec("INSERT INTO t(id) VALUES (1), (2)");
  ReplicationJob job = rig.users();
  job.table = "t";
  rig.jobs->create(job);
  rig.run();
  rig.source.exec("INSERT INTO t VALUES (3, 7, 1, '007', '2026-01-01 10:00:00')");
  rig.run();
  EXPECT_EQ(rig.replica("SELECT type FROM pragma_table_info('t') ORDER BY cid"),
            (Texts{"INTEGER", "INTEGER", "REAL", "TEXT", "TEXT"}));
  EXPECT_EQ(rig.replicaText("SELECT n || ' ' || r || ' ' || s FROM t WHERE id = 3"), "7 1.0 007");
}

TEST(JobRun, AddsAColumnThatTheSourceGotLaterAndSaysThatOldRowsLackIt) {
  JobsRig rig;
  rig.source.exec("INSERT INTO users VALUES (1, 'a', '2026-01-01 10:00:00')");
  rig.jobs->create(rig.users());
  rig.run();
  rig.source.exec("ALTER TABLE users ADD COLUMN email TEXT DEFAULT 'none'");
  rig.source.exec("INSERT INTO users VALUES (2, 'b', '2026-01-01 10:01:00', 'b@example')");
  const JobRun run = rig.run();
  ASSERT_EQ(run.warnings.size(), 1u);
  EXPECT_NE(run.warnings[0].find("email"), std::string::npos);
  EXPECT_EQ(rig.replicaText("SELECT email FROM users WHERE id = 2"), "b@example");
  EXPECT_TRUE(rig.run().warnings.empty());
  rig.jobs->reset("users");
  EXPECT_EQ(rig.run().rowsSynced, 2u);
  EXPECT_EQ(rig.replicaText("SELECT email FROM users WHERE id = 1"), "none");
}

TEST(JobRun, KeepsTheTargetsColumnsThatAreNotSelected) {
  JobsRig rig;
  testing::PlainDb(rig.replicaPath)
      .exec(
          "CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT, updated_at TEXT, note TEXT);"
          "INSERT INTO users VALUES (1, 'old', NULL, 'mine')");
  rig.source.exec("INSERT INTO users VALUES (1, 'new', '2026-01-01 10:00:00')");
  ReplicationJob job = rig.users();
  job.columns = {"name"};
  rig.jobs->create(job);
  rig.run();
  EXPECT_EQ(rig.replicaText("SELECT name || note || updated_at FROM users"), "newmine2026-01-01 10:00:00");
}

TEST(JobRun, SelectsColumnsKeyAndTrackingColumnAlone) {
  JobsRig rig("CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, secret TEXT, at TEXT)");
  rig.source.exec("INSERT INTO t VALUES (1, 'x', 'hush', '2026-01-01')");
  ReplicationJob job = rig.users();
  job.table = "t";
  job.trackingColumn = "at";
  job.columns = {"a"};
  job.target = "copy";
  rig.jobs->create(job);
  rig.run();
  EXPECT_EQ(rig.replica("SELECT name FROM pragma_table_info('copy')"), (Texts{"id", "a", "at"}));
}

TEST(JobRun, PagesByACompositeKeyAndOneThatThePrimaryKeyIsNot) {
  JobsRig rig("CREATE TABLE t(region TEXT NOT NULL, n INTEGER NOT NULL, at TEXT, UNIQUE(region, n))");
  for (const char* region : {"'eu:a'", "'eu'", "'us'"}) {
    for (int n = 1; n <= 4; ++n) {
      rig.source.exec(std::string("INSERT INTO t VALUES (") + region + ", " + std::to_string(n) + ", '2026-01-01')");
    }
  }
  ReplicationJob job = rig.users();
  job.table = "t";
  job.trackingColumn = "at";
  job.batchSize = 5;
  EXPECT_EQ(errorFrom([&] { rig.jobs->create(job); }).code(), ErrorCode::invalidConfig);
  job.primaryKey = {"region", "n"};
  rig.jobs->create(job);
  EXPECT_EQ(rig.run().rowsSynced, 12u);
  EXPECT_EQ(rig.replicaText("SELECT count(*) FROM t"), "12");
}

TEST(JobRun, EndsAtThePageCapAndGoesOnThere) {
  JobsRig rig;
  rig.source.exec(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) "
      "INSERT INTO users SELECT i, 'u', '2026-01-01 10:00:' || printf('%02d', i % 60) FROM n");
  ReplicationJob job = rig.users();
  job.batchSize = 10;
  job.pageCap = 3;
  rig.jobs->create(job);
  const JobRun first = rig.run();
  EXPECT_TRUE(first.more);
  EXPECT_EQ(first.pages, 3u);
  EXPECT_EQ(first.rowsSynced, 30u);
  // It is due at once, before its next tick.
  rig.jobs->runDue();
  EXPECT_EQ(rig.replicaText("SELECT count(*) FROM users"), "100");
  EXPECT_EQ(rig.observer->ended.back().trigger, RunTrigger::goOn);
  // The look-back's rows were written again.
  EXPECT_GE(rig.jobs->get("users").rowsSynced, 100u);
  EXPECT_GE(rig.observer->ended.size(), 4u);
}

TEST(JobRun, ErasesDeletedRowsWhenItLooksForThem) {
  JobsRig rig;
  rig.source.exec(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) "
      "INSERT INTO users SELECT i, 'u', '2026-01-01 10:00:00' FROM n");
  ReplicationJob job = rig.users();
  job.deleteCheck = std::chrono::hours(1);
  rig.jobs->create(job);
  rig.run();
  rig.source.exec("DELETE FROM users WHERE id % 100 = 7");
  EXPECT_EQ(rig.run().rowsDeleted, 0u) << "the last check is not an hour ago";
  rig.clock.advance(std::chrono::hours(1));
  const JobRun run = rig.run();
  EXPECT_EQ(run.rowsDeleted, 25u);
  EXPECT_EQ(rig.replicaText("SELECT count(*) FROM users WHERE id % 100 = 7"), "0");
  EXPECT_EQ(rig.replicaText("SELECT count(*) FROM users"), "2475");
}

TEST(JobRun, RefusesToEraseMostOfAReplica) {
  JobsRig rig;
  rig.source.exec(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20) "
      "INSERT INTO users SELECT i, 'u', '2026-01-01 10:00:00' FROM n");
  ReplicationJob job = rig.users();
  job.deleteCheck = std::chrono::seconds(1);
  rig.jobs->create(job);
  rig.run();
  rig.source.exec("DELETE FROM users WHERE id > 5");
  rig.clock.advance(std::chrono::minutes(1));
  const JobRun refused = rig.jobs->run("users");
  EXPECT_EQ(refused.outcome, RunOutcome::failed);
  EXPECT_NE(refused.error->find("max_delete_fraction"), std::string::npos);
  EXPECT_EQ(rig.replicaText("SELECT count(*) FROM users"), "20");
  job.maxDeleteFraction = 1;
  rig.jobs->create(job);
  EXPECT_EQ(rig.run().rowsDeleted, 15u);
}

TEST(JobRun, ComparesTheWholeTableInDiffModeAndFindsEveryChange) {
  JobsRig rig("CREATE TABLE t(id INTEGER PRIMARY KEY, n, b BOOLEAN, j JSON, x BLOB)");
  rig.source.exec(
      "INSERT INTO t VALUES (1, 1.5, 1, '{\"a\": 1}', x'00'), (2, 'two', 0, NULL, NULL), (3, 3, NULL, "
      "'[1]', x'')");
  ReplicationJob job = rig.users();
  job.table = "t";
  job.trackingColumn = "";
  job.mode = JobMode::diff;
  rig.jobs->create(job);
  EXPECT_EQ(rig.run().rowsSynced, 3u);
  const JobRun same = rig.run();
  EXPECT_EQ(same.rowsRead, 3u);
  EXPECT_EQ(same.rowsSynced, 0u);
  rig.source.exec(
      "DELETE FROM t WHERE id = 1; UPDATE t SET n = 'zwei' WHERE id = 2; INSERT INTO t(id, n) VALUES (4, 4)");
  const JobRun run = rig.run();
  EXPECT_EQ(run.rowsSynced, 2u);
  EXPECT_EQ(run.rowsDeleted, 1u);
  EXPECT_EQ(rig.replica("SELECT id || n FROM t ORDER BY id"), (Texts{"2zwei", "33", "44"}));
}

TEST(JobRun, TellsOfItsProgressAfterEachPage) {
  JobsRig rig;
  rig.source.exec(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) "
      "INSERT INTO users SELECT i, 'u', '2026-01-01 10:00:00' FROM n");
  ReplicationJob job = rig.users();
  job.batchSize = 4;
  rig.jobs->create(job);
  rig.run();
  ASSERT_GE(rig.observer->progress.size(), 3u);
  std::uint64_t last = 0;
  for (const JobRun& run : rig.observer->progress) {
    EXPECT_GE(run.rowsSynced, last);
    last = run.rowsSynced;
  }
  EXPECT_EQ(last, 10u);
}

TEST(JobRun, StartsAnewWhereTheReplicaIsGone) {
  JobsRig rig;
  rig.source.exec("INSERT INTO users VALUES (1, 'a', '2026-01-01 10:00:00')");
  rig.jobs->create(rig.users());
  rig.run();
  for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(rig.replicaPath + end);
  EXPECT_EQ(rig.run().rowsSynced, 1u);
}

}  // namespace
}  // namespace tidegate::test
