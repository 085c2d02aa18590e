#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "postgres/detail/baseline.h"
#include "postgres/detail/position.h"
#include "sql_stream.h"
#include "support/property.h"

namespace tidegate::postgres::detail {
namespace {

using testing::HasSubstr;

/// A replication connection: a slot made there exports its snapshot for as long as nothing else is asked of it.
class ExportedSlot {
 public:
  explicit ExportedSlot(const std::string& name)
      : connection_(PQconnectdb((servers::environment("TIDEGATE_POSTGRES_URL") + "?replication=database").c_str()),
                    PQfinish) {
    const OwnedResult made =
        runSql(connection_.get(), "CREATE_REPLICATION_SLOT \"" + name + "\" LOGICAL test_decoding (SNAPSHOT 'export')");
    point = *lsnFromText(cell(made.get(), 0, 1));
    snapshot = cell(made.get(), 0, 2);
  }
  Lsn point = 0;
  std::string snapshot;

 private:
  std::unique_ptr<PGconn, void (*)(PGconn*)> connection_;
};

class BaselineWhole : public testing::Test {
 protected:
  TestLink db;
  SourceOptions options{.connect = testOptions()};
  Target target;
  std::size_t events = 0;
  std::uint64_t rowsAlone = 0;
  bool inOrder = true;  ///< each row read has a greater first column than the one before

  void SetUp() override {
    db.execute({"DROP SCHEMA IF EXISTS baseline_whole CASCADE", "CREATE SCHEMA baseline_whole",
                "SET search_path = baseline_whole, public", "DROP PUBLICATION IF EXISTS baseline_whole"});
    db.run("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'baseline_whole'");
    options.publication.name = "baseline_whole";
    options.batchEvents = 100;
  }
  void TearDown() override {
    db.run("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'baseline_whole'");
    db.run("DROP PUBLICATION IF EXISTS baseline_whole");
  }

  ChangeHandler handler() {
    return [this](ChangeBatch& batch) {
      if (++calls_ % 3 == 0) return Taken::full;  // nothing may be lost by that
      EXPECT_LE(batch.size(), options.batchEvents + 2);
      for (const ChangeEvent& event : batch) {
        EXPECT_TRUE(event.transactionBegin && event.transactionEnd);
        EXPECT_FALSE(event.position.empty());
        last_ = event.position;
        if (event.op == ChangeOp::read) {
          inOrder = inOrder && (lastRow_.isNull() || compareValues(lastRow_, event.after.front()) < 0);
          lastRow_ = event.after.front();
        }
        target.apply(event);
        ++events;
      }
      ChangeBatch other;
      batch.swap(other);
      return Taken::yes;
    };
  }
  std::string run(const std::vector<std::string>& tables, const ExportedSlot& slot, std::stop_token stop = {}) {
    const ChangeHandler taking = handler();
    return runBaseline({options, tables, slot.snapshot, slot.point, taking, stop});
  }
  std::string run(const std::vector<std::string>& tables) {
    const std::string snapshot = exporter_.ask("SELECT pg_export_snapshot()");
    const ChangeHandler taking = handler();
    return runBaseline({options, tables, snapshot, 1, taking, {}, rowsAlone});
  }
  /// Holds a snapshot open; from then on what others do is not seen by `run`.
  void freeze() {
    exporter_.execute({"BEGIN ISOLATION LEVEL REPEATABLE READ"});
    exporter_.run("SELECT 1");
  }
  void thaw() { exporter_.run("COMMIT"); }
  void expectEqual(const std::string& table) {
    EXPECT_TRUE(target.rows(table) == tableRows(table)) << table;
    EXPECT_TRUE(target.whole(table));
    EXPECT_EQ(target.begins(table), 1u);
  }

  Position last_;
  Value lastRow_;

 private:
  std::size_t calls_ = 0;
  TestLink exporter_;
};

TEST_F(BaselineWhole, ReadsTablesWithAndWithoutKeysEachOnce) {
  db.execute({"CREATE TABLE a (id integer PRIMARY KEY, v text)",
              "INSERT INTO a SELECT n, 'v' || n FROM generate_series(1, 777) n",
              "CREATE TABLE keyless (n integer, v text)", "INSERT INTO keyless VALUES (1, 'x'), (1, 'x'), (NULL, NULL)",
              "CREATE TABLE nothing (id integer PRIMARY KEY)"});
  freeze();
  EXPECT_EQ(run({"baseline_whole.a", "baseline_whole.keyless", "baseline_whole.nothing", "baseline_whole.a"}), "");
  thaw();
  expectEqual("baseline_whole.a");
  expectEqual("baseline_whole.nothing");
  EXPECT_TRUE(target.whole("baseline_whole.keyless"));
  EXPECT_EQ(target.reads, 777u + 3u);
  EXPECT_EQ(events, 777u + 3u + 6u);
  EXPECT_TRUE(last_ == positionOf({1, 0}));
}

TEST_F(BaselineWhole, ReadsOneLargeTableInRangesByParallelConnections) {
  db.execute({"CREATE TABLE large (id integer PRIMARY KEY, ver integer, v text)",
              "ALTER TABLE large ALTER v SET STORAGE PLAIN",
              "INSERT INTO large SELECT n, 1, repeat('x', 3000) FROM generate_series(1, 20000) n",  // over 9,000 pages
              "DELETE FROM large WHERE id % 7 = 0"});
  options.baseline.parallelConnections = 4;
  options.batchEvents = 1'000;
  freeze();
  run({"baseline_whole.large"});
  thaw();
  expectEqual("baseline_whole.large");
  EXPECT_EQ(target.reads, 20'000u - 20'000u / 7);
}

/// A target's tree takes rows in the order of their keys much better than two interleaved runs of them.
TEST_F(BaselineWhole, RowsComeInTheOrderThatTheyLieInWhereOneConnectionIsQuickEnough) {
  db.execute({"CREATE TABLE large (id integer PRIMARY KEY, v text)", "ALTER TABLE large ALTER v SET STORAGE PLAIN",
              "INSERT INTO large SELECT n, repeat('x', 3000) FROM generate_series(1, 20000) n"});
  options.baseline.parallelConnections = 4;
  options.batchEvents = 1'000;
  rowsAlone = 1'000'000;
  freeze();
  run({"baseline_whole.large"});
  thaw();
  EXPECT_EQ(target.reads, 20'000u);
  EXPECT_TRUE(inOrder);
}

TEST_F(BaselineWhole, SeesWhatTheSnapshotSeesAndTheStreamTellsTheRest) {
  test::forEachSeed(5, [&](std::uint64_t seed) {
    db.execute({"DROP TABLE IF EXISTS t", "CREATE TABLE t (id integer PRIMARY KEY, ver integer)",
                "INSERT INTO t SELECT n, 1 FROM generate_series(1, 500) n"});
    target = {};
    {
      std::atomic<bool> stop = false;
      std::thread writer([&, seed] {
        TestLink link;
        link.run("SET search_path = baseline_whole");
        test::Random random(seed);
        while (!stop) {
          const auto id = random.between(1, 600);
          link.run(
              random.chance(30)
                  ? fmt::format("DELETE FROM t WHERE id = {}", id)
                  : fmt::format("INSERT INTO t VALUES ({}, 1) ON CONFLICT (id) DO UPDATE SET ver = t.ver + 1", id));
        }
      });
      const ExportedSlot slot("baseline_whole");
      run({"baseline_whole.t"}, slot);
      stop = true;
      writer.join();
    }
    SqlStream stream("baseline_whole", {"baseline_whole.t"});
    stream.tell(nullptr, target);
    expectEqual("baseline_whole.t");
    EXPECT_EQ(target.wentBack, "");
    stream.drop();
  });
}

TEST_F(BaselineWhole, LeavesLargeKeyedTablesToTheStream) {
  db.execute({"CREATE TABLE large (id integer PRIMARY KEY)", "INSERT INTO large SELECT generate_series(1, 2000)",
              "ANALYZE large", "CREATE TABLE keyless (id integer)",
              "INSERT INTO keyless SELECT generate_series(1, 2000)", "ANALYZE keyless",
              "CREATE TABLE small (id integer PRIMARY KEY)"});
  options.baseline.chunkedFromRows = 1'000;
  const std::vector<std::string> tables{"baseline_whole.large", "baseline_whole.keyless", "baseline_whole.small"};
  freeze();
  const BaselineProgress progress = decodeProgress(run(tables));
  ASSERT_EQ(progress.pending.size(), 1u);
  EXPECT_EQ(progress.pending[0].name, "baseline_whole.large");
  EXPECT_EQ(target.begins("baseline_whole.large"), 0u);
  EXPECT_TRUE(target.whole("baseline_whole.keyless"));
  EXPECT_EQ(std::string(progressOf(last_)), encodeProgress(progress)) << "a crash must not forget what is pending";
  target = {};
  options.mode = SlotMode::ephemeral;  // what does not outlive its process is not read piece by piece
  EXPECT_EQ(run(tables), "");
  EXPECT_TRUE(target.whole("baseline_whole.large"));
  thaw();
}

TEST_F(BaselineWhole, FollowsRowFiltersColumnListsPartitionsAndInheritance) {
  db.execute({"CREATE TABLE f (id integer PRIMARY KEY, v text, w text)",
              "INSERT INTO f SELECT n, 'v', 'w' FROM generate_series(1, 50) n",
              "CREATE TABLE whole (id integer PRIMARY KEY, v text) PARTITION BY RANGE (id)",
              "CREATE TABLE p1 PARTITION OF whole FOR VALUES FROM (0) TO (100)",
              "CREATE TABLE p2 (v text, id integer NOT NULL)",
              "ALTER TABLE whole ATTACH PARTITION p2 FOR VALUES FROM (100) TO (200)",
              "INSERT INTO whole VALUES (1, 'a'), (150, 'b')", "CREATE TABLE parent (id integer PRIMARY KEY)",
              "CREATE TABLE child () INHERITS (parent)", "INSERT INTO parent VALUES (1)",
              "INSERT INTO child VALUES (2)",
              "CREATE PUBLICATION baseline_whole FOR TABLE f (id, w) WHERE (id > 40), whole, ONLY parent WITH "
              "(publish_via_partition_root)"});
  freeze();
  run({"baseline_whole.f", "baseline_whole.whole", "baseline_whole.parent"});
  thaw();
  EXPECT_EQ(target.rows("baseline_whole.f").size(), 10u);
  EXPECT_TRUE(target.rows("baseline_whole.f").begin()->second == (std::vector<Value>{41, "w"}));
  EXPECT_EQ(target.rows("baseline_whole.whole").size(), 2u);
  EXPECT_EQ(target.rows("baseline_whole.parent").size(), 1u);
}

TEST_F(BaselineWhole, RefusesATableThatWasRewrittenAfterTheSnapshot) {
  db.execute({"CREATE TABLE t (id integer PRIMARY KEY, v integer)",
              "INSERT INTO t SELECT n, n FROM generate_series(1, 10) n"});
  for (const char* change : {"ALTER TABLE t ALTER v TYPE bigint", "ALTER TABLE t ADD COLUMN w integer", "TRUNCATE t"}) {
    SCOPED_TRACE(change);
    freeze();
    db.run(change);
    const Error error = servers::errorOf([&] { run({"baseline_whole.t"}); });
    EXPECT_EQ(error.code(), ErrorCode::queryFailed);
    EXPECT_EQ(error.retry(), Retry::later);
    EXPECT_THAT(error.message(), HasSubstr("baseline_whole.t"));
    thaw();
  }
  EXPECT_EQ(target.reads, 0u) << "a rewritten table looks empty to an older snapshot";
}

TEST_F(BaselineWhole, EndsSoonWhenItIsStoppedAndPassesOnWhatAHandlerThrows) {
  db.execute({"CREATE TABLE t (id integer PRIMARY KEY)", "INSERT INTO t SELECT generate_series(1, 100000)"});
  freeze();
  TestLink exporter;
  exporter.run("BEGIN ISOLATION LEVEL REPEATABLE READ");
  const std::string snapshot = exporter.ask("SELECT pg_export_snapshot()");
  const std::vector<std::string> tables{"baseline_whole.t"};
  std::stop_source stop;
  const ChangeHandler stopping = [&](ChangeBatch&) { return stop.request_stop(), Taken::full; };
  EXPECT_EQ(servers::errorOf([&] {
              runBaseline({options, tables, snapshot, 1, stopping, stop.get_token()});
            }).code(),
            ErrorCode::queryCancelled);
  const ChangeHandler throwing = [](ChangeBatch&) -> Taken { throw Error(ErrorCode::fenced, Retry::never, "mine"); };
  EXPECT_EQ(servers::errorOf([&] {
              runBaseline({options, tables, snapshot, 1, throwing, {}});
            }).code(),
            ErrorCode::fenced);
  thaw();
}

TEST_F(BaselineWhole, SaysThatAConnectionWasLost) {
  db.execute({"CREATE TABLE t (id integer PRIMARY KEY)", "INSERT INTO t SELECT generate_series(1, 200000)"});
  TestLink exporter;
  exporter.run("BEGIN ISOLATION LEVEL REPEATABLE READ");
  const std::string snapshot = exporter.ask("SELECT pg_export_snapshot()");
  const std::vector<std::string> tables{"baseline_whole.t"};
  const ChangeHandler killing = [&](ChangeBatch&) {
    db.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY%baseline_whole%'");
    return Taken::yes;
  };
  const Error error = servers::errorOf([&] { runBaseline({options, tables, snapshot, 1, killing, {}}); });
  EXPECT_EQ(error.code(), ErrorCode::connectionFailed);
  EXPECT_EQ(error.retry(), Retry::later);
}

TEST_F(BaselineWhole, ASnapshotWhoseSessionIsGoneIsALostConnection) {
  db.execute({"CREATE TABLE t (id integer PRIMARY KEY)"});
  TestLink exporter;
  exporter.run("BEGIN ISOLATION LEVEL REPEATABLE READ");
  const std::string snapshot = exporter.ask("SELECT pg_export_snapshot()");
  exporter.run("COMMIT");
  const std::vector<std::string> tables{"baseline_whole.t"};
  const ChangeHandler taking = handler();
  const Error error = servers::errorOf([&] { runBaseline({options, tables, snapshot, 1, taking, {}}); });
  EXPECT_EQ(error.code(), ErrorCode::connectionFailed);
  EXPECT_EQ(error.retry(), Retry::later);
  EXPECT_THAT(error.message(), HasSubstr("snapshot"));
}

TEST_F(BaselineWhole, ReadTableGivesTheRowsAsTheyAreNow) {
  db.execute({"CREATE TABLE t (id integer PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'a'), (2, NULL)"});
  auto rows = readTable(options, "baseline_whole.t", {});
  EXPECT_EQ(rows->columns()->size(), 2u);
  std::vector<Value> row;
  ASSERT_TRUE(rows->next(row));
  EXPECT_TRUE(row == (std::vector<Value>{1, "a"}));
  ASSERT_TRUE(rows->next(row));
  EXPECT_TRUE(row[1].isNull());
  EXPECT_FALSE(rows->next(row));
  EXPECT_FALSE(rows->next(row));
  EXPECT_EQ(servers::errorOf([&] { readTable(options, "baseline_whole.nowhere", {}); }).code(),
            ErrorCode::tableNotFound);
}

}  // namespace
}  // namespace tidegate::postgres::detail
