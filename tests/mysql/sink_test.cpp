/// What is MariaDB's own about its sink: types, targets that are there already, schema changes without a transaction.
#include <gtest/gtest.h>

#include <cmath>

#include "mysql/sink_target.h"
#include "servers/doc_table.h"
#include "servers/sink_rig.h"

namespace tidegate::servers {
namespace {

using contract::column;
using contract::shapeOf;

class MySqlSinkTest : public SinkRig<MySqlTarget> {
 protected:
  std::string columnType(const std::string& table, const std::string& name) {
    return askText(
        "SELECT COLUMN_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'sink_test' AND TABLE_NAME = '" +
        table + "' AND COLUMN_NAME = '" + name + "'");
  }
  /// MySQL says no width of integers but of tinyint(1).
  static std::string here(std::string documented) {
    if (servers::isMariaDb()) return documented;
    for (const std::string width : {"(20)", "(11)"}) {
      const auto at = documented.find("int" + width);
      if (at != std::string::npos) documented.erase(at + 3, width.size());
    }
    return documented;
  }
  static Shape renamed(const std::string& table) {
    return shapeOf(table, {column("id", ValueKind::int64, false), column("title", ValueKind::text)}, {"id"});
  }
};

TEST_F(MySqlSinkTest, GivesEachKindTheColumnTypeThatTheDocumentationSays) {
  for (const auto& row : docTable("types.md", "Into MariaDB and MySQL", "| Kind | Source type | Column |")) {
    SCOPED_TRACE(row[0] + " " + row[1]);
    execute(admin, {"DROP TABLE IF EXISTS typed"});
    ColumnSchema value{.name = "value", .kind = kindOf(row[0]), .sourceType = row[1]};
    sink->prepareTable(shapeOf("typed", {column("id", ValueKind::int64, false), value}, {"id"}));
    sink->commit("");
    EXPECT_EQ(columnType("typed", "value"), here(row[2]));
  }
}

TEST_F(MySqlSinkTest, TextKeysHaveTheSourcesLengthOrWhatTheIndexCanTake) {
  prepare(shapeOf("keys",
                  {{.name = "a", .kind = ValueKind::text, .nullable = false, .sourceType = "character varying(20)"},
                   column("b", ValueKind::text, false),
                   column("c", ValueKind::bytes, false)},
                  {"a", "b", "c"}));
  EXPECT_EQ(columnType("keys", "a"), "varchar(20)");
  EXPECT_EQ(columnType("keys", "b"), "varchar(256)");
  EXPECT_EQ(columnType("keys", "c"), "varbinary(1024)");
}

TEST_F(MySqlSinkTest, AColumnOfAnyKindKeepsTheKindOfEachValue) {
  const Shape t = shapeOf("any", {column("id", ValueKind::int64, false), column("v", ValueKind::null)}, {"id"});
  prepare(t);
  std::vector<contract::Values> rows;
  for (const Value& v : std::vector<Value>{true, 42, std::uint64_t{1} << 63, 1.0, 0.5, -0.0, "text", "$x:", Date{5},
                                           Decimal{"1.50"}, Bytes{"\x01\xff"}, Time{5}, Timestamp::utc(7),
                                           Timestamp::local(7), Uuid{}, Json{"{\"a\": 1}"}, nullptr}) {
    rows.push_back({static_cast<std::int64_t>(rows.size()), v});
    insert(t, rows.back());
  }
  commit();
  expectExactly(t, rows);
}

TEST_F(MySqlSinkTest, DecimalsArriveDigitForDigit) {
  const Shape t = shapeOf("decimals",
                          {column("id", ValueKind::int64, false),
                           column("free", ValueKind::decimal),
                           {.name = "money", .kind = ValueKind::decimal, .sourceType = "numeric(38,10)"}},
                          {"id"});
  prepare(t);
  const std::vector<contract::Values> rows = {
      {1, Decimal{"1.50"}, Decimal{"1.5000000000"}},
      {2, Decimal{std::string(200, '9') + ".000"}, Decimal{"1234567890123456789012345678.0123456789"}},
      {3, Decimal{"NaN"}, Decimal{"-0.0000000001"}},
      {4, Decimal{"-Infinity"}, nullptr}};
  for (const auto& row : rows) insert(t, row);
  commit();
  expectExactly(t, rows);
}

TEST_F(MySqlSinkTest, AValueThatDoesNotFitIsRefusedByColumnAndKey) {
  const Shape t = shapeOf("picky",
                          {column("id", ValueKind::int64, false),
                           column("real", ValueKind::real),
                           column("day", ValueKind::date),
                           column("time", ValueKind::time),
                           {.name = "at", .kind = ValueKind::timestamp, .sourceType = "timestamp with time zone"},
                           {.name = "money", .kind = ValueKind::decimal, .sourceType = "numeric(10,2)"}},
                          {"id"});
  prepare(t);
  const auto refused = [&](std::size_t at, const Value& v) {
    contract::Values row(6);
    row[0] = 77;
    row[at] = v;
    insert(t, row);
    const Error e = errorOf([&] { flush(); });
    batch.clear();
    EXPECT_EQ(e.code(), ErrorCode::typeUnsupported) << e.what();
    EXPECT_NE(e.message().find("\"picky\", column \"" + (*t->columns)[at] + "\", key (77)"), std::string::npos)
        << e.what();
  };
  refused(1, std::nan(""));
  refused(1, HUGE_VAL);
  refused(2, Date{Date::kInfinity});
  refused(2, Date{-800'000});
  refused(3, Time{3'100'000'000'000});
  refused(4, Timestamp::local(0));
  refused(4, Timestamp::utc(Timestamp::kMinusInfinity));
  refused(5, Decimal{"NaN"});
  insert(t, {78, 1.5, Date{1}, Time{-1}, Timestamp::utc(1), Decimal{"1.50"}});
  commit();
  expectExactly(t, {{78, 1.5, Date{1}, Time{-1}, Timestamp::utc(1), Decimal{"1.50"}}});
}

TEST_F(MySqlSinkTest, AnExistingTableOfNarrowerTypesIsUsed) {
  execute(admin,
          {"CREATE TABLE there (id int PRIMARY KEY, name varchar(5) CHARACTER SET utf8mb4, mood enum('sad', 'glad'), "
           "price decimal(10,2), note varchar(10) DEFAULT 'mine')"});
  const Shape t = shapeOf("there",
                          {column("id", ValueKind::int64, false),
                           column("name", ValueKind::text),
                           column("mood", ValueKind::text),
                           {.name = "price", .kind = ValueKind::decimal, .sourceType = "numeric(8,2)"}},
                          {"id"});
  prepare(t);
  begin(t);
  read(t, {0, "ada", "glad", Decimal{"1.50"}});  // 0, which must not count for AUTO_INCREMENT
  end(t);
  update(t, {0, "Ada", nullptr, Decimal{"2.25"}}, {2});
  commit();
  expectExactly(t, {{0, "Ada", "glad", Decimal{"2.25"}}});
  EXPECT_EQ(askText("SELECT note FROM there"), "mine");
  for (const contract::Values& bad : {contract::Values{3, "too long", "sad", nullptr},
                                      {3, "a", "none", nullptr},
                                      {std::int64_t{1} << 40, "a", "sad", nullptr}}) {
    insert(t, bad);
    const Error e = errorOf([&] { commit(); });
    EXPECT_EQ(e.retry(), Retry::never) << e.what();
    EXPECT_NE(e.message().find("\"there\""), std::string::npos) << e.what();
    batch.clear();
  }
}

TEST_F(MySqlSinkTest, AnExistingTableThatCannotHoldTheRowsIsRefusedWithTheStatementThatMendsIt) {
  const Shape t = shapeOf("there",
                          {column("id", ValueKind::text, false),
                           {.name = "price", .kind = ValueKind::decimal, .sourceType = "numeric(10,2)"}},
                          {"id"});
  const std::string exact = servers::isMariaDb() ? "COLLATE utf8mb4_nopad_bin" : "COLLATE utf8mb4_0900_bin";
  const std::string key = "id varchar(20) CHARACTER SET utf8mb4 " + exact;
  const std::vector<std::array<std::string, 2>> cases = {
      {key + " PRIMARY KEY, price float", "MODIFY `price` decimal(10,2)"},
      {key + " PRIMARY KEY, price decimal(9,2)", "MODIFY `price` decimal(10,2)"},
      {key + " PRIMARY KEY, price decimal(10,2) NOT NULL", "MODIFY `price` decimal(10,2) NULL"},
      {key + " PRIMARY KEY, price decimal(10,2), other int NOT NULL", here("MODIFY `other` int(11) NULL")},
      {key + ", price decimal(10,2)", "ADD UNIQUE (`id`)"},
      {key + " PRIMARY KEY, price decimal(10,2) UNIQUE", "DROP INDEX `price`"},
      {key + ", price decimal(10,2), UNIQUE (id(5))", "DROP INDEX"},
      {"id varchar(20) CHARACTER SET utf8mb4 PRIMARY KEY, price decimal(10,2)", exact + " NOT NULL"},
      {"id varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY, price decimal(10,2)",
       exact + " NOT NULL"},
  };
  for (const auto& [columns, remedy] : cases) {
    SCOPED_TRACE(columns);
    execute(admin, {"DROP TABLE IF EXISTS there", "CREATE TABLE there (" + columns + ")"});
    const Error e = errorOf([&] { sink->prepareTable(t); });
    EXPECT_EQ(e.code(), ErrorCode::invalidConfig);
    EXPECT_EQ(e.retry(), Retry::afterOperator);
    EXPECT_NE(e.message().find(remedy), std::string::npos) << e.what();
  }
  execute(admin,
          {"DROP TABLE there", "CREATE TABLE there (" + key + " PRIMARY KEY, price decimal(10,2)) ENGINE = MyISAM"});
  EXPECT_NE(errorOf([&] { sink->prepareTable(t); }).message().find("ENGINE = InnoDB"), std::string::npos);
  for (const std::string& name : {std::string(65, 'x'), std::string("owl \xF0\x9F\xA6\x89")}) {
    EXPECT_EQ(errorOf([&] { sink->prepareTable(things(name)); }).code(), ErrorCode::invalidConfig);
  }
}

TEST_F(MySqlSinkTest, SoftDeletionMarksRowsAndAnInsertTakesTheMarkAway) {
  options.softDeleteColumn = "erased at";
  reopen();
  const Shape t = things("soft");
  prepare(t);
  for (int i = 1; i <= 4; ++i) insert(t, {i, "a"});
  commit();
  erase(t, {1});
  erase(t, {2});
  commit();
  const std::string marked = "SELECT GROUP_CONCAT(id ORDER BY id) AS ids FROM soft WHERE `erased at` IS NOT NULL";
  EXPECT_EQ(askText(marked), "1,2");
  insert(t, {1, "back"});
  update(t, {2, nullptr}, {1});
  commit();
  EXPECT_EQ(askText(marked), "2");
  expectExactly(t, {{1, "back"}, {3, "a"}, {4, "a"}});
  begin(t);
  read(t, {3, "read"});
  end(t);
  commit();
  EXPECT_EQ(askText(marked), "1,2,4");
  truncate(t);
  commit();
  expectExactly(t, {});
}

TEST_F(MySqlSinkTest, ACrashInTheMiddleOfARenameIsMendedWhenTheOldShapeComesAgain) {
  const Shape t = things("crashed"), after = renamed("crashed");
  prepare(t);
  insert(t, {1, "a"});
  insert(t, {2, "b"});
  commit("before");
  for (int round = 0; round < 2; ++round) {  // the second finds the rename done
    update(t, {1, "A"});
    changeSchema(t, after, {{"name", "title"}});
    insert(after, {3, "c"});
    flush();
    EXPECT_EQ(reopen(), "before");
    expectExactly(after, {{1, "a"}, {2, "b"}});
    sink->prepareTable(round == 0 ? t : after);
  }
  update(t, {1, "A"});
  update(t, {2, nullptr}, {1});
  changeSchema(t, after, {{"name", "title"}});
  insert(after, {3, "c"});
  commit("after");
  expectExactly(after, {{1, "A"}, {2, "b"}, {3, "c"}});
  EXPECT_EQ(ask("SELECT COUNT(*) AS n FROM _tidegate_moved"), "0");
  EXPECT_EQ(columnType("crashed", "name"), "no row");
}

TEST_F(MySqlSinkTest, ACrashInTheMiddleOfARetypeIsMendedWhenTheOldShapeComesAgain) {
  const Shape t = shapeOf("crashed", {column("id", ValueKind::int64, false), column("n", ValueKind::int64)}, {"id"});
  const Shape after = shapeOf("crashed", {column("id", ValueKind::int64, false), column("n", ValueKind::real)}, {"id"});
  prepare(t);
  insert(t, {1, 11});
  commit("before");
  insert(t, {2, 22});
  changeSchema(t, after);
  insert(after, {3, 0.5});
  flush();
  EXPECT_EQ(reopen(), "before");
  EXPECT_EQ(columnType("crashed", "n"), "double");
  sink->prepareTable(after);
  insert(t, {2, 22});
  changeSchema(t, after);
  insert(after, {3, 0.5});
  commit("after");
  expectExactly(after, {{1, 11.0}, {2, 22.0}, {3, 0.5}});
}

TEST_F(MySqlSinkTest, ABooleanThatBecomesANumberGetsRoomForIt) {
  const Shape t = shapeOf("wider", {column("id", ValueKind::int64, false), column("n", ValueKind::boolean)}, {"id"});
  const Shape after = shapeOf("wider", {column("id", ValueKind::int64, false), column("n", ValueKind::int64)}, {"id"});
  prepare(t);
  insert(t, {1, true});
  changeSchema(t, after);
  insert(after, {2, 1'000'000});
  commit();
  expectExactly(after, {{1, 1}, {2, 1'000'000}});
}

TEST_F(MySqlSinkTest, ADroppedColumnGoesAfterItsCommitOrWithTheNextOpen) {
  const Shape t =
      shapeOf("dropped", {column("id", ValueKind::int64, false), column("name", ValueKind::text, false)}, {"id"});
  const Shape after = shapeOf("dropped", {column("id", ValueKind::int64, false)}, {"id"});
  prepare(t);
  insert(t, {1, "a"});
  commit("before");
  changeSchema(t, after);
  insert(after, {2});
  flush();
  EXPECT_EQ(columnType("dropped", "name"), "longtext");  // nobody has said yet that it goes
  EXPECT_EQ(reopen(), "before");
  insert(t, {3, "c"});
  changeSchema(t, after);
  insert(after, {2});
  commit("after");
  EXPECT_EQ(columnType("dropped", "name"), "no row");
  expectExactly(after, {{1}, {2}, {3}});
  execute(admin, {"ALTER TABLE dropped ADD COLUMN left_behind int",
                  "INSERT INTO _tidegate_drops VALUES ('p', 'dropped', 'left_behind')"});
  EXPECT_EQ(reopen(), "after");
  EXPECT_EQ(columnType("dropped", "left_behind"), "no row");
}

TEST_F(MySqlSinkTest, ASchemaChangeInAUnitThatIsTooLargeToHoldBeginsItAgain) {
  options.maxPendingBytes = 1'000;
  reopen();
  const Shape t = things("large"), after = renamed("large");
  prepare(t);
  const auto unit = [&] {
    for (int i = 0; i < 500; ++i) insert(t, {i, "a name that takes some room"});
    changeSchema(t, after, {{"name", "title"}});
    insert(after, {500, "b"});
  };
  unit();
  const Error e = errorOf([&] { flush(); });
  EXPECT_EQ(e.retry(), Retry::later) << e.what();
  EXPECT_EQ(ask("SELECT COUNT(*) AS n FROM large"), "0");
  int attempts = 1;
  for (; attempts < 5; ++attempts) {  // each step of the change may begin it again
    batch.clear();
    unit();
    try {
      commit("whole");
      break;
    } catch (const Error& again) {
      ASSERT_EQ(again.retry(), Retry::later) << again.what();
    }
  }
  EXPECT_LT(attempts, 5);
  EXPECT_EQ(ask("SELECT COUNT(*) AS n FROM large"), "501");
  EXPECT_EQ(reopen(), "whole");
}

TEST_F(MySqlSinkTest, NamesThatChangePlacesAreRefusedWithTheRemedy) {
  const Shape t = shapeOf(
      "swap", {column("id", ValueKind::int64, false), column("a", ValueKind::text), column("b", ValueKind::text)},
      {"id"});
  const Shape swapped = shapeOf(
      "swap", {column("id", ValueKind::int64, false), column("b", ValueKind::text), column("a", ValueKind::text)},
      {"id"});
  prepare(t);
  changeSchema(t, swapped, {{"a", "b"}, {"b", "a"}});
  const Error e = errorOf([&] { flush(); });
  EXPECT_EQ(e.code(), ErrorCode::invalidConfig);
  EXPECT_NE(e.message().find("RENAME COLUMN"), std::string::npos) << e.what();
}

}  // namespace
}  // namespace tidegate::servers
