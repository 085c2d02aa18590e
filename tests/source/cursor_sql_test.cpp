#include <gtest/gtest.h>

#include "source/detail/cursor_sql.h"

namespace tidegate::test {
namespace {

using detail::CursorSql;

CursorSql sqlFor(Dialect dialect, std::vector<std::string> ids, std::string query = "SELECT * FROM t",
                 std::string cursor = "c") {
  const CursorStrategy strategy{.cursorColumn = std::move(cursor)};
  return CursorSql(dialect,
                   {.table = "t", .query = std::move(query), .rowIdColumns = std::move(ids), .strategy = strategy},
                   strategy);
}

TEST(CursorSql, PlaceholdersAreTheDialects) {
  const Value from = 5;
  EXPECT_EQ(sqlFor(Dialect::postgres, {"id"}).first(&from, 10).sql,
            "SELECT * FROM (SELECT * FROM t\n) AS tidegate_src WHERE \"c\" >= $1 ORDER BY \"c\", \"id\" LIMIT 10");
  EXPECT_EQ(sqlFor(Dialect::mysql, {"id"}).first(&from, 10).sql,
            "SELECT * FROM (SELECT * FROM t\n) AS tidegate_src WHERE `c` >= ? ORDER BY `c`, `id` LIMIT 10");
  EXPECT_EQ(
      sqlFor(Dialect::sqlite, {"id"}).first(nullptr, 10).sql,
      "SELECT * FROM (SELECT * FROM t\n) AS tidegate_src WHERE \"c\" IS NOT NULL ORDER BY \"c\", \"id\" LIMIT 10");
}

TEST(CursorSql, TheNextPageBeginsAfterTheLastCursorAndRowId) {
  const Query q = sqlFor(Dialect::postgres, {"id"}).next({.cursor = 5, .ids = {7}}, 10);
  EXPECT_NE(q.sql.find("WHERE \"c\" >= $1 AND (\"c\" > $2 OR (\"c\" = $3 AND \"id\" > $4)) ORDER"), std::string::npos);
  const std::vector<Value> expected{5, 5, 5, 7};
  EXPECT_EQ(q.params, expected);
}

TEST(CursorSql, CompositeRowIdsAreComparedLexicographically) {
  const Query q = sqlFor(Dialect::postgres, {"a", "b"}).next({.cursor = 5, .ids = {"x", 7}}, 10);
  EXPECT_NE(q.sql.find("(\"c\" = $3 AND (\"a\" > $4 OR (\"a\" = $5 AND \"b\" > $6)))) ORDER BY \"c\", \"a\", \"b\""),
            std::string::npos)
      << q.sql;
  const std::vector<Value> expected{5, 5, 5, "x", "x", 7};
  EXPECT_EQ(q.params, expected);
}

TEST(CursorSql, ATrailingSemicolonOrCommentDoesNotBreakTheWrappedQuery) {
  EXPECT_EQ(sqlFor(Dialect::sqlite, {"id"}, "SELECT * FROM t ;  ").first(nullptr, 10).sql.find(';'), std::string::npos);
  const std::string commented = sqlFor(Dialect::sqlite, {"id"}, "SELECT * FROM t -- all of it").first(nullptr, 10).sql;
  EXPECT_NE(commented.find("\n) AS tidegate_src"), std::string::npos);
}

TEST(CursorSql, HostileNamesAreQuotedAndHostileValuesBound) {
  const Value value = "'; DROP TABLE t; --";
  const Query q = sqlFor(Dialect::mysql, {"i`d"}, "SELECT 1", "c\"`x").first(&value, 10);
  EXPECT_NE(q.sql.find("`c\"``x` >= ? ORDER BY `c\"``x`, `i``d`"), std::string::npos) << q.sql;
  EXPECT_EQ(q.sql.find("DROP"), std::string::npos);
}

TEST(CursorSql, ACursorThatIsTheRowIdIsComparedOnce) {
  const Query q = sqlFor(Dialect::sqlite, {"id"}, "SELECT * FROM t", "id").next({.cursor = 5, .ids = {}}, 10);
  EXPECT_NE(q.sql.find("WHERE \"id\" > ? ORDER BY \"id\" LIMIT"), std::string::npos) << q.sql;
}

}  // namespace
}  // namespace tidegate::test
