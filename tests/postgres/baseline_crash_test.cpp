/// A process that reads a large table into a replica is killed, again and again: the next one goes on where it was.
///
/// TIDEGATE_CRASH_ROWS=10000000 tests/servers/with_servers.sh build/release/tests/postgres/postgres_crash_test
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

#include "link.h"
#include "tidegate/engine/engine.h"
#include "tidegate/postgres/query_fn.h"
#include "tidegate/postgres/sink.h"
#include "tidegate/postgres/source.h"
#include "tidegate/sqlite/query_fn.h"
#include "tidegate/sqlite/sink.h"

namespace tidegate::postgres {
namespace {

using detail::TestLink;
using detail::testOptions;

constexpr int kKills = 4;
constexpr const char* kSums =
    "SELECT count(*) AS a, CAST(sum(id) AS bigint) AS b, CAST(sum(n) AS bigint) AS c, "
    "CAST(sum(id % 1009 * n) AS bigint) AS d, CAST(sum(length(name)) AS bigint) AS e FROM crash_target";

std::uint64_t wantedRows() {
  const char* rows = std::getenv("TIDEGATE_CRASH_ROWS");
  return rows != nullptr ? std::strtoull(rows, nullptr, 10) : 200'000;
}

/// Counts, where the parent sees it, what became durable.
class DurableCount final : public EngineObserver {
 public:
  explicit DurableCount(std::atomic<std::uint64_t>& count) : count_(count) {}
  void onCommit(std::string_view, std::uint64_t events, std::chrono::microseconds) override { count_ += events; }
  void onIsolated(std::string_view, const Error& error) override { std::fprintf(stderr, "%s\n", error.what()); }

 private:
  std::atomic<std::uint64_t>& count_;
};

class KilledBaseline : public testing::Test {
 protected:
  const std::uint64_t rows = wantedRows();
  TestLink db;
  std::atomic<std::uint64_t>* durable = nullptr;
  pid_t child = -1;

  void SetUp() override {
    void* shared = mmap(nullptr, sizeof *durable, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(shared, MAP_FAILED);
    durable = new (shared) std::atomic<std::uint64_t>(0);
    db.run("SET statement_timeout = 0");  // however many rows
    clean();
    db.execute({"CREATE SCHEMA crash", "CREATE TABLE crash.t (id bigint PRIMARY KEY, n integer NOT NULL, name text)",
                fmt::format("INSERT INTO crash.t SELECT i, i % 1000, 'name ' || i FROM generate_series(1, {}) i", rows),
                "VACUUM ANALYZE crash.t"});
  }
  void TearDown() override {
    kill9();
    munmap(durable, sizeof *durable);
    clean();
  }
  void clean() {
    ASSERT_TRUE(servers::eventually([&] {
      return db.ask("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'tidegate_crash' AND active") == "0";
    }));
    db.run("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'tidegate_crash'");
    db.execute({"DROP PUBLICATION IF EXISTS tidegate_crash", "DROP SCHEMA IF EXISTS crash CASCADE",
                "DROP SCHEMA IF EXISTS _tidegate CASCADE", "DROP TABLE IF EXISTS crash_target"});
  }

  SourceOptions sourceOptions() const {
    SourceOptions options{.connect = testOptions(), .slot = "tidegate_crash"};
    options.publication.name = "tidegate_crash";
    options.baseline.chunkedFromRows = 1'000;
    options.baseline.chunkRows = static_cast<std::size_t>(std::min<std::uint64_t>(10'000, rows / 400));
    options.backoff.maxRetries = UINT32_MAX;
    return options;
  }
  /// In a process of its own: reads until all is durable, then ends with 0.
  void start(const std::function<std::shared_ptr<Sink>()>& sink) {
    child = fork();
    ASSERT_GE(child, 0);
    if (child > 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    try {
      PipelineSpec pipeline{.name = "crash", .source = "source", .tables = {{.table = "crash.t"}}, .sink = sink()};
      pipeline.tables.front().target = "crash_target";
      pipeline.commitEvents = static_cast<std::size_t>(std::min<std::uint64_t>(10'000, rows / 400));
      pipeline.maxQueuedEvents = 2 * pipeline.commitEvents;
      Engine engine({.sources = {{.name = "source", .source = source(sourceOptions())}},
                     .pipelines = {std::move(pipeline)},
                     .observer = std::make_shared<DurableCount>(*durable)});
      engine.start();
      const bool ready = engine.awaitReady(std::chrono::hours(1));
      engine.stop();
      _exit(ready ? 0 : 1);
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
    while (*durable < events) {
      if (waitpid(child, nullptr, WNOHANG) != 0) return false;
      usleep(1'000);
    }
    return true;
  }
  /// Changes on both sides of wherever the reading is.
  void write(int round) {
    db.execute({fmt::format("UPDATE crash.t SET n = n + 1 WHERE id % 1000 = {}", round * 7),
                fmt::format("DELETE FROM crash.t WHERE id % 5000 = {}", round * 11 + 1),
                fmt::format("UPDATE crash.t SET id = -id WHERE id % 5000 = {}", round * 13 + 2),
                fmt::format("INSERT INTO crash.t SELECT {0} + i, i, 'new' FROM generate_series(1, 50) i",
                            rows + static_cast<std::uint64_t>(round) * 100),
                "VACUUM crash.t"});  // or looking for the ends of chunks would count as reading, in part
  }
  /// Rows of the table that the server has read for anybody, once nobody but the test is left to count.
  std::uint64_t rowsRead() {
    EXPECT_TRUE(servers::eventually([&] {
      return db.ask(
                 "SELECT count(*) FROM pg_stat_activity WHERE backend_type IN ('client backend', 'walsender') AND "
                 "pid <> pg_backend_pid() AND datname = current_database()") == "0";
    }));
    db.run("SELECT pg_stat_force_next_flush()");
    return std::stoull(
        db.ask("SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE relid = "
               "'crash.t'::regclass"));
  }
  void readUnderKills(const std::function<std::shared_ptr<Sink>()>& sink) {
    std::uint64_t byUs = 0, before = rowsRead();
    for (int kills = 0; kills < kKills; ++kills) {
      start(sink);
      ASSERT_TRUE(awaitDurable(rows * static_cast<std::uint64_t>(kills + 1) / (kKills + 1))) << "it ended too soon";
      kill9();
      byUs += rowsRead() - before;
      write(kills);
      before = rowsRead();
    }
    start(sink);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), std::exchange(child, -1));
    EXPECT_EQ(status, 0);
    byUs += rowsRead() - before;
    std::printf("%llu rows read of a table of %llu, %llu events durable, %d kills\n",
                static_cast<unsigned long long>(byUs), static_cast<unsigned long long>(rows),
                static_cast<unsigned long long>(durable->load()), kKills);
    EXPECT_LT(byUs, rows * 12 / 10) << "what was durable was read again";
    EXPECT_GE(byUs, rows * 9 / 10) << "the server's count says nothing";
  }
  servers::Rows wanted() {
    db.run("CREATE VIEW crash.crash_target AS SELECT * FROM crash.t");
    ConnectOptions options = testOptions();
    options.settings = {{"search_path", "crash"}};
    options.statementTimeout = std::chrono::milliseconds(0);
    return servers::readAll(queryFn(options), kSums);
  }
};

TEST_F(KilledBaseline, GoesOnIntoASqliteFile) {
  const std::string path = "/tmp/tidegate-crash-" + std::to_string(getpid()) + ".db";
  readUnderKills([&] { return sqlite::sink({.path = path}); });
  const servers::Rows got =
      servers::readAll(sqlite::queryFn({.path = path, .statementTimeout = std::chrono::milliseconds(0)}), kSums);
  for (const char* suffix : {"", "-wal", "-shm"}) std::remove((path + suffix).c_str());
  EXPECT_TRUE(got == wanted());
}

TEST_F(KilledBaseline, GoesOnIntoPostgres) {
  readUnderKills([] { return sink({.connect = testOptions()}); });
  ConnectOptions options = testOptions();
  options.settings = {{"search_path", "public"}};
  options.statementTimeout = std::chrono::milliseconds(0);
  const servers::Rows got = servers::readAll(queryFn(options), kSums);
  EXPECT_TRUE(got == wanted());
}

}  // namespace
}  // namespace tidegate::postgres
