#include <gtest/gtest.h>

#include "link.h"
#include "postgres/detail/baseline.h"
#include "postgres/detail/catalogue.h"
#include "servers/type_table.h"
#include "tidegate/postgres/query_fn.h"
#include "types_values.h"

namespace tidegate::postgres::detail {
namespace {

class BaselineTypes : public testing::Test {
 protected:
  TestLink db;
  SourceOptions options{.connect = testOptions()};
  QueryFn query;

  void SetUp() override {
    db.execute({"DROP SCHEMA IF EXISTS types_baseline CASCADE", "CREATE SCHEMA types_baseline",
                "SET search_path = types_baseline, public", "SET lc_monetary = 'C'"});
    db.execute(typesSetup());
    options.connect.settings = {{"search_path", "types_baseline"}, {"lc_monetary", "C"}};
    query = queryFn(options.connect);
  }

  std::vector<std::vector<Value>> byCopy(const std::string& table) {
    auto stream = readTable(options, table, {});
    std::vector<std::vector<Value>> rows;
    for (std::vector<Value> row; stream->next(row);) rows.push_back(row);
    return rows;
  }
};

TEST_F(BaselineTypes, ReadAsTheDocumentationSays) {
  for (const servers::TypeRow& row : servers::typeTable("PostgreSQL")) {
    SCOPED_TRACE(row.declared + " " + row.sql);
    db.execute({"DROP TABLE IF EXISTS cell", "CREATE TABLE cell (v " + row.declared + ")",
                "INSERT INTO cell VALUES (" + row.sql + ")"});
    const auto rows = byCopy("cell");
    ASSERT_EQ(rows.size(), 1u);
    EXPECT_EQ(toString(rows[0][0].kind()), row.kind);
    EXPECT_EQ(describe(rows[0][0]), row.readsAs);
    const ColumnSchema column = shapeOf(requireTable(db.raw(), "cell"))->schema.columns[0];
    // The one exception is said on the page: moments that 64 bits do not reach are text.
    if (rows[0][0].isNull() || rows[0][0].kind() == ValueKind::text) continue;
    EXPECT_EQ(toString(column.kind), row.kind);
  }
}

/// The text forms are those that the stream brings too: the output functions' under the same settings.
TEST_F(BaselineTypes, AreTheSameValuesByBinaryCopyAndByText) {
  const auto types = typesUnderTest();
  test::forEachSeed(3, [&](std::uint64_t seed) {
    test::Random random(seed);
    for (const TypeUnderTest& type : types) {
      SCOPED_TRACE(type.type);
      db.execute({"DROP TABLE IF EXISTS t", "CREATE TABLE t (id integer, v " + type.type + ")"});
      std::string insert = "INSERT INTO t VALUES (0, NULL)";
      for (int i = 1; i <= 60; ++i) insert += fmt::format(", ({}, ({})::{})", i, type.literal(random), type.type);
      db.execute({insert});
      const auto binary = byCopy("t");
      const auto text = servers::readAll(query, "SELECT id, v FROM t ORDER BY ctid");
      ASSERT_EQ(binary.size(), text.size());
      for (std::size_t i = 0; i < text.size(); ++i) {
        EXPECT_TRUE(binary[i] == text[i]) << describe(binary[i][1], 200) << " by COPY, " << describe(text[i][1], 200)
                                          << " as text, of row " << describe(text[i][0]);
      }
    }
  });
}

TEST_F(BaselineTypes, OfAnAsciiDatabaseAreBytesWhereTheyAreNotUtf8) {
  db.execute({"DROP DATABASE IF EXISTS baseline_ascii",
              "CREATE DATABASE baseline_ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'"});
  options.connect.database = "baseline_ascii";
  {
    TestLink ascii(options.connect);
    ascii.execute({"CREATE TABLE public.t (v text, w varchar, m char(3))",
                   "INSERT INTO public.t VALUES (E'caf\\xe9', E'\\xff', E'\\xe9'), ('plain', 'x', 'y')"});
    const auto rows = byCopy("public.t");
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_TRUE(rows[0] == (std::vector<Value>{Bytes{"caf\xe9"}, Bytes{"\xff"}, Bytes{"\xe9  "}}));
    EXPECT_TRUE(rows[1] == (std::vector<Value>{"plain", "x", "y  "}));
  }
  EXPECT_TRUE(servers::eventually(
      [&] { return db.ask("SELECT count(*) FROM pg_stat_activity WHERE datname = 'baseline_ascii'") == "0"; }));
  db.execute({"DROP DATABASE baseline_ascii"});
}

}  // namespace
}  // namespace tidegate::postgres::detail
