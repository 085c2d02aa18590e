/// SQL in every field of a job that reaches SQL: it is a name that there is, or it is refused; it is never run.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "jobs/injection_corpus.h"
#include "jobs/jobs_rig.h"

namespace tidegate {
namespace {

using test::JobsRig;

struct InjectedJob : ::testing::Test {
  InjectedJob() {
    rig.source.exec("CREATE TABLE canary(id INTEGER PRIMARY KEY, name TEXT)");
    rig.source.exec("INSERT INTO canary VALUES(1, 'lives')");
    rig.source.exec("INSERT INTO users VALUES(1, 'Ada', '2025-12-31 00:00:00')");
    testing::PlainDb replica(rig.replicaPath);
    replica.exec("CREATE TABLE canary(id INTEGER PRIMARY KEY, name TEXT)");
    replica.exec("INSERT INTO canary VALUES(1, 'lives')");
  }

  /// Creates the job and runs it, whatever comes of it, and looks whether anything else happened.
  void attempt(ReplicationJob job, const test::InjectedField& field, const std::string& text) {
    SCOPED_TRACE(field.name + " = " + text.substr(0, 60));
    try {
      job.name = field.name == "name" ? text : "attempt";
      rig.jobs->create(job);
      const JobRun run = rig.jobs->run(job.name);
      EXPECT_TRUE(field.mayRun(text) || run.outcome != RunOutcome::ok) << "it ran: " << job.name;
      rig.jobs->remove(job.name);
    } catch (const Error& e) {
      EXPECT_NE(e.code(), ErrorCode::internal) << e.what();
      ++refused;
    }
    EXPECT_EQ(rig.source.texts("SELECT name FROM canary WHERE id = 1"), std::vector<std::string>{"lives"});
    EXPECT_EQ(rig.source.texts("SELECT count(*) FROM sqlite_master WHERE type = 'table'").at(0), "2");
    EXPECT_EQ(rig.replica("SELECT name FROM canary WHERE id = 1"), std::vector<std::string>{"lives"});
  }

  JobsRig rig{};
  int refused = 0;
};

TEST_F(InjectedJob, RunsNothingOfWhatStandsInItsFields) {
  for (const JobMode mode : {JobMode::incremental, JobMode::diff}) {
    refused = 0;
    for (const test::InjectedField& field : test::injectedFields(mode)) {
      for (const std::string& text : test::injectionCorpus()) {
        ReplicationJob job = field.inMode(rig.users());
        field.set(job, text);
        if (!field.isNothing(text)) attempt(job, field, text);
      }
    }
    EXPECT_GT(refused, mode == JobMode::incremental ? 200 : 90);
  }
}

/// A target, and what is in the source, may be called anything: then that is the name, and it is quoted.
TEST_F(InjectedJob, TakesStrangeNamesForWhatTheyAre) {
  const std::string strange = "or\"ders; DROP TABLE canary; --";
  const std::string quoted = "\"or\"\"ders; DROP TABLE canary; --\"";
  const std::string column = "\"it's a \"\"name\"\"; --\"", columnName = "it's a \"name\"; --";
  rig.source.exec("CREATE TABLE " + quoted + "(id INTEGER PRIMARY KEY, " + column + " TEXT, at TEXT)");
  rig.source.exec("INSERT INTO " + quoted + " VALUES(7, '''); DROP TABLE canary; --', '2025-12-31 00:00:00')");
  ReplicationJob job = rig.users();
  job.table = job.target = strange;
  job.trackingColumn = "at";
  job.columns = {"id", columnName, "at"};
  rig.jobs->create(job);
  const JobRun run = rig.jobs->run(job.name);
  ASSERT_EQ(run.outcome, RunOutcome::ok) << run.error.value_or("");
  EXPECT_EQ(rig.replicaText("SELECT " + column + " FROM " + quoted), "'); DROP TABLE canary; --");
  EXPECT_EQ(rig.source.texts("SELECT name FROM canary"), std::vector<std::string>{"lives"});
  EXPECT_EQ(rig.replica("SELECT name FROM canary"), std::vector<std::string>{"lives"});
}

}  // namespace
}  // namespace tidegate
