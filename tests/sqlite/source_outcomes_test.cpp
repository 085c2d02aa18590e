// Transactions, changes of the schema, and every way to lose the place.
#include <gtest/gtest.h>

#include <filesystem>

#include "sqlite/source_support.h"

namespace tidegate::sqlite {
namespace {

using testing::PlainDb;
using testing::SourceRig;

bool isSchemaChange(const ChangeEvent& event) { return event.op == ChangeOp::schemaChange; }

std::vector<std::size_t> unitSizes(const std::vector<ChangeEvent>& events) {
  std::vector<std::size_t> sizes;
  for (const ChangeEvent& event : events) {
    if (event.op == ChangeOp::progress || event.op == ChangeOp::read || event.op == ChangeOp::baselineBegin ||
        event.op == ChangeOp::baselineEnd) {
      continue;
    }
    if (event.transactionBegin) sizes.push_back(0);
    ++sizes.back();
  }
  return sizes;
}

TEST(SqliteSourceUnits, ATransactionIsNeverDividedHoweverSmallTheBatches) {
  SourceRig rig;
  rig.options.batchEvents = 3;
  rig.writer.exec("CREATE TABLE a(id INTEGER PRIMARY KEY); CREATE TABLE b(id INTEGER PRIMARY KEY)");
  rig.follow({"a", "b"});
  for (int n = 0; n < 30; ++n) {
    const std::string from = std::to_string(n * 10);
    rig.writer.exec("BEGIN; WITH RECURSIVE c(i) AS (SELECT " + from + " UNION ALL SELECT i + 1 FROM c WHERE i < " +
                    from + " + 6) INSERT INTO a SELECT i FROM c; INSERT INTO b SELECT id FROM a WHERE id >= " + from +
                    "; COMMIT");
  }
  rig.awaitRows("b");
  rig.stop();
  // Several may come as one, so sizes are multiples; the replica finds fault with a border within.
  for (const std::size_t size : unitSizes(rig.events)) EXPECT_EQ(size % 14, 0u);
}

TEST(SqliteSourceUnits, BordersThatAWriterMakesAreKeptByEveryLaterStream) {
  SourceRig rig;
  rig.writer.exec("CREATE TABLE t(id INTEGER PRIMARY KEY)");
  rig.baseline({"t"});
  const Position before = rig.place;
  int id = 0;
  for (const int size : {3, 1, 5, 2}) {
    rig.writer.exec("BEGIN; " + borderStatement());
    for (int i = 0; i < size; ++i) rig.writer.exec("INSERT INTO t VALUES (" + std::to_string(++id) + ")");
    rig.writer.exec("COMMIT");
  }
  for (int round = 0; round < 2; ++round) {
    rig.makeSource();  // as another process
    rig.events.clear();
    rig.replica = {};
    rig.place = before;
    rig.start({"t"});
    rig.awaitRows("t");
    rig.stop();
    EXPECT_EQ(unitSizes(rig.events), (std::vector<std::size_t>{3, 1, 5, 2}));
  }
}

TEST(SqliteSourceUnits, AStreamFromTheMiddleOfAUnitBringsTheRest) {
  SourceRig rig;
  rig.writer.exec("CREATE TABLE t(id INTEGER PRIMARY KEY)");
  rig.baseline({"t"});
  rig.writer.exec("INSERT INTO t VALUES (1), (2), (3), (4)");
  rig.start({"t"});
  rig.awaitRows("t");
  rig.stop();
  const auto second = std::find_if(rig.events.begin(), rig.events.end(), [](const ChangeEvent& e) {
    return e.op == ChangeOp::insert && e.after[0] == Value(2);
  });
  ASSERT_NE(second, rig.events.end());
  EXPECT_FALSE(second->transactionEnd);
  const Position middle = second->position;
  rig.makeSource();
  rig.events.clear();
  rig.replica = {};
  rig.replica.tables["t"];
  rig.place = middle;
  rig.start({"t"});
  rig.awaitRows("t", "SELECT * FROM t WHERE id > 2");
  rig.stop();
  EXPECT_FALSE(rig.events.at(0).transactionBegin);
  EXPECT_TRUE(rig.events.at(1).transactionEnd);
  rig.replica.faults.clear();  // it began within a unit, on purpose
}

TEST(SqliteSourceUnits, ChangesLargerThanABatchPassOneByOne) {
  SourceRig rig;
  rig.writer.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB); INSERT INTO t VALUES (1, randomblob(20000000))");
  rig.follow({"t"});
  rig.writer.exec("INSERT INTO t VALUES (2, randomblob(20000000)), (3, randomblob(20000000)), (4, x'01'), (5, x'02')");
  const auto last = [](const ChangeEvent& e) { return e.op == ChangeOp::insert && e.after.at(0) == Value(5); };
  ASSERT_TRUE(rig.awaitEvent(last));
  rig.stop();
  EXPECT_EQ(rig.ops("t"), "baselineBegin read baselineEnd insert insert insert insert");
}

TEST(SqliteSourceSchema, ARenamedColumnIsToldAndNothingIsReadAgain) {
  SourceRig rig;
  rig.writer.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b UNIQUE); INSERT INTO t VALUES (1, 'x', 1)");
  rig.follow({"t"});
  rig.writer.exec("ALTER TABLE t RENAME COLUMN a TO \"new name\"; INSERT INTO t VALUES (2, 'y', 2)");
  const auto told = rig.awaitEvent(isSchemaChange);
  ASSERT_TRUE(told);
  EXPECT_FALSE(told->schemaChange->rowsChanged);
  EXPECT_EQ(told->schemaChange->renamed, (std::vector<std::pair<std::string, std::string>>{{"a", "new name"}}));
  rig.writer.exec("INSERT OR REPLACE INTO t VALUES (3, 'z', 1)");
  rig.awaitRows("t");
  EXPECT_EQ(rig.events.back().shape->columns->names(), (std::vector<std::string>{"id", "new name", "b"}));
}

TEST(SqliteSourceSchema, AnAddedColumnIsToldAndRowsAreReadAgain) {
  SourceRig rig;
  rig.writer.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'x')");
  rig.follow({"t"});
  rig.writer.exec("ALTER TABLE t ADD COLUMN b DEFAULT 7; UPDATE t SET b = 8");
  const auto told = rig.awaitEvent(isSchemaChange);
  ASSERT_TRUE(told);
  EXPECT_TRUE(told->schemaChange->rowsChanged);
  EXPECT_EQ(told->shape->columns->size(), 3u);
  rig.stop();
  rig.baseline({"t"});
  rig.start({"t"});
  rig.writer.exec("INSERT INTO t VALUES (2, 'y', 9)");
  rig.awaitRows("t");
}

TEST(SqliteSourceSchema, AWideTableWidensTheChangeTable) {
  SourceRig rig;
  rig.writer.exec("CREATE TABLE narrow(id INTEGER PRIMARY KEY, a)");
  std::string columns = "id INTEGER PRIMARY KEY";
  for (int i = 0; i < 40; ++i) columns += ", c" + std::to_string(i) + " DEFAULT " + std::to_string(i);
  rig.writer.exec("CREATE TABLE wide(" + columns + ")");
  rig.follow({"narrow"});
  rig.writer.exec("INSERT INTO narrow VALUES (1, 'x')");
  rig.awaitRows("narrow");
  rig.stop();
  rig.baseline({"wide"});
  rig.start({"narrow", "wide"});
  rig.writer.exec("INSERT INTO wide(id) VALUES (1), (2); INSERT INTO narrow VALUES (2, 'y')");
  rig.awaitRows("wide");
  rig.awaitRows("narrow");
}

TEST(SqliteSourceSchema, ATableMadeAnewTheTwelveStepWayIsReadAgain) {
  for (const bool running : {true, false}) {
    SCOPED_TRACE(running);
    SourceRig rig;
    rig.writer.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'x')");
    rig.follow({"t"});
    if (!running) rig.stop();
    rig.writer.exec(
        "BEGIN; CREATE TABLE new_t(id INTEGER PRIMARY KEY, b TEXT, c); INSERT INTO new_t SELECT id, a, 1 FROM "
        "t; DROP TABLE t; ALTER TABLE new_t RENAME TO t; INSERT INTO t VALUES (2, 'unseen', 2); COMMIT");
    if (!running) {
      rig.makeSource();
      rig.start({"t"});
    }
    const auto told = rig.awaitEvent(isSchemaChange);
    ASSERT_TRUE(told);
    EXPECT_TRUE(told->schemaChange->rowsChanged);
    rig.stop();
    rig.baseline({"t"});
    rig.start({"t"});
    rig.writer.exec("UPDATE t SET c = 5");
    rig.awaitRows("t");
  }
}

TEST(SqliteSourceSchema, ATriggerThatSomebodyDroppedIsMadeAgainAndRowsAreReadAgain) {
  SourceRig rig;
  rig.writer.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
  rig.follow({"t"});
  rig.writer.exec("BEGIN; DROP TRIGGER \"_tidegate_on_tidegate.1.ad\"; COMMIT");
  const auto told = rig.awaitEvent(isSchemaChange);
  ASSERT_TRUE(told && told->schemaChange->rowsChanged);
  EXPECT_EQ(rig.writer.text("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'"), "5");
}

TEST(SqliteSourceSchema, AnotherUniqueIndexIsMinded) {
  SourceRig rig;
  rig.writer.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'x'), (2, 'y')");
  rig.follow({"t"});
  rig.writer.exec("CREATE UNIQUE INDEX t_a ON t(a)");
  ASSERT_TRUE(rig.awaitEvent(isSchemaChange));
  rig.writer.exec("INSERT OR REPLACE INTO t VALUES (3, 'x')");
  rig.awaitRows("t");
}

TEST(SqliteSourceSchema, ADroppedTableIsWarnedOfAndItsReturnIsTold) {
  SourceRig rig;
  rig.writer.exec("CREATE TABLE t(id INTEGER PRIMARY KEY); CREATE TABLE u(id INTEGER PRIMARY KEY)");
  rig.follow({"t", "u"});
  rig.writer.exec("DROP TABLE t; INSERT INTO u VALUES (1)");
  rig.awaitRows("u");
  EXPECT_TRUE(rig.warned("table t was dropped"));
  rig.writer.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, more)");
  const auto told = rig.awaitEvent(isSchemaChange);
  ASSERT_TRUE(told && told->schemaChange->rowsChanged);
  rig.writer.exec("INSERT INTO t VALUES (1, 2)");
  rig.awaitRows("t");
}

TEST(SqliteSourceSchema, ARenamedTableNoLongerCountsAsTheOldOne) {
  SourceRig rig;
  rig.writer.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TABLE u(id INTEGER PRIMARY KEY)");
  rig.follow({"t", "u"});
  rig.writer.exec("ALTER TABLE t RENAME TO old_t");
  rig.writer.exec("INSERT INTO u VALUES (1)");
  rig.awaitRows("u");
  EXPECT_TRUE(rig.warned("table t was dropped or renamed"));
  EXPECT_EQ(rig.writer.text("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'old_t'"), "0");
}

void expectLost(SourceRig& rig, const std::string& why) {
  const auto failure = rig.awaitFailure();
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code(), ErrorCode::positionLost) << failure->what();
  EXPECT_NE(failure->message().find(why), std::string::npos) << failure->what();
  // A new baseline helps.
  rig.replica = {};
  rig.follow({"t"});
  // A connection that knew the change table before it was dropped finds the new one only once it is opened again.
  PlainDb(rig.path()).exec("INSERT INTO t VALUES (1000)");
  rig.awaitRows("t");
}

SourceRig& oneTable(SourceRig& rig) {
  rig.writer.exec("CREATE TABLE t(id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
  rig.follow({"t"});
  rig.writer.exec("INSERT INTO t VALUES (2)");
  rig.awaitRows("t");
  return rig;
}

TEST(SqliteSourceLost, ADroppedChangeTable) {
  SourceRig rig;
  oneTable(rig).writer.exec("DROP TABLE _tidegate_log_tidegate");
  expectLost(rig, "dropped");
}

TEST(SqliteSourceLost, ChangesRemovedBehindOurBack) {
  SourceRig rig;
  oneTable(rig).stop();
  rig.writer.exec(
      "INSERT INTO t VALUES (3), (4), (5); DELETE FROM _tidegate_log_tidegate WHERE seq IN (SELECT max(seq) - 1 "
      "FROM _tidegate_log_tidegate)");
  rig.start({"t"});
  expectLost(rig, "removed");
}

TEST(SqliteSourceLost, APositionThatWasAcknowledgedAway) {
  SourceRig rig;
  oneTable(rig);
  rig.stop();
  const Position old = rig.place;
  rig.start({"t"});
  rig.writer.exec("INSERT INTO t VALUES (3); INSERT INTO t VALUES (4)");
  rig.awaitRows("t");
  rig.source->ack(rig.place);
  const auto trimmed = [&] { return rig.writer.text("SELECT count(*) FROM _tidegate_log_tidegate") == "1"; };
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!trimmed() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  ASSERT_TRUE(trimmed());
  rig.stop();
  rig.place = old;
  rig.start({"t"});
  expectLost(rig, "begins after");
}

TEST(SqliteSourceLost, ARestoredBackupWhoseHistoryIsAnother) {
  SourceRig rig("DELETE");
  oneTable(rig).stop();
  std::filesystem::copy_file(rig.path(), rig.folder / "backup.db");
  rig.start({"t"});
  rig.writer.exec("INSERT INTO t VALUES (3), (4)");
  rig.awaitRows("t");
  rig.stop();
  // In place, and then written to: as many changes as before, and others.
  std::filesystem::copy_file(rig.folder / "backup.db", rig.path(), std::filesystem::copy_options::overwrite_existing);
  PlainDb after(rig.path());
  after.exec("INSERT INTO t VALUES (30), (31), (32)");
  rig.start({"t"});
  const auto failure = rig.awaitFailure();
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code(), ErrorCode::positionLost) << failure->what();
}

TEST(SqliteSourceLost, AnotherFileAtThePath) {
  SourceRig rig("DELETE");
  oneTable(rig);
  PlainDb other(rig.folder / "other.db");
  other.exec("CREATE TABLE t(id INTEGER PRIMARY KEY)");
  std::filesystem::rename(rig.folder / "other.db", rig.path());
  const auto failure = rig.awaitFailure();
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code(), ErrorCode::positionLost) << failure->what();
}

TEST(SqliteSource, AMissingFileIsWaitedFor) {
  SourceRig rig("DELETE");
  rig.options.backoff.maxRetries = UINT32_MAX;
  oneTable(rig);
  std::filesystem::rename(rig.path(), rig.folder / "away.db");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (rig.source->state() != SourceState::reconnecting && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_EQ(rig.source->state(), SourceState::reconnecting);
  std::filesystem::rename(rig.folder / "away.db", rig.path());
  rig.writer.exec("INSERT INTO t VALUES (77)");
  rig.awaitRows("t");
}

TEST(SqliteSource, TwoSourcesOfTwoNamesDoNotTouchEachOther) {
  SourceRig rig;
  oneTable(rig);
  const auto second = source({.path = rig.path(), .name = "other"});
  second->init({});
  const auto all = [](ChangeBatch&) { return Taken::yes; };
  const Position at = second->baseline({"t"}, all, {});
  rig.writer.exec("INSERT INTO t VALUES (3)");
  rig.awaitRows("t");
  EXPECT_EQ(rig.ops("t").find("schemaChange"), std::string::npos);
  second->reset();
  rig.writer.exec("INSERT INTO t VALUES (4)");
  rig.awaitRows("t");
  EXPECT_THROW(second->stream({"t"}, at, all, {}), Error);
}

TEST(SqliteSource, ResetLeavesNothingInTheDatabase) {
  SourceRig rig;
  oneTable(rig).stop();
  rig.source->reset();
  EXPECT_EQ(rig.writer.text("SELECT count(*) FROM sqlite_schema WHERE name LIKE '\\_tidegate%' ESCAPE '\\'"), "0");
  rig.writer.exec("INSERT INTO t VALUES (3)");
}

}  // namespace
}  // namespace tidegate::sqlite
