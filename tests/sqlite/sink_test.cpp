#include "tidegate/sqlite/sink.h"

#include <cmath>
#include <fstream>

#include "sqlite/sink_target.h"
#include "support/manual_clock.h"

namespace tidegate::contract {
namespace {

using testing::FaultVfs;
using testing::PlainDb;
using testing::TempDir;

/// A sink on a file that the test prepares and looks into with SQLite's own interface.
struct SinkRig {
  explicit SinkRig(sqlite::SinkOptions options = {}) {
    options.path = path;
    options.busyTimeout = std::chrono::milliseconds(20);
    sink = sqlite::sink(options);
  }
  void open() { sink->open({.pipeline = "p"}); }
  ChangeEvent& event(ChangeOp op, const Shape& shape) { return batch.add(op, shape); }
  void insert(const Shape& shape, Values row) { event(ChangeOp::insert, shape).after = std::move(row); }
  void commit() {
    sink->apply(batch);
    batch.clear();
    sink->commit("p");
  }
  std::string prepareError(const Shape& shape) {
    try {
      sink->prepareTable(shape);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::invalidConfig);
      EXPECT_EQ(e.retry(), Retry::afterOperator);
      return e.message();
    }
    return "";
  }

  TempDir dir;
  std::string path = dir / "replica.db";
  std::shared_ptr<Sink> sink;
  ChangeBatch batch;
};

Shape items() {
  return shapeOf("items", {column("id", ValueKind::int64, false), column("label", ValueKind::text)}, {"id"});
}

TEST(SqliteSink, RefusesAPathThatIsNoFile) {
  EXPECT_THROW(sqlite::sink({}), Error);
  EXPECT_THROW(sqlite::sink({.path = ":memory:"}), Error);
  const auto nowhere = sqlite::sink({.path = "/no/such/folder/replica.db"});
  try {
    nowhere->open({.pipeline = "p"});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::connectionFailed);
  }
}

TEST(SqliteSink, TablesAreMadeWithKeysTypesAndNotNull) {
  SinkRig rig;
  rig.open();
  rig.sink->prepareTable(shapeOf("t",
                                 {column("b", ValueKind::text, false), column("a", ValueKind::int64, false),
                                  column("note", ValueKind::json), column("must", ValueKind::real, false)},
                                 {"a", "b"}));
  rig.sink->prepareTable(items());
  rig.sink->commit("p");
  PlainDb db(rig.path);
  EXPECT_EQ(
      db.text("SELECT sql FROM sqlite_schema WHERE name = 't'"),
      "CREATE TABLE \"t\"(\"b\" TEXT NOT NULL, \"a\" INTEGER NOT NULL, \"note\" JSON TEXT, \"must\" REAL NOT NULL, "
      "PRIMARY KEY(\"a\", \"b\")) WITHOUT ROWID");
  EXPECT_EQ(db.text("SELECT sql FROM sqlite_schema WHERE name = 'items'"),
            "CREATE TABLE \"items\"(\"id\" INTEGER NOT NULL PRIMARY KEY, \"label\" TEXT)");
}

TEST(SqliteSink, AnOwnersTableKeepsItsOtherColumnsIndexesAndTriggers) {
  SinkRig rig;
  PlainDb db(rig.path);
  db.exec("CREATE TABLE items(stars INTEGER NOT NULL DEFAULT 3, label VARCHAR(20), id INT PRIMARY KEY)");
  db.exec("CREATE INDEX by_label ON items(label)");
  db.exec("INSERT INTO items(id, label, stars) VALUES (1, 'mine', 5)");
  rig.open();
  rig.sink->prepareTable(items());
  rig.event(ChangeOp::baselineBegin, items());
  rig.event(ChangeOp::read, items()).after = {1, "theirs"};
  rig.event(ChangeOp::read, items()).after = {2, "new"};
  rig.event(ChangeOp::baselineEnd, items());
  rig.commit();
  EXPECT_EQ(db.texts("SELECT id || label || stars FROM items ORDER BY id"),
            (std::vector<std::string>{"1theirs5", "2new3"}));
  EXPECT_EQ(db.text("SELECT count(*) FROM sqlite_schema WHERE name = 'by_label'"), "1");
}

TEST(SqliteSink, AUniqueIndexWillDoForAKey) {
  SinkRig rig;
  PlainDb(rig.path).exec("CREATE TABLE items(label TEXT, id INTEGER NOT NULL UNIQUE)");
  rig.open();
  rig.sink->prepareTable(items());
  rig.insert(items(), {1, "a"});
  rig.insert(items(), {1, "b"});
  rig.commit();
  EXPECT_EQ(PlainDb(rig.path).texts("SELECT label FROM items"), std::vector<std::string>{"b"});
}

TEST(SqliteSink, MisfitsNameTheColumnAndTheRemedy) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> cases = {
      {"CREATE TABLE items(id INTEGER PRIMARY KEY, label INTEGER)", {"label", "INTEGER", "declare it TEXT"}},
      {"CREATE TABLE items(id TEXT PRIMARY KEY, label TEXT)", {"\"id\"", "declare it INTEGER"}},
      {"CREATE TABLE items(id INTEGER, label TEXT)", {"key", "\"id\"", "unique index"}},
      {"CREATE TABLE items(id INTEGER, label TEXT, PRIMARY KEY(id, label))", {"key", "\"id\""}},
      {"CREATE TABLE items(label TEXT PRIMARY KEY)", {"\"id\"", "key"}},
      {"CREATE TABLE items(id INTEGER PRIMARY KEY, label TEXT, must TEXT NOT NULL)", {"\"must\"", "default"}},
      {"CREATE TABLE items(id INTEGER PRIMARY KEY, label TEXT AS ('x'))", {"\"label\"", "generated"}},
      {"CREATE VIEW items AS SELECT 1 AS id, 'x' AS label", {"view"}}};
  for (const auto& [sql, words] : cases) {
    SCOPED_TRACE(sql);
    SinkRig rig;
    PlainDb(rig.path).exec(sql);
    rig.open();
    const std::string message = rig.prepareError(items());
    EXPECT_NE(message.find("\"items\""), std::string::npos);
    for (const std::string& word : words) EXPECT_NE(message.find(word), std::string::npos) << message;
  }
}

TEST(SqliteSink, NamesThatCannotBeAreRefused) {
  SinkRig rig({.path = {}, .softDeleteColumn = "gone"});
  rig.open();
  const auto key = column("id", ValueKind::int64, false);
  EXPECT_NE(rig.prepareError(shapeOf("_tidegate_x", {key}, {"id"})), "");
  EXPECT_NE(rig.prepareError(shapeOf("sqlite_x", {key}, {"id"})), "");
  EXPECT_NE(rig.prepareError(shapeOf("t", {key, column("ID", ValueKind::text)}, {"id"})).find("one name"),
            std::string::npos);
  EXPECT_NE(rig.prepareError(shapeOf("t", {key, column("gone", ValueKind::text)}, {"id"})).find("softDeleteColumn"),
            std::string::npos);
}

TEST(SqliteSink, SoftDeletedRowsStayWithTheTimeOfTheErase) {
  test::ManualClock clock;
  SinkRig rig({.path = {}, .softDeleteColumn = "gone", .clock = &clock});
  rig.open();
  rig.sink->prepareTable(items());
  for (int id = 1; id <= 4; ++id) rig.insert(items(), {id, "a"});
  rig.commit();
  ChangeEvent& erased = rig.event(ChangeOp::erase, items());
  erased.before = {1, nullptr};
  erased.commitMicros = 1'714'564'800'000'001;
  rig.event(ChangeOp::erase, items()).before = {2, nullptr};
  rig.event(ChangeOp::erase, items()).before = {3, nullptr};
  rig.insert(items(), {3, "back"});
  ChangeEvent& late = rig.event(ChangeOp::update, items());
  late.after = {1, nullptr};
  late.unchanged = {1};
  rig.commit();
  EXPECT_EQ(PlainDb(rig.path).texts("SELECT gone FROM items ORDER BY id"),
            (std::vector<std::string>{"2024-05-01T12:00:00.000001Z", "2023-11-14T22:13:20.000000Z", "NULL", "NULL"}));
}

TEST(SqliteSink, SoftDeletionCoversTruncatesAndEndsOfBaselinesAndAnInsertTakesTheMarkAway) {
  SinkRig rig({.path = {}, .softDeleteColumn = "gone"});
  rig.open();
  rig.sink->prepareTable(items());
  for (int id = 1; id <= 4; ++id) rig.insert(items(), {id, "a"});
  rig.commit();
  const auto kept = [&] { return PlainDb(rig.path).texts("SELECT id FROM items WHERE gone IS NULL ORDER BY id"); };
  rig.event(ChangeOp::baselineBegin, items());
  rig.event(ChangeOp::read, items()).after = {3, "read"};
  rig.event(ChangeOp::baselineEnd, items());
  rig.commit();
  EXPECT_EQ(kept(), std::vector<std::string>{"3"});
  rig.insert(items(), {1, "back"});
  rig.commit();
  EXPECT_EQ(kept(), (std::vector<std::string>{"1", "3"}));
  rig.event(ChangeOp::truncate, items());
  rig.commit();
  EXPECT_EQ(kept(), std::vector<std::string>{});
  EXPECT_EQ(PlainDb(rig.path).texts("SELECT count(*) FROM items"), std::vector<std::string>{"4"});
}

TEST(SqliteSink, ColumnsThatWereRelaxedTakeNull) {
  SinkRig rig;
  rig.open();
  const Shape strict =
      shapeOf("items", {column("id", ValueKind::int64, false), column("label", ValueKind::text, false)}, {"id"});
  rig.sink->prepareTable(strict);
  rig.insert(strict, {1, "a"});
  rig.event(ChangeOp::schemaChange, items()).schemaChange =
      std::make_shared<SchemaChange>(SchemaChange{.before = strict});
  rig.insert(items(), {2, nullptr});
  rig.commit();
  EXPECT_EQ(PlainDb(rig.path).texts("SELECT label FROM items"), (std::vector<std::string>{"a", "NULL"}));
}

TEST(SqliteSink, ColumnsMayChangeNames) {
  SinkRig rig;
  rig.open();
  const auto three = [](const char* a, const char* b, const char* c) {
    return shapeOf("t",
                   {column("id", ValueKind::int64, false), column(a, ValueKind::text), column(b, ValueKind::text),
                    column(c, ValueKind::text)},
                   {"id"});
  };
  rig.sink->prepareTable(three("a", "b", "c"));
  rig.insert(three("a", "b", "c"), {1, "A", "B", "C"});
  rig.event(ChangeOp::schemaChange, three("b", "a", "d")).schemaChange = std::make_shared<SchemaChange>(
      SchemaChange{.before = three("a", "b", "c"), .renamed = {{"a", "b"}, {"b", "a"}, {"c", "d"}}});
  rig.commit();
  EXPECT_EQ(PlainDb(rig.path).text("SELECT b || a || d FROM t"), "ABC");
}

TEST(SqliteSink, ARowThatAConstraintRefusesIsNamedAndUndone) {
  SinkRig rig;
  PlainDb(rig.path).exec("CREATE TABLE items(id INTEGER PRIMARY KEY, label TEXT CHECK (label <> 'bad'))");
  rig.open();
  rig.sink->prepareTable(items());
  rig.insert(items(), {1, "good"});
  rig.insert(items(), {2, "bad"});
  try {
    rig.commit();
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::queryFailed);
    EXPECT_EQ(e.retry(), Retry::never);
    EXPECT_NE(e.message().find("label"), std::string::npos) << e.what();
  }
  EXPECT_EQ(PlainDb(rig.path).text("SELECT count(*) FROM items"), "0");
}

TEST(SqliteSink, AFullDiskUndoesTheUnitAndLosesNothing) {
  FaultVfs faults;
  SinkRig rig({.path = {}, .cacheBytes = 1 << 16});
  rig.open();
  rig.sink->prepareTable(items());
  rig.sink->commit("p");
  int failed = 0;
  for (int unit = 0; unit < 40; ++unit) {
    for (int attempt = 0;; ++attempt) {
      ASSERT_LT(attempt, 100);
      if (attempt < 3) faults.failWrites(1 + (unit * 7 + attempt * 3) % 90, SQLITE_FULL, 2);
      try {
        for (int i = 0; i < 50; ++i) rig.insert(items(), {unit * 50 + i, std::string(2'000, 'x')});
        rig.sink->apply(rig.batch);
        rig.batch.clear();
        rig.sink->commit(std::to_string(unit));
        break;
      } catch (const Error& e) {
        EXPECT_EQ(e.code(), ErrorCode::storeUnavailable) << e.what();
        EXPECT_EQ(e.retry(), Retry::later) << e.what();
        rig.batch.clear();
        ++failed;
        faults.heal();
        const auto checkpoint = rig.sink->open({.pipeline = "p"});
        ASSERT_EQ(checkpoint, unit == 0 ? "p" : std::to_string(unit - 1));
        ASSERT_EQ(PlainDb(rig.path).text("SELECT count(*) FROM items"), std::to_string(unit * 50));
      }
    }
    faults.heal();
  }
  EXPECT_GT(failed, 20);
}

TEST(SqliteSink, AFailedSyncLeavesTheOutcomeToTheNextOpen) {
  FaultVfs faults;
  SinkRig rig;
  rig.open();
  rig.sink->prepareTable(items());
  rig.sink->commit("before");
  rig.insert(items(), {1, "a"});
  rig.sink->apply(rig.batch);
  faults.failSyncs(1);
  try {
    rig.sink->commit("after");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.retry(), Retry::outcomeUnknown) << e.what();
  }
  faults.heal();
  EXPECT_THROW(rig.sink->apply(rig.batch), Error);
  const bool happened = rig.sink->open({.pipeline = "p"}) == "after";
  EXPECT_EQ(PlainDb(rig.path).text("SELECT count(*) FROM items"), happened ? "1" : "0");
}

TEST(SqliteSink, AStopEndsALongStatement) {
  SinkRig rig;
  std::stop_source stop;
  rig.sink->open({.pipeline = "p", .stop = stop.get_token()});
  rig.sink->prepareTable(items());
  rig.sink->commit("p");
  stop.request_stop();
  rig.insert(items(), {1, "a"});
  try {
    rig.sink->apply(rig.batch);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::queryCancelled);
  }
}

TEST(SqliteSink, TimesOfEveryFormSortAsTextAndExpireByTime) {
  SinkRig rig;
  rig.open();
  const Shape t = shapeOf("t", {column("id", ValueKind::int64, false), column("at", ValueKind::timestamp)}, {"id"});
  rig.sink->prepareTable(t);
  rig.insert(t, {1, Timestamp::utc(1'700'000'000'000'000)});
  rig.insert(t, {2, Timestamp::utc(1'700'000'000'500'000)});
  rig.insert(t, {3, Timestamp::utc(260'000'000'000'000'000)});  // after the year 9999
  rig.insert(t, {4, Timestamp::utc(-65'000'000'000'000'000)});  // before the year 0
  rig.insert(t, {5, Timestamp::utc(Timestamp::kInfinity)});
  rig.insert(t, {6, "0000-00-00 00:00:00"});
  rig.commit();
  EXPECT_EQ(rig.sink->expire(t, "at", Timestamp::utc(1'700'000'000'500'000)), 2u);
  rig.sink->commit("p");
  EXPECT_EQ(PlainDb(rig.path).texts("SELECT id FROM t ORDER BY id"), (std::vector<std::string>{"2", "3", "5", "6"}));
}

}  // namespace
}  // namespace tidegate::contract
