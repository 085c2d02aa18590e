#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "jobs/jobs_rig.h"
#include "tidegate/source/test_source.h"

namespace tidegate::test {
namespace {

using namespace std::chrono_literals;
using Texts = std::vector<std::string>;

/// Jobs that follow a database in memory, on the system's clock.
struct StreamRig : ::testing::Test {
  StreamRig() {
    db->createTable({.table = "users",
                     .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                                 {.name = "name", .kind = ValueKind::text}},
                     .primaryKey = {"id"}});
    db->insert("users", {1, "a"});
    auto options = rig.options();
    options.clock = nullptr;
    options.scheduler = nullptr;
    options.lookInterval = 10ms;
    options.firstRetry = 10ms;
    options.maxRetry = 50ms;
    auto& driver = options.drivers[Dialect::postgres];
    driver.connect = [](const JobSource&) { return QueryFn(); };
    driver.describe = [](const QueryFn&, const std::string& table, std::stop_token) {
      return JobTable{.schema = {.table = table,
                                 .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                                             {.name = "name", .kind = ValueKind::text}},
                                 .primaryKey = {"id"}},
                      .sqlName = table};
    };
    driver.stream = [this](const JobSource&, const JobStream& stream) {
      names.push_back(stream.name);
      columns.push_back(stream.columns);
      last = std::make_shared<TestSource>(db);
      return last;
    };
    jobs = std::make_unique<ReplicationJobs>(std::move(options));
  }
  ReplicationJob follower() const {
    return {.name = "follow",
            .source = {.dialect = Dialect::postgres, .host = "h", .password = "hunter2-correct-horse"},
            .table = "users",
            .mode = JobMode::cdc};
  }
  bool holds(const Texts& wanted) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (std::chrono::steady_clock::now() < deadline) {
      try {
        if (rig.replica("SELECT id || name FROM users ORDER BY id") == wanted) return true;
      } catch (const std::runtime_error&) {  // not made yet
      }
      std::this_thread::yield();
    }
    return false;
  }

  JobsRig rig;
  std::shared_ptr<TestDatabase> db = std::make_shared<TestDatabase>();
  std::vector<std::string> names;
  std::vector<Texts> columns;
  std::shared_ptr<TestSource> last;
  std::unique_ptr<ReplicationJobs> jobs;
};

TEST_F(StreamRig, ACdcJobBringsTheBaselineAndThenEveryChangeDeletesIncluded) {
  jobs->create(follower());
  jobs->start();
  ASSERT_TRUE(holds({"1a"})) << jobs->get("follow").lastError.value_or("");
  db->insert("users", {2, "b"});
  db->update("users", {1, "A"});
  EXPECT_TRUE(holds({"1A", "2b"}));
  db->erase("users", {1});
  EXPECT_TRUE(holds({"2b"}));
  EXPECT_EQ(jobs->get("follow").state, JobState::streaming);
  EXPECT_FALSE(jobs->get("follow").nextTick.has_value());
  jobs->stop();
}

TEST_F(StreamRig, ACdcJobThatWasPausedGoesOnWhereItWas) {
  jobs->create(follower());
  jobs->start();
  ASSERT_TRUE(holds({"1a"}));
  jobs->pause("follow");
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (jobs->get("follow").state != JobState::paused || !jobs->get("follow").lastRunAt) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    std::this_thread::yield();
  }
  db->insert("users", {2, "b"});
  jobs->resume("follow");
  EXPECT_TRUE(holds({"1a", "2b"}));
  for (const std::string& name : names) EXPECT_EQ(name, names.front()) << "one slot, whatever restarts";
  EXPECT_EQ(errorFrom([&] { jobs->request("follow"); }).code(), ErrorCode::invalidArgument);
  jobs->stop();
}

/// Without them the database would refuse the source's own updates and deletes.
TEST_F(StreamRig, ACdcJobOfSomeColumnsAsksForThoseOfTheKeyToo) {
  ReplicationJob job = follower();
  job.columns = {"name"};
  jobs->create(job);
  jobs->start();
  ASSERT_TRUE(holds({"1a"}));
  jobs->stop();
  ASSERT_GE(columns.size(), 2u) << "once for the check, once for the stream";
  for (const Texts& each : columns) EXPECT_EQ(each, (Texts{"id", "name"}));
}

TEST_F(StreamRig, ACdcJobThatIsGivenMoreColumnsSaysThatOldRowsLackThemAtFirst) {
  ReplicationJob job = follower();
  job.columns = {"id"};
  EXPECT_TRUE(jobs->create(job).warnings.empty());
  EXPECT_TRUE(jobs->create(job).warnings.empty());
  for (const Texts& wider : {Texts{}, Texts{"name"}}) {
    job.columns = wider;
    const JobCreated asked = jobs->check(job);
    EXPECT_FALSE(asked.cursorReset);
    ASSERT_EQ(asked.warnings.size(), 1u);
    EXPECT_NE(asked.warnings[0].find("new in the replica: name;"), std::string::npos) << asked.warnings[0];
  }
  EXPECT_EQ(jobs->create(job).warnings.size(), 1u);
  job.columns = {"id"};
  EXPECT_TRUE(jobs->create(job).warnings.empty()) << "fewer are no harm";
  // Where all rows come again, none lacks anything.
  job.columns = {};
  job.target = "elsewhere";
  const JobCreated again = jobs->create(job);
  EXPECT_TRUE(again.cursorReset);
  EXPECT_TRUE(again.warnings.empty());
}

TEST_F(StreamRig, ACdcJobOfColumnsThatThereAreNotIsRefused) {
  ReplicationJob job = follower();
  job.columns = {"id", "nope"};
  const Error refused = errorFrom([&] { jobs->create(job); });
  EXPECT_EQ(refused.code(), ErrorCode::columnNotFound);
  EXPECT_NE(refused.message().find("\"nope\""), std::string::npos) << refused.message();
  EXPECT_TRUE(jobs->list().empty());
  EXPECT_TRUE(names.empty()) << "a stream was opened before the columns were looked at";
}

TEST_F(StreamRig, ACdcJobOfADialectWithoutAStreamIsRefused) {
  ReplicationJob job = rig.users();
  job.mode = JobMode::cdc;
  job.trackingColumn = job.cron = "";
  EXPECT_EQ(errorFrom([&] { jobs->create(job); }).code(), ErrorCode::invalidConfig);
}

}  // namespace
}  // namespace tidegate::test
