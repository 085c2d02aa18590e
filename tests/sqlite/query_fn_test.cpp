#include "tidegate/sqlite/query_fn.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>

#include "sqlite/temp_database.h"
#include "tidegate/core/error.h"

namespace tidegate::sqlite {
namespace {

using testing::PlainDb;
using testing::TempDir;

std::vector<std::vector<Value>> rowsOf(const QueryFn& query, Query q) {
  ResultSet result = query(q);
  std::vector<std::vector<Value>> rows;
  std::vector<Value> row;
  while (result.next(row)) rows.push_back(row);
  return rows;
}

Value askOne(const QueryFn& query, const std::string& sql, std::vector<Value> params = {}) {
  return rowsOf(query, {.sql = sql, .params = std::move(params)}).at(0).at(0);
}

ErrorCode refusalOf(const QueryFn& query, Query q) {
  try {
    rowsOf(query, std::move(q));
  } catch (const Error& e) {
    return e.code();
  }
  return ErrorCode::internal;
}

class SqliteQueryFn : public ::testing::Test {
 protected:
  TempDir dir;
  std::string path = dir / "source.db";
  PlainDb db{path};
};

TEST_F(SqliteQueryFn, ReadsRowsInOrderWithTheNamesOfTheResult) {
  db.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); INSERT INTO t VALUES (1,'a'),(2,'b')");
  const QueryFn query = queryFn({.path = path});
  EXPECT_EQ(query.dialect(), Dialect::sqlite);
  ResultSet result = query({.sql = "SELECT id, name AS n FROM t ORDER BY id"});
  EXPECT_EQ(result.columns()->names(), (std::vector<std::string>{"id", "n"}));
  std::vector<Value> row;
  ASSERT_TRUE(result.next(row));
  EXPECT_TRUE(row == (std::vector<Value>{1, "a"}));
  ASSERT_TRUE(result.next(row));
  EXPECT_TRUE(row == (std::vector<Value>{2, "b"}));
  EXPECT_FALSE(result.next(row));
  EXPECT_FALSE(result.next(row));
}

TEST_F(SqliteQueryFn, AResultOutlivesTheQueryTheFunctionAndItsParameters) {
  db.exec("CREATE TABLE t(v TEXT); INSERT INTO t VALUES ('x'),('y'),('z')");
  auto query = std::make_unique<QueryFn>(queryFn({.path = path}));
  auto asked =
      std::make_unique<Query>(Query{.sql = "SELECT v || ? FROM t ORDER BY v", .params = {std::string(100, '!')}});
  ResultSet result = (*query)(*asked);
  asked.reset();
  query.reset();
  std::vector<Value> row;
  for (const char* v : {"x", "y", "z"}) {
    ASSERT_TRUE(result.next(row));
    EXPECT_EQ(row.at(0).as<std::string>(), v + std::string(100, '!'));
  }
}

TEST_F(SqliteQueryFn, KeepsNoMoreThanARowOfALongResult) {
  db.exec("PRAGMA user_version = 1");
  const QueryFn query = queryFn({.path = path});
  ResultSet result = query({.sql = "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"});
  std::vector<Value> row;
  for (std::int64_t i = 1; i <= 1000; ++i) {
    ASSERT_TRUE(result.next(row));  // a driver that buffered would never get here: the result does not end
    ASSERT_EQ(row.at(0).as<std::int64_t>(), i);
  }
}

TEST_F(SqliteQueryFn, TwoResultsOfTheSameSqlAreReadSideBySide) {
  db.exec("CREATE TABLE t(v); INSERT INTO t VALUES (1),(2)");
  const QueryFn query = queryFn({.path = path});
  ResultSet a = query({.sql = "SELECT v + ? FROM t ORDER BY v", .params = {10}});
  ResultSet b = query({.sql = "SELECT v + ? FROM t ORDER BY v", .params = {20}});
  std::vector<Value> rowA, rowB;
  for (int i : {1, 2}) {
    ASSERT_TRUE(a.next(rowA));
    ASSERT_TRUE(b.next(rowB));
    EXPECT_TRUE(rowA.at(0) == Value(10 + i));
    EXPECT_TRUE(rowB.at(0) == Value(20 + i));
  }
}

TEST_F(SqliteQueryFn, AnAbandonedResultReleasesItsLock) {
  db.exec("CREATE TABLE t(v); INSERT INTO t VALUES (1),(2),(3)");
  const QueryFn query = queryFn({.path = path});
  {
    ResultSet result = query({.sql = "SELECT v FROM t"});
    std::vector<Value> row;
    ASSERT_TRUE(result.next(row));
    EXPECT_ANY_THROW(db.exec("DROP TABLE t"));
  }
  EXPECT_NO_THROW(db.exec("DROP TABLE t"));
}

TEST_F(SqliteQueryFn, SeesAColumnAddedSinceTheStatementWasPrepared) {
  db.exec("CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  const QueryFn query = queryFn({.path = path});
  rowsOf(query, {.sql = "SELECT * FROM t"});
  db.exec("ALTER TABLE t ADD COLUMN b DEFAULT 'new'");
  ResultSet result = query({.sql = "SELECT * FROM t"});
  EXPECT_EQ(result.columns()->names(), (std::vector<std::string>{"a", "b"}));
  std::vector<Value> row;
  ASSERT_TRUE(result.next(row));
  EXPECT_TRUE(row == (std::vector<Value>{1, "new"}));
}

TEST_F(SqliteQueryFn, AColumnMayHoldAnotherTypeThanBefore) {
  db.exec("CREATE TABLE t(v); INSERT INTO t VALUES (7)");
  const QueryFn query = queryFn({.path = path});
  EXPECT_TRUE(askOne(query, "SELECT v FROM t") == Value(7));
  db.exec("UPDATE t SET v = 'seven'");
  EXPECT_TRUE(askOne(query, "SELECT v FROM t") == Value("seven"));
  db.exec("DROP TABLE t; CREATE TABLE t(v BOOLEAN); INSERT INTO t VALUES (1)");
  EXPECT_TRUE(askOne(query, "SELECT v FROM t") == Value(true));
}

TEST_F(SqliteQueryFn, ReusedValuesNeverShowTheRowBefore) {
  db.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, v); BEGIN");
  std::mt19937_64 random(7);
  std::vector<Value> expected;
  for (int i = 0; i < 500; ++i) {
    static const std::vector<std::pair<std::string, Value>> kinds = {
        {"NULL", {}},     {"5", 5},
        {"2.5", 2.5},     {"'long enough to leave the small string'", "long enough to leave the small string"},
        {"'s'", "s"},     {"''", ""},
        {"x''", Bytes{}}, {"x'00ff'", Bytes{std::string("\0\xff", 2)}}};
    const auto& [literal, value] = kinds[random() % kinds.size()];
    db.exec("INSERT INTO t VALUES (" + std::to_string(i) + "," + literal + ")");
    expected.push_back(value);
  }
  db.exec("COMMIT");
  ResultSet result = queryFn({.path = path})({.sql = "SELECT v FROM t ORDER BY id"});
  std::vector<Value> row;
  for (const Value& value : expected) {
    ASSERT_TRUE(result.next(row));
    ASSERT_TRUE(row.at(0) == value) << describe(row.at(0)) << " for " << describe(value);
  }
}

TEST_F(SqliteQueryFn, HostileNamesAndValuesAreOnlyData) {
  const std::string name = "a\"b'; DROP TABLE \"t\"; --";
  const std::string quoted = quoteIdentifier(Dialect::sqlite, name);
  db.exec("CREATE TABLE t(" + quoted + ")");
  const QueryFn query = queryFn({.path = path, .readOnly = false});
  const std::string embedded("nul\0after", 9);
  const std::string invalid = "\xff\xfe'";
  for (const Value& v : std::vector<Value>{"'; DROP TABLE t; --", embedded, Bytes{invalid}, "\"", "?1", ":x"}) {
    rowsOf(query, {.sql = "INSERT INTO t VALUES (?)", .params = {v}});
    EXPECT_TRUE(askOne(query, "SELECT " + quoted + " FROM t WHERE " + quoted + " = ?", {v}) == v) << describe(v);
  }
  ResultSet result = query({.sql = "SELECT * FROM t"});
  EXPECT_EQ(result.columns()->names(), std::vector<std::string>{name});
  EXPECT_EQ(db.text("SELECT count(*) FROM t"), "6");
}

TEST_F(SqliteQueryFn, RefusesMoreThanOneStatementNoneAndNul) {
  db.exec("CREATE TABLE t(v)");
  const QueryFn query = queryFn({.path = path, .readOnly = false});
  EXPECT_EQ(refusalOf(query, {.sql = "SELECT 1; DROP TABLE t"}), ErrorCode::invalidArgument);
  EXPECT_EQ(refusalOf(query, {.sql = "  -- nothing"}), ErrorCode::invalidArgument);
  EXPECT_EQ(refusalOf(query, {.sql = std::string("SELECT 1\0; DROP TABLE t", 23)}), ErrorCode::invalidArgument);
  EXPECT_TRUE(askOne(query, "SELECT 1; -- a comment\n ;") == Value(1));
  EXPECT_EQ(db.text("SELECT count(*) FROM sqlite_master"), "1");
}

TEST_F(SqliteQueryFn, CountsParametersBeforeItAsks) {
  const QueryFn query = queryFn({.path = path});
  EXPECT_EQ(refusalOf(query, {.sql = "SELECT ?, ?", .params = {1}}), ErrorCode::invalidArgument);
  EXPECT_EQ(refusalOf(query, {.sql = "SELECT 1", .params = {1}}), ErrorCode::invalidArgument);
  EXPECT_TRUE(askOne(query, "SELECT ?", {1}) == Value(1));
}

TEST_F(SqliteQueryFn, ParametersOfOneQueryNeverReachTheNext) {
  const QueryFn query = queryFn({.path = path});
  EXPECT_TRUE(askOne(query, "SELECT ?", {"first"}) == Value("first"));
  EXPECT_TRUE(askOne(query, "SELECT ?", {nullptr}) == Value());
}

TEST_F(SqliteQueryFn, ChecksItsOptions) {
  const auto codeOf = [](QueryOptions options) {
    try {
      queryFn(std::move(options));
    } catch (const Error& e) {
      return e.code();
    }
    return ErrorCode::internal;
  };
  EXPECT_EQ(codeOf({}), ErrorCode::invalidConfig);
  EXPECT_EQ(codeOf({.path = path, .create = true}), ErrorCode::invalidConfig);
  EXPECT_EQ(codeOf({.path = path, .busyTimeout = std::chrono::milliseconds(-1)}), ErrorCode::invalidConfig);
  EXPECT_EQ(codeOf({.path = path, .statementTimeout = std::chrono::milliseconds(-1)}), ErrorCode::invalidConfig);
}

TEST_F(SqliteQueryFn, MakesAFileOnlyWhereAskedTo) {
  const std::string fresh = dir / "fresh.db";
  rowsOf(queryFn({.path = fresh, .readOnly = false, .create = true}), {.sql = "CREATE TABLE t(v)"});
  EXPECT_EQ(PlainDb(fresh).text("SELECT count(*) FROM sqlite_master"), "1");
}

}  // namespace
}  // namespace tidegate::sqlite
