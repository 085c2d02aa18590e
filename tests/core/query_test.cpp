#include "tidegate/core/query.h"

#include <gtest/gtest.h>

#include "tidegate/core/error.h"

namespace tidegate {
namespace {

constexpr Dialect kAll[] = {Dialect::sqlite, Dialect::postgres, Dialect::mysql};

std::string refusal(Dialect dialect, const std::string& sql) {
  try {
    return "accepted: " + wrappableQuery(dialect, sql);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalidConfig);
    return e.message();
  }
}

TEST(ResultSet, GivesRowsInOrderOnce) {
  ResultSet result = ResultSet::fromRows(makeColumns({"a", "b"}), {{1, "x"}, {2, Null{}}});
  std::vector<Value> row;
  ASSERT_TRUE(result.next(row));
  EXPECT_TRUE(row == (std::vector<Value>{1, "x"}));
  ASSERT_TRUE(result.next(row));
  EXPECT_TRUE(row[1].isNull());
  EXPECT_FALSE(result.next(row));
  EXPECT_FALSE(result.next(row));
  EXPECT_EQ(result.columns()->size(), 2u);
}

TEST(ResultSet, RefusesRowsOfAnotherLength) {
  EXPECT_THROW(ResultSet::fromRows(makeColumns({"a"}), {{1}, {1, 2}}), Error);
  EXPECT_THROW(ResultSet::fromRows(nullptr, {}), Error);
}

TEST(QuoteIdentifier, DoublesItsOwnQuotes) {
  EXPECT_EQ(quoteIdentifier(Dialect::postgres, "a\"b"), "\"a\"\"b\"");
  EXPECT_EQ(quoteIdentifier(Dialect::sqlite, "a.b"), "\"a.b\"");
  EXPECT_EQ(quoteIdentifier(Dialect::mysql, "a`b\""), "`a``b\"`");
  EXPECT_EQ(quoteIdentifier(Dialect::postgres, "'; DROP TABLE users; --"), "\"'; DROP TABLE users; --\"");
}

TEST(QuoteIdentifier, RefusesNamesThatNoDatabaseTakes) {
  for (const Dialect dialect : kAll) {
    for (const std::string& name :
         {std::string(), std::string(256, 'x'), std::string("a\0b", 3), std::string("\xff")}) {
      EXPECT_THROW(quoteIdentifier(dialect, name), Error) << name;
    }
    EXPECT_NO_THROW(quoteIdentifier(dialect, std::string(255, 'x')));
  }
}

TEST(Placeholder, IsTheDialects) {
  EXPECT_EQ(placeholder(Dialect::postgres, 3), "$3");
  EXPECT_EQ(placeholder(Dialect::mysql, 3), "?");
  EXPECT_EQ(placeholder(Dialect::sqlite, 3), "?");
}

TEST(WrappableQuery, StripsSpaceCommentsAndSemicolonsFromTheEnds) {
  for (const Dialect dialect : kAll) {
    for (const char* sql :
         {"SELECT 1", " SELECT 1 ", "SELECT 1;", "SELECT 1 ; ;\n", "SELECT 1 -- end", "SELECT 1 -- end; really",
          "SELECT 1; -- end\n", "SELECT 1 /* a; b */ ;", "/* head */ SELECT 1", ";SELECT 1", "-- head\nSELECT 1"}) {
      EXPECT_EQ(wrappableQuery(dialect, sql), "SELECT 1") << sql;
    }
  }
}

TEST(WrappableQuery, LeavesTheInsideAsItIs) {
  for (const Dialect dialect : kAll) {
    for (const char* sql : {"SELECT ';' AS a", "SELECT '--' AS a", "SELECT 'it''s; /*' AS a",
                            "SELECT \"a;\"\"b\" FROM t", "SELECT 1 -- inside;\n FROM t", "SELECT /* ; */ 1",
                            "SELECT '' AS a", "SELECT (1 + (2))", "SELECT '(' AS a"}) {
      EXPECT_EQ(wrappableQuery(dialect, std::string(sql) + " ; "), sql);
    }
  }
}

TEST(WrappableQuery, RefusesASecondStatement) {
  for (const Dialect dialect : kAll) {
    EXPECT_NE(refusal(dialect, "SELECT 1; DROP TABLE t").find("second statement"), std::string::npos);
    EXPECT_NE(refusal(dialect, "SELECT ';'; SELECT 2").find("second statement"), std::string::npos);
    EXPECT_NE(refusal(dialect, "SELECT 1; /* x */ -- y\n SELECT 2").find("second statement"), std::string::npos);
  }
}

TEST(WrappableQuery, RefusesWhatIsEmptyOrDoesNotEnd) {
  for (const Dialect dialect : kAll) {
    for (const char* sql : {"", "  ", ";", "-- only", "/* only */", ";;-- x"}) {
      EXPECT_NE(refusal(dialect, sql).find("is empty"), std::string::npos) << sql;
    }
    for (const char* sql : {"SELECT 'a", "SELECT \"a", "SELECT 1 /* a", "SELECT 'a''"}) {
      EXPECT_NE(refusal(dialect, sql).find("does not end"), std::string::npos) << sql;
    }
    EXPECT_NE(refusal(dialect, "SELECT 1) --").find("parenthesis"), std::string::npos);
    EXPECT_NE(refusal(dialect, "SELECT (1").find("parenthesis"), std::string::npos);
    EXPECT_NE(refusal(dialect, std::string("SELECT 1\0;", 10)).find("NUL"), std::string::npos);
    EXPECT_NE(refusal(dialect, std::string("SELECT '\0'", 10)).find("NUL"), std::string::npos);
  }
}

TEST(WrappableQuery, KnowsPostgres) {
  const Dialect pg = Dialect::postgres;
  EXPECT_EQ(wrappableQuery(pg, "SELECT $$a;b$$;"), "SELECT $$a;b$$");
  EXPECT_EQ(wrappableQuery(pg, "SELECT $t$a;$$;'$t$ ;"), "SELECT $t$a;$$;'$t$");
  EXPECT_EQ(wrappableQuery(pg, "SELECT a$b$ FROM t; -- $b$"), "SELECT a$b$ FROM t");
  EXPECT_EQ(wrappableQuery(pg, "SELECT $1;"), "SELECT $1");
  EXPECT_EQ(wrappableQuery(pg, "SELECT E'a\\';b';"), "SELECT E'a\\';b'");
  EXPECT_EQ(wrappableQuery(pg, "SELECT 'a\\';"), "SELECT 'a\\'");
  EXPECT_EQ(wrappableQuery(pg, "SELECT typE'a\\';"), "SELECT typE'a\\'") << "E that ends a word is no prefix";
  EXPECT_EQ(wrappableQuery(pg, "SELECT 1 /* a /* b */ ; c */;"), "SELECT 1");
  EXPECT_NE(refusal(pg, "SELECT $$a").find("does not end"), std::string::npos);
  EXPECT_NE(refusal(pg, "SELECT 1 /* a /* b */").find("does not end"), std::string::npos);
  EXPECT_NE(refusal(pg, "SELECT 1 # 2; SELECT 3").find("second"), std::string::npos) << "# is an operator there";
}

TEST(WrappableQuery, KnowsMysql) {
  const Dialect mysql = Dialect::mysql;
  EXPECT_EQ(wrappableQuery(mysql, "SELECT 1 # end; x"), "SELECT 1");
  EXPECT_EQ(wrappableQuery(mysql, "SELECT 'a\\';b';"), "SELECT 'a\\';b'");
  EXPECT_EQ(wrappableQuery(mysql, "SELECT \"a\\\";b\";"), "SELECT \"a\\\";b\"");
  EXPECT_EQ(wrappableQuery(mysql, "SELECT `a;``b\\`;"), "SELECT `a;``b\\`");
  EXPECT_EQ(wrappableQuery(mysql, "SELECT 5--1;"), "SELECT 5--1") << "two minus signs";
  EXPECT_EQ(wrappableQuery(mysql, "SELECT 1 /*!50000 + 1 */;"), "SELECT 1 /*!50000 + 1 */")
      << "executed, so no comment";
  EXPECT_NE(refusal(mysql, "SELECT 1 /*! ; DROP TABLE t */").find("second"), std::string::npos);
  EXPECT_NE(refusal(mysql, "SELECT 1 /* a /* b */ ; SELECT c */").find("second"), std::string::npos)
      << "comments do not nest";
}

TEST(WrappableQuery, KnowsSqlite) {
  EXPECT_EQ(wrappableQuery(Dialect::sqlite, "SELECT [a;b'] FROM t;"), "SELECT [a;b'] FROM t");
  EXPECT_EQ(wrappableQuery(Dialect::sqlite, "SELECT `a;` FROM t;"), "SELECT `a;` FROM t");
  EXPECT_EQ(wrappableQuery(Dialect::sqlite, "SELECT 'a\\';"), "SELECT 'a\\'");
  EXPECT_NE(refusal(Dialect::sqlite, "SELECT [a").find("does not end"), std::string::npos);
}

}  // namespace
}  // namespace tidegate
