#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "postgres/detail/baseline.h"
#include "sql_stream.h"

namespace tidegate::postgres::detail {
namespace {

constexpr const char* kTable = "baseline_gate.t";

/// A commit that waits for a synchronous standby stands in the log, and the stream tells it, but no snapshot sees it:
/// the moment between the two, which is short otherwise, lasts as long as a test likes.
class VisibilityOfCommits : public testing::Test {
 protected:
  TestLink db;
  SourceOptions options{.connect = testOptions()};
  std::unique_ptr<SqlStream> stream;
  std::unique_ptr<StreamInterleave> chunks;
  Target target;
  std::string progress;

  void SetUp() override {
    db.execute({"DROP SCHEMA IF EXISTS baseline_gate CASCADE", "CREATE SCHEMA baseline_gate",
                "SET search_path = baseline_gate", "CREATE TABLE t (id integer PRIMARY KEY, ver integer, big text)",
                "ALTER TABLE t ALTER big SET STORAGE EXTERNAL",
                "INSERT INTO t SELECT n, 1, repeat('b', 3000) FROM generate_series(1, 100) n"});
    db.run("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'baseline_gate'");
    options.baseline.chunkRows = 40;
    options.baseline.parallelConnections = 1;
    stream = std::make_unique<SqlStream>("baseline_gate", std::vector<std::string>{kTable});
    BaselineProgress pending;
    pending.pending.push_back({.name = kTable});
    progress = encodeProgress(pending);
  }
  void TearDown() override {
    standby("");
    for (std::thread& writer : writers_) writer.join();
    chunks.reset();
    stream->drop();
  }

  /// From here on commits wait for a standby of this name: one that there is not, or "" for none.
  void standby(const std::string& name) {
    TestLink admin;
    admin.run("ALTER SYSTEM SET synchronous_standby_names = '" + name + "'");
    admin.run("SELECT pg_reload_conf()");
    EXPECT_TRUE(servers::eventually([&] { return admin.ask("SHOW synchronous_standby_names") == name; }));
  }
  /// Begins to commit; returns once it waits for its standby.
  void commitWithoutEnd(const std::string& sql) {
    writers_.emplace_back([sql] {
      TestLink link;
      link.run("SET search_path = baseline_gate");
      try {
        link.run(sql);
      } catch (const Error&) {
      }
    });
    ASSERT_TRUE(servers::eventually([&] {
      return db.ask("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname IS NOT NULL") ==
             std::to_string(writers_.size());
    }));
  }
  void resume() {
    chunks = makeInterleave(options, {});
    chunks->restart(progress);
  }
  void step() {
    const Lsn received = stream->tell(chunks.get(), target);
    stream->confirm();
    if (chunks->pending()) progress = takeRows(*chunks, received, target, progress);
  }
  bool finish() {
    return servers::eventually([&] { return step(), !chunks->pending(); }, std::chrono::seconds{120});
  }
  std::int64_t version(int id) {
    const auto& rows = target.rows(kTable);
    const auto found = rows.find(std::to_string(id) + "|");
    return found == rows.end() ? -1 : found->second[1].as<std::int64_t>();
  }

  std::vector<std::thread> writers_;
};

TEST_F(VisibilityOfCommits, ARowThatWasToldDoesNotGoBackToWhatASnapshotStillSees) {
  resume();
  ASSERT_TRUE(servers::eventually([&] { return step(), target.reads >= 40; }));
  standby("nobody");
  commitWithoutEnd("UPDATE t SET ver = 2, big = 'new' WHERE id IN (5, 60, 90)");
  commitWithoutEnd("DELETE FROM t WHERE id = 61");
  commitWithoutEnd("INSERT INTO t VALUES (1000, 1, 'new')");
  ASSERT_TRUE(finish()) << "commits that wait must not hold up the baseline";
  EXPECT_EQ(db.ask("SELECT count(*) FROM t WHERE ver = 2"), "0") << "the server shows them already: this tries nothing";
  EXPECT_EQ(target.wentBack, "");
  for (const int id : {5, 60, 90}) EXPECT_EQ(version(id), 2) << id;
  EXPECT_EQ(version(61), -1);
  EXPECT_EQ(version(1000), 1);
  standby("");
  EXPECT_TRUE(servers::eventually([&] { return db.ask("SELECT count(*) FROM t WHERE ver = 2") == "3"; }));
  EXPECT_TRUE(target.rows(kTable) == tableRows(kTable));
}

/// The stream does not tell columns that did not change; the row in the snapshot has them.
TEST_F(VisibilityOfCommits, ALargeColumnThatWasNotToldIsTakenFromTheSnapshot) {
  resume();
  ASSERT_TRUE(servers::eventually([&] { return step(), target.reads >= 40; }));
  standby("nobody");
  commitWithoutEnd("UPDATE t SET ver = 2 WHERE id IN (5, 90)");
  ASSERT_TRUE(finish());
  EXPECT_EQ(target.wentBack, "");
  EXPECT_EQ(version(90), 2);
  EXPECT_TRUE(target.rows(kTable).at("90|")[2] == Value(std::string(3'000, 'b')));
  standby("");
  EXPECT_TRUE(servers::eventually([&] { return db.ask("SELECT count(*) FROM t WHERE ver = 2") == "2"; }));
  EXPECT_TRUE(target.rows(kTable) == tableRows(kTable));
}

/// Nobody tells again what committed before the stream's beginning: a snapshot that does not see it would lose it.
TEST_F(VisibilityOfCommits, NoChunkIsReadBeforeAllThatCommittedBeforeTheStreamIsVisible) {
  standby("nobody");
  commitWithoutEnd("UPDATE t SET ver = 2 WHERE id = 50");
  stream->tell(nullptr, target);  // a process that took it, and was killed
  target = {};
  resume();
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds{500};
  while (std::chrono::steady_clock::now() < until) step();
  EXPECT_EQ(target.reads, 0u);
  standby("");
  ASSERT_TRUE(finish());
  EXPECT_EQ(version(50), 2);
  EXPECT_TRUE(target.rows(kTable) == tableRows(kTable));
}

/// A snapshot is ahead of a stream that is slow: its rows wait, or the stream would take them back.
TEST_F(VisibilityOfCommits, RowsWaitUntilTheStreamHasComeToTheirSnapshot) {
  const Lsn received = stream->tell(nullptr, target);
  resume();
  db.execute({"UPDATE t SET ver = 2 WHERE id = 5", "UPDATE t SET ver = 3 WHERE id = 5"});
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds{500};
  while (std::chrono::steady_clock::now() < until) progress = takeRows(*chunks, received, target, progress);
  EXPECT_EQ(target.reads, 0u);
  ASSERT_TRUE(finish());
  EXPECT_EQ(target.wentBack, "");
  EXPECT_TRUE(target.rows(kTable) == tableRows(kTable));
}

TEST_F(VisibilityOfCommits, ATransactionThatIsOnlyOpenHoldsUpNothing) {
  TestLink other;
  other.execute({"BEGIN", "UPDATE baseline_gate.t SET ver = 2 WHERE id = 50"});
  resume();
  ASSERT_TRUE(finish());
  other.run("COMMIT");
  stream->tell(nullptr, target);
  EXPECT_TRUE(target.rows(kTable) == tableRows(kTable));
}

/// A transaction too large to be noted row by row: its table's chunks are read again until they see it.
TEST_F(VisibilityOfCommits, AChunkThatCannotBeMendedIsReadAgain) {
  resume();
  ASSERT_TRUE(servers::eventually([&] { return step(), target.reads >= 40; }));
  standby("nobody");
  commitWithoutEnd("INSERT INTO t SELECT n, 1, '' FROM generate_series(1001, 210000) n");
  commitWithoutEnd("UPDATE t SET ver = 2, big = '' WHERE id = 70");
  for (int i = 0; i < 6; ++i) step();
  EXPECT_EQ(target.reads, 40u);
  standby("");
  options.baseline.chunkRows = 100'000;
  options.batchEvents = 100'000;
  ASSERT_TRUE(finish());
  EXPECT_EQ(target.wentBack, "");
  EXPECT_TRUE(target.rows(kTable) == tableRows(kTable));
}

}  // namespace
}  // namespace tidegate::postgres::detail
