// A process that follows the binlog into a SQL sink is killed, again and again, at random moments: each change is
// applied exactly once, and a baseline goes on where it was.
//
// TIDEGATE_CRASH_ROWS=1000000 tests/servers/with_servers.sh build/release/tests/mysql/mysql_crash_test
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <new>
#include <string>
#include <utility>

#include "mysql/binlog_link.h"
#include "servers/support.h"
#include "support/property.h"
#include "tidegate/engine/engine.h"
#include "tidegate/sqlite/query_fn.h"
#include "tidegate/sqlite/sink.h"

namespace tidegate::mysql {
namespace {

using servers::execute;
using servers::readAll;

std::uint64_t crashRows() {
  const char* rows = std::getenv("TIDEGATE_CRASH_ROWS");
  return rows != nullptr ? std::strtoull(rows, nullptr, 10) : 60'000;
}

/// Counts, where the parent sees it, what became durable.
class DurableEvents final : public EngineObserver {
 public:
  explicit DurableEvents(std::atomic<std::uint64_t>& count) : count_(count) {}
  void onCommit(std::string_view, std::uint64_t events, std::chrono::microseconds) override { count_ += events; }
  void onIsolated(std::string_view, const Error& error) override { std::fprintf(stderr, "%s\n", error.what()); }

 private:
  std::atomic<std::uint64_t>& count_;
};

class KilledBinlogReader : public ::testing::Test {
 protected:
  void SetUp() override {
    void* shared = mmap(nullptr, sizeof *durable, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(shared, MAP_FAILED);
    durable = new (shared) std::atomic<std::uint64_t>(0);
    removeFile();
    execute(writer, {"DROP DATABASE IF EXISTS crash_test", "CREATE DATABASE crash_test CHARACTER SET utf8mb4",
                     "USE crash_test", "CREATE TABLE t (id BIGINT PRIMARY KEY, n INT NOT NULL, name VARCHAR(40))"});
  }
  void TearDown() override {
    kill9();
    munmap(durable, sizeof *durable);
    removeFile();
    execute(writer, {"DROP DATABASE IF EXISTS crash_test"});
  }
  void removeFile() const {
    for (const char* suffix : {"", "-wal", "-shm"}) std::remove((file + suffix).c_str());
  }

  /// A process of its own: follows the table until it is killed.
  void start() {
    child = fork();
    ASSERT_GE(child, 0);
    if (child > 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    try {
      SourceOptions options = quickOptions();
      options.baseline = {.chunkedFromRows = 1'000, .chunkRows = 500};
      PipelineSpec pipeline{.name = "crash",
                            .source = "source",
                            .tables = {{.table = "crash_test.t", .target = "t"}},
                            .sink = sqlite::sink({.path = file}),
                            .maxQueuedEvents = 1'000,
                            .commitEvents = 300};
      Engine engine({.sources = {{.name = "source", .source = source(options)}},
                     .pipelines = {std::move(pipeline)},
                     .observer = std::make_shared<DurableEvents>(*durable)});
      engine.start();
      for (;;) pause();
    } catch (const std::exception& e) {
      std::fprintf(stderr, "%s\n", e.what());
      _exit(2);
    }
  }
  void kill9() {
    if (child < 0) return;
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    child = -1;
  }
  /// @return false if the child has ended by itself.
  bool awaitDurable(std::uint64_t events) {
    return servers::eventually(
               [&] {
                 if (waitpid(child, nullptr, WNOHANG) != 0) return true;
                 return *durable >= events;
               },
               std::chrono::seconds(120)) &&
           *durable >= events;
  }
  QueryFn replica() const { return sqlite::queryFn({.path = file, .readOnly = false}); }
  std::int64_t countIn(const QueryFn& query, const std::string& sql) {
    try {
      const auto rows = readAll(query, sql);
      const std::int64_t* count = rows.at(0).at(0).getIf<std::int64_t>();
      return count == nullptr ? -1 : *count;
    } catch (const Error&) {  // the table is not there yet, or the file is locked
      return -1;
    }
  }

  QueryFn writer = queryFn(testConnect());
  const std::string file = "/tmp/tidegate-mysql-crash-" + std::to_string(getpid()) + ".db";
  std::atomic<std::uint64_t>* durable = nullptr;
  pid_t child = -1;
};

/// Triggers of the replica count what is done to its rows. A change that was applied twice would be counted twice.
TEST_F(KilledBinlogReader, AppliesEachChangeOnce) {
  test::Random random(17);
  start();
  ASSERT_TRUE(servers::eventually([&] { return countIn(replica(), "SELECT count(*) FROM t") == 0; }));
  ASSERT_TRUE(awaitDurable(1)) << "an empty baseline";
  kill9();
  execute(replica(),
          {"CREATE TABLE audit (inserts INT, updates INT, deletes INT)", "INSERT INTO audit VALUES (0, 0, 0)",
           "CREATE TRIGGER i AFTER INSERT ON t BEGIN UPDATE audit SET inserts = inserts + 1; END",
           "CREATE TRIGGER u AFTER UPDATE ON t BEGIN UPDATE audit SET updates = updates + 1; END",
           "CREATE TRIGGER d AFTER DELETE ON t BEGIN UPDATE audit SET deletes = deletes + 1; END"});
  std::int64_t inserts = 0, updates = 0, deletes = 0;
  for (int kills = 0; kills < 25; ++kills) {
    start();
    // Small transactions, and one that is longer than any queue.
    for (int i = 0; i < 8; ++i) {
      const std::int64_t rows = i == 5 ? 4'000 : random.between(1, 60);
      execute(writer, {"BEGIN",
                       fmt::format("INSERT INTO t SELECT seq + {}, 0, CONCAT('name ', seq) FROM {}", inserts,
                                   servers::numbersTo(static_cast<std::size_t>(rows))),
                       fmt::format("UPDATE t SET n = n + 1 WHERE id > {}", inserts), "COMMIT"});
      inserts += rows;
      updates += rows;
      execute(writer, {fmt::format("DELETE FROM t WHERE id = {}", inserts)});
      ++deletes;
    }
    const std::uint64_t until = *durable + random.below(6'000);
    servers::eventually([&] { return *durable >= until; }, std::chrono::seconds(1));
    kill9();
  }
  start();
  const std::string wanted = fmt::format("{} {} {}", inserts, updates, deletes);
  const auto audit = [&] {
    try {
      const auto row = readAll(replica(), "SELECT inserts || ' ' || updates || ' ' || deletes FROM audit").at(0);
      return *row.at(0).getIf<std::string>();
    } catch (const Error& e) {
      return std::string(e.what());
    }
  };
  EXPECT_TRUE(servers::eventually([&] { return audit() == wanted; })) << audit() << " and not " << wanted;
  kill9();
  EXPECT_EQ(audit(), wanted) << "inserts, updates and deletes";
  const std::string sums = "SELECT count(*), CAST(sum(id) AS char(20)), CAST(sum(n) AS char(20)) FROM t";
  EXPECT_TRUE(readAll(replica(), sums) == readAll(writer, sums));
}

TEST_F(KilledBinlogReader, GoesOnWithALargeTableWhereItWas) {
  const std::uint64_t rows = crashRows();
  execute(writer,
          {fmt::format("INSERT INTO t SELECT seq, seq % 1000, CONCAT('name ', seq) FROM {}", servers::numbersTo(rows)),
           "ANALYZE TABLE t"});
  std::uint64_t changed = 0;
  constexpr int kKills = 6;
  for (int kills = 0; kills < kKills; ++kills) {
    start();
    ASSERT_TRUE(awaitDurable(rows * static_cast<std::uint64_t>(kills + 1) / (kKills + 2))) << "it ended too soon";
    kill9();
    // On both sides of wherever the reading is.
    execute(writer, {fmt::format("UPDATE t SET n = n + 1 WHERE id % 1000 = {}", kills * 7),
                     fmt::format("DELETE FROM t WHERE id % 5000 = {}", kills * 11 + 1),
                     fmt::format("UPDATE t SET id = -id WHERE id % 5000 = {}", kills * 13 + 2),
                     fmt::format("INSERT INTO t SELECT {} + seq, seq, 'new' FROM {}",
                                 rows + static_cast<std::uint64_t>(kills) * 100, servers::numbersTo(50))});
    changed += rows / 1000 + 3 * rows / 5000 + 50;
  }
  start();
  const std::string sums =
      "SELECT count(*), CAST(sum(id) AS char(20)), CAST(sum(n) AS char(20)), CAST(sum(length(name)) AS char(20)) FROM "
      "t";
  const auto wanted = readAll(writer, sums);
  const auto equal = [&] {
    try {
      return readAll(replica(), sums) == wanted;
    } catch (const Error&) {
      return false;
    }
  };
  EXPECT_TRUE(servers::eventually(equal, std::chrono::seconds(120)));
  std::printf("%llu events durable for a table of %llu rows, %d kills\n",
              static_cast<unsigned long long>(durable->load()), static_cast<unsigned long long>(rows), kKills);
  EXPECT_LT(*durable, rows * 12 / 10 + changed) << "what was durable was read again";
  EXPECT_GE(*durable, rows * 9 / 10);
}

}  // namespace
}  // namespace tidegate::mysql
