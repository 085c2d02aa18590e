#include <gtest/gtest.h>

#include <set>

#include "servers/support.h"
#include "servers/type_table.h"
#include "tidegate/postgres/query_fn.h"

namespace tidegate::servers {
namespace {

class PostgresTypes : public testing::Test {
 protected:
  QueryFn query = postgres::queryFn({.url = environment("TIDEGATE_POSTGRES_URL"), .readOnly = false});

  void SetUp() override {
    execute(query, {"DROP SCHEMA IF EXISTS types_test CASCADE", "CREATE SCHEMA types_test",
                    "SET search_path = types_test", "SET lc_monetary = 'C'", "CREATE TYPE mood AS ENUM ('sad', 'glad')",
                    "CREATE DOMAIN positive AS integer CHECK (VALUE > 0)", "CREATE DOMAIN numbers AS integer[]",
                    "CREATE TYPE pair AS (a integer, b text)"});
  }
};

TEST_F(PostgresTypes, ReadAsTheDocumentationSays) {
  for (const TypeRow& row : typeTable("PostgreSQL")) {
    SCOPED_TRACE(row.declared + " " + row.sql);
    execute(query, {"DROP TABLE IF EXISTS cell", "CREATE TABLE cell (v " + row.declared + ")",
                    "INSERT INTO cell VALUES (" + row.sql + ")"});
    for (const bool wholeResult : {false, true}) {
      const Rows rows = readAll(query, Query{.sql = "SELECT v FROM cell", .wholeResult = wholeResult});
      ASSERT_EQ(rows.size(), 1u);
      EXPECT_EQ(toString(rows[0][0].kind()), row.kind) << "wholeResult " << wholeResult;
      EXPECT_EQ(describe(rows[0][0]), row.readsAs) << "wholeResult " << wholeResult;
    }
  }
}

TEST_F(PostgresTypes, FindTheRowTheyWereReadFromWhenBound) {
  const std::set<std::string> unequal{"json", "xml", "point", "polygon",
                                      "pair"};  // the server cannot compare these with a parameter
  for (const TypeRow& row : typeTable("PostgreSQL")) {
    SCOPED_TRACE(row.declared + " " + row.sql);
    execute(query, {"DROP TABLE IF EXISTS cell", "CREATE TABLE cell (v " + row.declared + ")",
                    "INSERT INTO cell VALUES (" + row.sql + ")"});
    const Value read = readAll(query, "SELECT v FROM cell")[0][0];
    if (read.isNull()) continue;
    for (const bool wholeResult : {false, true}) {
      const std::string sql = unequal.count(row.declared) != 0 ? "SELECT v FROM cell WHERE v::text = $1"
                                                               : "SELECT v FROM cell WHERE v = $1";
      EXPECT_EQ(readAll(query, Query{.sql = sql, .params = {read}, .wholeResult = wholeResult}).size(), 1u);
    }
  }
}

TEST_F(PostgresTypes, TextOfAnAsciiDatabaseThatIsNotUtf8IsBytes) {
  execute(query, {"DROP DATABASE IF EXISTS ascii",
                  "CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'"});
  {
    const QueryFn ascii =
        postgres::queryFn({.url = environment("TIDEGATE_POSTGRES_URL"), .database = "ascii", .readOnly = false});
    execute(ascii, {"CREATE TABLE t (v text)", "INSERT INTO t VALUES (E'caf\\xe9'), ('plain')"});
    const Rows rows = readAll(ascii, "SELECT v FROM t");
    EXPECT_TRUE(rows[0][0] == Value(Bytes{"caf\xe9"}));
    EXPECT_TRUE(rows[1][0] == Value("plain"));
  }
  EXPECT_TRUE(eventually([&] {  // the server lets go of the closed connection in its own time
    return readAll(query, "SELECT 1 FROM pg_stat_activity WHERE datname = 'ascii'").empty();
  }));
  execute(query, {"DROP DATABASE ascii"});
}

}  // namespace
}  // namespace tidegate::servers
