/// What a run makes of names: the target, its key, and words that SQL keeps for itself.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "jobs/jobs_rig.h"

namespace tidegate::test {
namespace {

TEST(JobTarget, IsMadeWithTheSourcesKeyAndOneRowForEach) {
  JobsRig rig("CREATE TABLE t(v TEXT, b INTEGER NOT NULL, a TEXT NOT NULL, at TEXT, PRIMARY KEY(a, b))");
  rig.source.exec(
      "INSERT INTO t VALUES ('one', 1, 'x', '2026-01-01 10:00:00'), ('two', 2, 'x', '2026-01-01 10:00:01')");
  ReplicationJob job = rig.users();
  job.table = "t";
  job.trackingColumn = "at";
  rig.jobs->create(job);
  rig.run();
  EXPECT_EQ(rig.replica("SELECT name FROM pragma_table_info('t') WHERE pk > 0 ORDER BY pk"),
            (std::vector<std::string>{"a", "b"}));
  rig.source.exec("UPDATE t SET v = 'changed', at = '2026-01-01 10:00:02' WHERE b = 2");
  EXPECT_EQ(rig.run().rowsSynced, 1u);
  EXPECT_EQ(rig.replica("SELECT v FROM t ORDER BY b"), (std::vector<std::string>{"one", "changed"}));
  EXPECT_THROW(testing::PlainDb(rig.replicaPath).exec("INSERT INTO t VALUES ('again', 1, 'x', NULL)"),
               std::runtime_error);
}

TEST(JobTarget, HasTheKeyThatTheJobNamesWhereItNamesOne) {
  JobsRig rig("CREATE TABLE t(id INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE, at TEXT)");
  rig.source.exec("INSERT INTO t VALUES (1, 'x', '2026-01-01 10:00:00')");
  ReplicationJob job = rig.users();
  job.table = "t";
  job.trackingColumn = "at";
  job.primaryKey = {"code"};
  rig.jobs->create(job);
  rig.run();
  EXPECT_EQ(rig.replica("SELECT name FROM pragma_table_info('t') WHERE pk > 0"), (std::vector<std::string>{"code"}));
}

TEST(JobTarget, IsTheTableThatTheJobNamesAndNoOther) {
  JobsRig rig;
  rig.source.exec("INSERT INTO users VALUES (1, 'Ada', '2026-01-01 10:00:00')");
  ReplicationJob job = rig.users();
  job.target = "users2";
  rig.jobs->create(job);
  EXPECT_EQ(rig.run().rowsSynced, 1u);
  EXPECT_EQ(rig.replica("SELECT id || name FROM users2"), (std::vector<std::string>{"1Ada"}));
  EXPECT_EQ(rig.replicaText("SELECT count(*) FROM sqlite_schema WHERE name = 'users'"), "0");
  rig.source.exec("UPDATE users SET name = 'Bo', updated_at = '2026-01-01 10:00:01'");
  EXPECT_EQ(rig.run().rowsSynced, 1u);
  EXPECT_EQ(rig.replica("SELECT id || name FROM users2"), (std::vector<std::string>{"1Bo"}));
}

TEST(JobTarget, AndItsColumnsMayBeCalledWhatSqlKeepsForItself) {
  JobsRig rig("CREATE TABLE \"order\"(\"select\" INTEGER PRIMARY KEY, \"from\" TEXT, \"group\" TEXT, \"where\" TEXT)");
  rig.source.exec("INSERT INTO \"order\" VALUES (1, 'a', '2026-01-01 10:00:00', 'not read')");
  ReplicationJob job = rig.users();
  job.table = "order";
  job.trackingColumn = "group";
  job.columns = {"from"};
  job.primaryKey = {"select"};
  job.deleteCheck = std::chrono::hours(1);
  for (const JobMode mode : {JobMode::incremental, JobMode::diff}) {
    SCOPED_TRACE(toString(mode));
    job.mode = mode;
    job.target = mode == JobMode::diff ? "values" : "table";
    if (mode == JobMode::diff) {
      job.trackingColumn = "";
      job.deleteCheck = std::chrono::seconds(0);
    }
    rig.jobs->create(job);
    EXPECT_EQ(rig.run().rowsSynced, 1u);
    const std::string target = "\"" + job.target + "\"";
    EXPECT_EQ(rig.replica("SELECT \"select\" || \"from\" FROM " + target), (std::vector<std::string>{"1a"}));
    EXPECT_EQ(rig.replicaText("SELECT count(*) FROM pragma_table_info('" + job.target + "') WHERE name = 'where'"),
              "0");
  }
}

}  // namespace
}  // namespace tidegate::test
