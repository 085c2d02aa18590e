#include "tidegate/jobs/job_store.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <thread>

#include "jobs/jobs_rig.h"
#include "tidegate/sqlite/job_store.h"

namespace tidegate::test {
namespace {

struct StoreCase {
  const char* name;
  std::function<std::shared_ptr<JobStore>(const std::string& path)> make;
  bool shared = false;  ///< between processes, each with a handle of its own
};

class JobStoreContract : public ::testing::TestWithParam<StoreCase> {
 protected:
  testing::TempDir dir_;
  std::shared_ptr<JobStore> store_ = GetParam().make(dir_ / "jobs.db");
  /// What another process has of it.
  std::shared_ptr<JobStore> other_ = GetParam().shared ? GetParam().make(dir_ / "jobs.db") : store_;
};

TEST_P(JobStoreContract, OneHandleSeesAndFencesWhatAnotherWrites) {
  const auto first = store_->put("a", 0, "one", nullptr, 10);
  ASSERT_TRUE(first);
  EXPECT_EQ(other_->get("a")->version, *first);
  EXPECT_FALSE(other_->put("a", 0, "again", nullptr, 10)) << "there is one already";
  const StoredRun run{1, "the other's"};
  const auto second = other_->put("a", *first, "two", &run, 10);
  ASSERT_TRUE(second);
  EXPECT_GT(*second, *first);
  EXPECT_FALSE(store_->put("a", *first, "late", nullptr, 10));
  EXPECT_FALSE(store_->remove("a", *first));
  EXPECT_EQ(store_->get("a")->record, "two");
  EXPECT_EQ(store_->runs("a", 0, 5).at(0).record, "the other's");
  EXPECT_EQ(store_->list().size(), 1u);
  EXPECT_TRUE(store_->remove("a", *second));
  EXPECT_FALSE(other_->get("a"));
  EXPECT_TRUE(other_->list().empty());
  const auto anew = other_->put("a", 0, "anew", nullptr, 10);
  ASSERT_TRUE(anew);
  EXPECT_GT(*anew, *second) << "a version came twice";
}

TEST_P(JobStoreContract, WritesOnlyWhereNobodyElseDid) {
  const auto first = store_->put("a", 0, "one", nullptr, 10);
  ASSERT_TRUE(first);
  EXPECT_FALSE(store_->put("a", 0, "again", nullptr, 10));
  const auto second = store_->put("a", *first, "two", nullptr, 10);
  ASSERT_TRUE(second);
  EXPECT_FALSE(store_->put("a", *first, "late", nullptr, 10));
  EXPECT_EQ(store_->get("a")->record, "two");
  EXPECT_EQ(store_->get("a")->version, *second);
  EXPECT_FALSE(store_->remove("a", *first));
  EXPECT_TRUE(store_->remove("a", *second));
  EXPECT_FALSE(store_->get("a"));
  EXPECT_FALSE(store_->put("a", *second, "ghost", nullptr, 10)) << "a version came twice";
  EXPECT_GT(*store_->put("a", 0, "new", nullptr, 10), *second);
}

TEST_P(JobStoreContract, KeepsTheNewestRunsOfEachJob) {
  std::uint64_t version = 0;
  for (std::uint64_t id = 1; id <= 12; ++id) {
    const StoredRun run{id, "run " + std::to_string(id)};
    version = *store_->put("a", version, "r", &run, 5);
  }
  const StoredRun other{1, "b's"};
  store_->put("b", 0, "r", &other, 5);
  const auto runs = store_->runs("a", 0, 100);
  ASSERT_EQ(runs.size(), 5u);
  EXPECT_EQ(runs.front().id, 12u);
  EXPECT_EQ(runs.back().id, 8u);
  const auto page = store_->runs("a", 11, 2);
  ASSERT_EQ(page.size(), 2u);
  EXPECT_EQ(page[0].id, 10u);
  const StoredRun again{12, "changed"};
  version = *store_->put("a", version, "r", &again, 5);
  EXPECT_EQ(store_->runs("a", 0, 1)[0].record, "changed");
  store_->remove("a", version);
  EXPECT_TRUE(store_->runs("a", 0, 100).empty());
  EXPECT_EQ(store_->runs("b", 0, 100).size(), 1u);
}

TEST_P(JobStoreContract, ListsByName) {
  for (const char* name : {"b", "a", "c"}) store_->put(name, 0, name, nullptr, 1);
  const auto jobs = store_->list();
  ASSERT_EQ(jobs.size(), 3u);
  EXPECT_EQ(jobs[0].name, "a");
  EXPECT_EQ(jobs[2].record, "c");
}

TEST_P(JobStoreContract, LetsOneOfManyWritersWin) {
  std::atomic<int> won{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, store = t % 2 == 0 ? store_ : other_] {
      for (int i = 0; i < 25; ++i) {
        for (;;) {
          const auto now = store->get("n");
          const std::string next = std::to_string(now ? std::stoi(now->record) + 1 : 1);
          if (store->put("n", now ? now->version : 0, next, nullptr, 1)) break;
        }
        ++won;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(store_->get("n")->record, "100");
}

INSTANTIATE_TEST_SUITE_P(
    Stores, JobStoreContract,
    ::testing::Values(StoreCase{"memory", [](const std::string&) { return std::make_shared<MemoryJobStore>(); }},
                      StoreCase{"sqlite", [](const std::string& path) { return sqlite::jobStore(path); }, true}),
    [](const auto& which) { return which.param.name; });

TEST(SqliteJobStore, KeepsJobsForTheNextProcess) {
  const testing::TempDir dir;
  const StoredRun run{1, "run"};
  sqlite::jobStore(dir / "jobs.db")->put("a", 0, "record", &run, 5);
  const auto again = sqlite::jobStore(dir / "jobs.db");
  EXPECT_EQ(again->get("a")->record, "record");
  EXPECT_EQ(again->runs("a", 0, 5).size(), 1u);
}

TEST(SqliteJobStore, RefusesAFileOfSomethingElse) {
  const testing::TempDir dir;
  testing::PlainDb(dir / "other.db").exec("CREATE TABLE t(x)");
  EXPECT_EQ(errorFrom([&] { sqlite::jobStore(dir / "other.db"); }).code(), ErrorCode::invalidConfig);
}

TEST(SqliteJobStore, ARecordChangedByAnotherHandIsIsolated) {
  JobsRig rig;
  const std::string path = rig.dir / "jobs.db";
  ReplicationJobsOptions options = rig.options();
  options.store = sqlite::jobStore(path);
  ReplicationJobs jobs(options);
  jobs.create(rig.users());
  ReplicationJob other = rig.users();
  other.name = other.target = "other";
  jobs.create(other);
  testing::PlainDb(path).exec("UPDATE jobs SET record = replace(record, 'users', 'spies') WHERE name = 'users'");
  EXPECT_EQ(jobs.list().size(), 1u);
  EXPECT_FALSE(rig.observer->warnings.empty());
  EXPECT_EQ(errorFrom([&] { jobs.get("users"); }).code(), ErrorCode::storeCorrupt);
  EXPECT_EQ(jobs.run("other").outcome, RunOutcome::ok);
  EXPECT_TRUE(jobs.remove("users"));
  EXPECT_NO_THROW(jobs.create(rig.users()));
}

}  // namespace
}  // namespace tidegate::test
