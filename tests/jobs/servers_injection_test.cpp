/// SQL in every field of a job, against servers that would run it: it is a name that there is, or it is refused.
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "jobs/injection_corpus.h"
#include "jobs/jobs_rig.h"
#include "servers/servers.h"
#include "tidegate/mysql/job_driver.h"
#include "tidegate/postgres/job_driver.h"
#include "tidegate/sqlite/job_store.h"

namespace tidegate::test {
namespace {

using servers::environment;
using servers::execute;
using servers::readAll;

class ServerInjection : public ::testing::TestWithParam<const char*> {
 protected:
  ServerInjection() {
    execute(writer_,
            {"DROP TABLE IF EXISTS users", "DROP TABLE IF EXISTS canary",
             "CREATE TABLE canary(id integer PRIMARY KEY, name varchar(20))", "INSERT INTO canary VALUES(1, 'lives')",
             "CREATE TABLE users(id integer PRIMARY KEY, name varchar(20), updated_at timestamp)",
             "INSERT INTO users VALUES(1, 'Ada', '2025-12-31 00:00:00')"});
    tables_ = tables();
    testing::PlainDb replica(replicaPath_);
    replica.exec("CREATE TABLE canary(id INTEGER PRIMARY KEY, name TEXT)");
    replica.exec("INSERT INTO canary VALUES(1, 'lives')");
  }
  ~ServerInjection() override { execute(writer_, {"DROP TABLE IF EXISTS users", "DROP TABLE IF EXISTS canary"}); }

  std::string tables() {
    const auto rows =
        readAll(writer_, server_.isPostgres() ? "SELECT count(*)::text FROM pg_class WHERE relkind IN ('r', 'v', 'f')"
                                              : "SELECT CAST(count(*) AS char) FROM information_schema.tables");
    return rows.at(0).at(0).as<std::string>();
  }
  std::string url() const { return environment(server_.isPostgres() ? "TIDEGATE_POSTGRES_URL" : "TIDEGATE_MYSQL_URL"); }
  ReplicationJob users() const {
    return {.source = {.dialect = server_.dialect(), .dsn = url()},
            .table = "users",
            .trackingColumn = "updated_at",
            .cron = "@yearly"};
  }
  /// The same source in parts, as the form has them.
  ReplicationJob usersByParts() const {
    ReplicationJob job = users();
    const std::string all = url();
    const std::size_t user = all.find("://") + 3, password = all.find(':', user) + 1, end = all.find('@', password);
    job.source = {.dialect = server_.dialect(),
                  .host = "127.0.0.1",
                  .port = static_cast<std::uint16_t>(
                      std::stoi(environment(server_.isPostgres() ? "TIDEGATE_POSTGRES_PORT" : "TIDEGATE_MYSQL_PORT"))),
                  .user = all.substr(user, password - 1 - user),
                  .password = all.substr(password, end - password),
                  .database = "tidegate"};
    return job;
  }

  /// @return what came of it; nullopt where it was refused.
  std::optional<RunOutcome> attempt(ReplicationJob job, const std::string& name) {
    std::optional<RunOutcome> outcome;
    job.name = name;
    try {
      jobs_.create(job);
      // A stream is made by workers, which nothing here starts.
      if (job.mode != JobMode::cdc) outcome = jobs_.run(job.name).outcome;
      jobs_.remove(job.name);
    } catch (const Error& e) {
      EXPECT_NE(e.code(), ErrorCode::internal) << e.what();
      ++refused_;
    }
    EXPECT_EQ(readAll(writer_, "SELECT name FROM canary WHERE id = 1").at(0).at(0).as<std::string>(), "lives");
    EXPECT_EQ(readAll(writer_, "SELECT name FROM users WHERE id = 1").at(0).at(0).as<std::string>(), "Ada");
    EXPECT_EQ(testing::PlainDb(replicaPath_).texts("SELECT name FROM canary"), std::vector<std::string>{"lives"});
    return outcome;
  }

  const servers::Server server_{GetParam()};
  const QueryFn writer_ = server_.writer();
  testing::TempDir dir_;
  std::string replicaPath_ = dir_ / "replica.db";
  std::string tables_{};
  ReplicationJobs jobs_{{.store = sqlite::jobStore(dir_ / "jobs.db"),
                         .key = testKey(),
                         .drivers = {{Dialect::postgres, postgres::jobDriver()}, {Dialect::mysql, mysql::jobDriver()}},
                         .replica = [path = replicaPath_] { return sqlite::sink({.path = path}); }}};
  int refused_ = 0;
};

TEST_P(ServerInjection, RunsNothingOfWhatStandsInAJobsFields) {
  ASSERT_EQ(attempt(users(), "plain"), RunOutcome::ok) << "without anything in its fields it must run";
  for (const JobMode mode : {JobMode::incremental, JobMode::diff, JobMode::cdc}) {
    if (mode == JobMode::cdc && !server_.isPostgres()) continue;
    refused_ = 0;
    for (const InjectedField& field : injectedFields(mode)) {
      for (const std::string& text : injectionCorpus()) {
        SCOPED_TRACE(std::string(toString(mode)) + ": " + field.name + " = " + text.substr(0, 60));
        ReplicationJob job = field.inMode(users());
        field.set(job, text);
        if (field.isNothing(text)) continue;
        const auto outcome = attempt(job, field.name == "name" ? text : "attempt");
        EXPECT_TRUE(field.mayRun(text) || outcome != RunOutcome::ok) << "it ran";
      }
    }
    EXPECT_GT(refused_, mode == JobMode::incremental ? 200 : 90);
    EXPECT_EQ(tables(), tables_) << "a table came or went";
  }
}

/// What is in the source may be called anything. A stream's name, table and columns go into a CREATE PUBLICATION.
TEST_P(ServerInjection, TakesStrangeNamesForWhatTheyAreInEveryMode) {
  const std::string strange = "or\"d`ers; DROP TABLE canary; --", columnName = "it's a \"n`ame\"; --";
  const std::string table = server_.quoted(strange), column = server_.quoted(columnName);
  execute(writer_, {"DROP TABLE IF EXISTS " + table,
                    "CREATE TABLE " + table + "(id integer PRIMARY KEY, " + column + " varchar(40), " +
                        server_.quoted("select") + " timestamp)",
                    "INSERT INTO " + table + " VALUES (7, '''); DROP TABLE canary; --', '2025-12-31 00:00:00')"});
  const std::string target = quoteIdentifier(Dialect::sqlite, strange);
  const std::string read = "SELECT " + quoteIdentifier(Dialect::sqlite, columnName) + " FROM " + target;
  const std::vector<std::string> wanted{"'); DROP TABLE canary; --"};
  for (const JobMode mode : {JobMode::incremental, JobMode::diff, JobMode::cdc}) {
    if (mode == JobMode::cdc && !server_.isPostgres()) continue;
    SCOPED_TRACE(toString(mode));
    ReplicationJob job = InjectedField{"", nullptr, mode}.inMode(users());
    job.name = "--";
    // A quote in a name is part of Postgres' way to write one.
    job.table = server_.isPostgres() ? "public." + server_.quoted(strange) : strange;
    job.target = strange;
    if (mode == JobMode::incremental) job.trackingColumn = "select";
    job.columns = {columnName};
    jobs_.create(job);
    if (mode == JobMode::cdc) {
      jobs_.start();
    } else {
      const JobRun run = jobs_.run(job.name);
      EXPECT_EQ(run.outcome, RunOutcome::ok) << run.error.value_or("");
    }
    EXPECT_TRUE(servers::eventually([&] {
      try {
        return testing::PlainDb(replicaPath_).texts(read) == wanted;
      } catch (const std::runtime_error&) {
        return false;  // not made yet
      }
    })) << jobs_.get(job.name).lastError.value_or("");
    EXPECT_TRUE(jobs_.remove(job.name));
    testing::PlainDb(replicaPath_).exec("DROP TABLE " + target);
  }
  execute(writer_, {"DROP TABLE " + table});
  EXPECT_EQ(readAll(writer_, "SELECT name FROM canary").at(0).at(0).as<std::string>(), "lives");
}

/// What says where to connect is no SQL, but a connection string is a language too.
TEST_P(ServerInjection, TakesNoOptionOutOfWhatSaysWhereToConnect) {
  ASSERT_EQ(attempt(usersByParts(), "plain"), RunOutcome::ok);
  for (const std::string& text :
       {std::string("tidegate' host='198.51.100.1"), std::string("tidegate host=198.51.100.1 hostaddr=198.51.100.1"),
        std::string("tidegate?host=198.51.100.1"), std::string("tidegate;host=198.51.100.1"),
        std::string("tidegate\\' options='-c search_path=evil"), std::string("tidegate\0evil", 13),
        std::string("'; DROP TABLE canary; --")}) {
    for (std::string JobSource::*part : {&JobSource::user, &JobSource::database}) {
      SCOPED_TRACE(text);
      ReplicationJob job = usersByParts();
      job.source.*part = text;
      EXPECT_NE(attempt(job, "attempt"), RunOutcome::ok) << "it ran";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Servers, ServerInjection, ::testing::Values("postgres", "mysql"),
                         [](const auto& which) { return std::string(which.param); });

}  // namespace
}  // namespace tidegate::test
