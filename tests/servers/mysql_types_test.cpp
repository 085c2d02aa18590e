#include <gtest/gtest.h>

#include "servers/support.h"
#include "servers/type_table.h"
#include "tidegate/mysql/query_fn.h"

namespace tidegate::servers {
namespace {

class MysqlTypes : public testing::Test {
 protected:
  // Without strict mode, so that zero dates can be stored.
  QueryFn query = mysql::queryFn(
      {.url = environment("TIDEGATE_MYSQL_URL"),
       .readOnly = false,
       .sessionSql = {"SET SESSION sql_mode = 'ALLOW_INVALID_DATES'",
                      "CREATE DATABASE IF NOT EXISTS types_test CHARACTER SET utf8mb4", "USE types_test"}});
  std::vector<TypeRow> documented = mysqlTypeTable();

  /// Table `cells`: the documented cells as c0, c1, … of one row, and a FLOAT.
  void makeCells() {
    std::string definitions = "f FLOAT DEFAULT 0.1", values = "0.1";
    for (std::size_t i = 0; i < documented.size(); ++i) {
      definitions += ", c" + std::to_string(i) + " " + documented[i].declared;
      values += ", " + documented[i].sql;
    }
    execute(query, {"DROP TABLE IF EXISTS cells", "CREATE TABLE cells (" + definitions + ")",
                    "INSERT INTO cells VALUES (" + values + ")"});
  }
};

/// What stands beside the cell in a query: a page with a FLOAT is read by a prepared statement, and a stream with one
/// by another query text.
const std::vector<std::string> kBeside{"", ", f"};

TEST_F(MysqlTypes, ReadAsTheDocumentationSays) {
  makeCells();
  for (std::size_t i = 0; i < documented.size(); ++i) {
    const TypeRow& row = documented[i];
    for (const std::string& beside : kBeside) {
      SCOPED_TRACE(row.declared + " " + row.sql + beside);
      for (const bool wholeResult : {true, false}) {
        const Rows rows = readAll(
            query, Query{.sql = "SELECT c" + std::to_string(i) + beside + " FROM cells", .wholeResult = wholeResult});
        ASSERT_EQ(rows.size(), 1u);
        EXPECT_EQ(toString(rows[0][0].kind()), row.kind) << "wholeResult " << wholeResult;
        EXPECT_EQ(describe(rows[0][0]), row.readsAs) << "wholeResult " << wholeResult;
      }
    }
  }
}

TEST_F(MysqlTypes, FindTheRowTheyWereReadFromWhenBound) {
  makeCells();
  for (std::size_t i = 0; i < documented.size(); ++i) {
    const std::string column = "c" + std::to_string(i);
    const Value read = readAll(query, "SELECT " + column + " FROM cells")[0][0];
    // MySQL compares documents with documents, and of shapes and vectors none with another.
    const std::string& type = documented[i].declared;
    const bool apart = type == "JSON" || type == "POINT" || type.starts_with("VECTOR");
    if (read.isNull() || (apart && !isMariaDb())) continue;
    for (const std::string& beside : kBeside) {
      SCOPED_TRACE(documented[i].declared + " " + documented[i].sql + beside);
      for (const bool wholeResult : {true, false}) {
        const std::string sql =
            "SELECT " + column + beside + " FROM cells WHERE " + column + " = ? AND " + column + " >= ?";
        EXPECT_EQ(readAll(query, Query{.sql = sql, .params = {read, read}, .wholeResult = wholeResult}).size(), 1u)
            << "wholeResult " << wholeResult;
      }
    }
  }
}

TEST_F(MysqlTypes, AColumnThatBecomesFloatIsReadInFullAtOnce) {
  const std::string sql = "SELECT id, v FROM t ORDER BY id LIMIT 10";
  for (const bool wholeResult : {false, true}) {
    execute(query, {"DROP TABLE IF EXISTS t", "CREATE TABLE t (id INT, v INT)", "INSERT INTO t VALUES (1, 16777215)"});
    EXPECT_TRUE(readAll(query, Query{.sql = sql, .wholeResult = wholeResult})[0][1] == Value(16777215));
    execute(query, {"ALTER TABLE t MODIFY v FLOAT"});
    EXPECT_TRUE(readAll(query, Query{.sql = sql, .wholeResult = wholeResult})[0][1] == Value(16777215.0));
  }
}

}  // namespace
}  // namespace tidegate::servers
