/// SQL in every field of a job that reaches SQL: it is a name that there is, or it is refused; it is never run.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "jobs/jobs_rig.h"

namespace tidegate {
namespace {

using test::JobsRig;

const std::vector<std::string>& corpus() {
  static const std::vector<std::string> kCorpus{
      "users; DROP TABLE canary",
      "users; DROP TABLE canary; --",
      "users\"; DROP TABLE canary; --",
      "\"users\"; DELETE FROM canary; --",
      "users' OR '1'='1",
      "users'; DELETE FROM canary; --",
      "users`; DELETE FROM canary; --",
      "users]; DELETE FROM canary; --",
      "users WHERE 1=1; UPDATE canary SET id = 9; --",
      "users UNION SELECT * FROM canary",
      "users/**/;/**/DROP/**/TABLE/**/canary",
      "users --",
      "users #",
      "users/*",
      "(SELECT name FROM canary)",
      "users, canary",
      "users\n; DROP TABLE canary",
      std::string("users\0; DROP TABLE canary", 25),
      "\\\"; DROP TABLE canary; --",
      "\"\"; DROP TABLE canary; --",
      "%s%n%x",
      "$1; DROP TABLE canary",
      "?; DROP TABLE canary",
      ":name; DROP TABLE canary",
      "main.users; DROP TABLE canary",
      "main.\"users\"; DROP TABLE canary",
      "\xC0\xA7; DROP TABLE canary",
      "users\xCA\xBC; DROP TABLE canary",
      "",
      "\"",
      "'",
      "--",
      std::string(10'000, '"'),
  };
  return kCorpus;
}

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
  void attempt(ReplicationJob job, const std::string& field, const std::string& text) {
    SCOPED_TRACE(field + " = " + text.substr(0, 60));
    try {
      job.name = field == "name" ? text : "attempt";
      rig.jobs->create(job);
      const JobRun run = rig.jobs->run(job.name);
      // "--" is a name as others are, and a target may be called anything.
      const bool mayRun = field == "target_table" || (field == "name" && text == "--");
      EXPECT_TRUE(mayRun || run.outcome != RunOutcome::ok) << "it ran: " << job.name;
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
  using Set = void (*)(ReplicationJob&, const std::string&);
  const std::vector<std::pair<std::string, Set>> fields{
      {"name", [](ReplicationJob&, const std::string&) {}},
      {"table_name", [](ReplicationJob& job, const std::string& text) { job.table = text; }},
      {"target_table", [](ReplicationJob& job, const std::string& text) { job.target = text; }},
      {"tracking_col", [](ReplicationJob& job, const std::string& text) { job.trackingColumn = text; }},
      {"columns",
       [](ReplicationJob& job, const std::string& text) {
         job.columns = {"name", text};
       }},
      {"primary_key", [](ReplicationJob& job, const std::string& text) { job.primaryKey = {text}; }},
      {"primary_key second",
       [](ReplicationJob& job, const std::string& text) {
         job.primaryKey = {"id", text};
       }},
      {"cron_tab", [](ReplicationJob& job, const std::string& text) { job.cron = text; }},
      {"time_zone", [](ReplicationJob& job, const std::string& text) { job.timeZone = text; }},
  };
  for (const auto& [field, set] : fields) {
    for (const std::string& text : corpus()) {
      ReplicationJob job = rig.users();
      set(job, text);
      // Left out, these are as if nothing had been asked for.
      const bool nothing = text.empty() && (field == "tracking_col" || field == "time_zone");
      if (!nothing) attempt(job, field, text);
    }
  }
  EXPECT_GT(refused, 200);
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
  bool taken = false;
  try {
    rig.jobs->create(job);
    taken = rig.jobs->run(job.name).outcome == RunOutcome::ok;
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalidConfig) << e.what();
  }
  if (taken) {
    EXPECT_EQ(rig.replicaText("SELECT " + column + " FROM " + quoted), "'); DROP TABLE canary; --");
  }
  EXPECT_EQ(rig.source.texts("SELECT name FROM canary"), std::vector<std::string>{"lives"});
  EXPECT_EQ(rig.replica("SELECT name FROM canary"), std::vector<std::string>{"lives"});
}

}  // namespace
}  // namespace tidegate
