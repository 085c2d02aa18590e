#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <map>
#include <random>
#include <sstream>

#include "sqlite/detail/values.h"
#include "sqlite/temp_database.h"
#include "tidegate/core/error.h"
#include "tidegate/core/json.h"
#include "tidegate/sqlite/query_fn.h"

namespace tidegate::sqlite {
namespace {

using testing::PlainDb;
using testing::TempDir;

std::vector<Value> firstRow(const QueryFn& query, const std::string& sql, std::vector<Value> params = {}) {
  ResultSet result = query({.sql = sql, .params = std::move(params)});
  std::vector<Value> row;
  if (!result.next(row)) throw std::runtime_error("no row: " + sql);
  return row;
}

/// The cells of the nth table under a heading of docs/types.md, code quotes removed.
std::vector<std::vector<std::string>> tableOf(const std::string& heading, std::size_t nth) {
  std::ifstream file(std::string(TIDEGATE_TEST_DATA) + "/../../docs/types.md");
  std::vector<std::vector<std::vector<std::string>>> tables;
  bool inSection = false, inTable = false;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("## ", 0) == 0) inSection = line == "## " + heading;
    const bool row = inSection && line.rfind("|", 0) == 0;
    if (row && !inTable) tables.emplace_back();
    inTable = row;
    if (!row) continue;
    std::vector<std::string> cells;
    std::istringstream text(line.substr(1));
    for (std::string cell; std::getline(text, cell, '|');) {
      cell = cell.substr(1, cell.size() - 2);
      if (cell.size() >= 2 && cell.front() == '`' && cell.back() == '`') cell = cell.substr(1, cell.size() - 2);
      cells.push_back(cell);
    }
    tables.back().push_back(cells);
  }
  auto table = tables.at(nth);
  table.erase(table.begin(), table.begin() + 2);  // the heading and the rule below it
  return table;
}

TEST(SqliteTypes, TheTableOfReadTypesHoldsOnARealDatabase) {
  TempDir dir;
  PlainDb db(dir / "t.db");
  const QueryFn query = queryFn({.path = dir / "t.db"});
  const auto table = tableOf("SQLite", 0);
  ASSERT_GE(table.size(), 20u);
  for (const auto& row : table) {
    SCOPED_TRACE(row.at(0) + " " + row.at(1));
    db.exec("DROP TABLE IF EXISTS t; CREATE TABLE t(c " + row[0] + "); INSERT INTO t VALUES (" + row[1] + ")");
    // Through a wrapped query, as the pollers ask.
    const Value v = firstRow(query, "SELECT * FROM (SELECT * FROM t) AS tidegate_src").at(0);
    EXPECT_EQ(toString(v.kind()), row.at(2));
    EXPECT_EQ(toJson(v), row.at(3));
  }
}

std::map<std::string, Value> oneOfEachKind() {
  return {{"null", {}},
          {"bool", true},
          {"int64", 1},
          {"uint64", std::numeric_limits<std::uint64_t>::max()},
          {"double", 1.5},
          {"decimal", Decimal{"1.50"}},
          {"text", "t"},
          {"bytes", Bytes{"b"}},
          {"date", Date{19844}},
          {"time", Time{1}},
          {"timestamp", Timestamp::utc(1)},
          {"uuid", Uuid{}},
          {"json", Json{"[1]"}}};
}

TEST(SqliteTypes, TheTableOfBoundTypesHoldsOnARealDatabase) {
  const QueryFn query = queryFn({.path = ":memory:"});
  auto values = oneOfEachKind();
  for (const auto& row : tableOf("SQLite", 1)) {
    SCOPED_TRACE(row.at(0));
    const Value v = values.at(row[0]);
    EXPECT_EQ(toString(v.kind()), row[0]);
    EXPECT_EQ(firstRow(query, "SELECT typeof(?)", {v}).at(0).as<std::string>(), row.at(2));
    values.erase(row[0]);
  }
  EXPECT_TRUE(values.empty()) << "docs/types.md does not list " << values.begin()->first;
}

std::string randomText(std::mt19937_64& random, bool utf8) {
  static const std::vector<std::string> pieces = {"a",  "'", "\"", std::string(1, '\0'), "é", "日本", "😀",
                                                  "--", ";", "\\"};
  std::string text;
  for (std::size_t n = random() % 30; n > 0; --n) {
    if (utf8)
      text += pieces[random() % pieces.size()];
    else
      text.push_back(static_cast<char>(random()));
  }
  return text;
}

Value randomValue(std::mt19937_64& random) {
  const auto big = static_cast<std::int64_t>(random());
  switch (random() % 13) {
    case 0:
      return {};
    case 1:
      return random() % 2 == 0;
    case 2:
      return big >> (random() % 64);
    case 3:
      return static_cast<std::uint64_t>(INT64_MAX) + 1 + random() % 1000;
    case 4:
      return static_cast<double>(big) / 7.0;
    case 5:
      return Decimal{std::to_string(big) + "." + std::to_string(random() % 1000)};
    case 6:
      return randomText(random, true);
    case 7:
      return Bytes{randomText(random, false)};
    case 8:
      return Date{static_cast<std::int32_t>(random() % 60'000) - 20'000};
    case 9:
      return Time{big % 3'000'000'000'000};
    case 10:
      return Timestamp{big % 4'000'000'000'000'000, random() % 2 == 0};
    case 11: {
      Uuid u;
      for (auto& o : u.octets) o = static_cast<std::uint8_t>(random());
      return u;
    }
    default:
      return Json{"{\"k\":[" + std::to_string(big) + ",\"v\"]}"};
  }
}

/// What a cell without a declared type gives back for a bound value, said again without the driver.
Value plainForm(const Value& v) {
  switch (v.kind()) {
    case ValueKind::boolean:
      return std::int64_t{v.as<bool>() ? 1 : 0};
    case ValueKind::uint64:
      return std::to_string(v.as<std::uint64_t>());
    case ValueKind::decimal:
      return v.as<Decimal>().text;
    case ValueKind::date:
      return toIso(v.as<Date>());
    case ValueKind::time:
      return toIso(v.as<Time>());
    case ValueKind::timestamp:
      return toIso(v.as<Timestamp>());
    case ValueKind::uuid:
      return toIso(v.as<Uuid>());
    case ValueKind::json:
      return v.as<Json>().text;
    default:
      return v;
  }
}

TEST(SqliteTypes, EveryKindBoundIsReadBackAsItsPlainForm) {
  const QueryFn query = queryFn({.path = ":memory:"});
  for (std::uint64_t seed = 1; seed <= 2'000; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const std::vector<Value> bound = {randomValue(random), randomValue(random), randomValue(random)};
    const std::vector<Value> read = firstRow(query, "SELECT ? AS a, ? AS b, ? AS c", bound);
    for (std::size_t i = 0; i < bound.size(); ++i) {
      ASSERT_TRUE(read.at(i) == plainForm(bound[i])) << describe(bound[i]) << " came back as " << describe(read[i]);
    }
  }
}

TEST(SqliteTypes, WhatIsReadBindsBackToTheSameCell) {
  TempDir dir;
  PlainDb db(dir / "t.db");
  const QueryFn query = queryFn({.path = dir / "t.db"});
  for (const auto& row : tableOf("SQLite", 0)) {
    SCOPED_TRACE(row.at(0) + " " + row.at(1));
    db.exec("DROP TABLE IF EXISTS t; CREATE TABLE t(c " + row[0] + "); INSERT INTO t VALUES (" + row[1] + ")");
    const Value v = firstRow(query, "SELECT c FROM t").at(0);
    if (v.kind() == ValueKind::bytes && row[0] == "TEXT")
      continue;  // a cursor on text that is not UTF-8: declared above
    EXPECT_TRUE(firstRow(query, "SELECT count(*) FROM t WHERE c IS ?", {v}).at(0) == Value(1));
  }
}

TEST(SqliteTypes, NaNIsRefusedRatherThanTurnedIntoNull) {
  const QueryFn query = queryFn({.path = ":memory:"});
  try {
    firstRow(query, "SELECT ?", {std::numeric_limits<double>::quiet_NaN()});
    FAIL() << "NaN was bound";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalidArgument);
  }
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_TRUE(firstRow(query, "SELECT ?", {-infinity}).at(0) == Value(-infinity));
}

TEST(SqliteTypes, OnlyWholeDocumentsOfBoundedDepthAreJson) {
  using detail::fitsJson;
  EXPECT_TRUE(fitsJson("1"));
  EXPECT_TRUE(fitsJson(" {\"a\": [true, 12345678901234567890123]} "));
  EXPECT_TRUE(fitsJson(std::string(kMaxJsonDepth, '[') + std::string(kMaxJsonDepth, ']')));
  EXPECT_FALSE(fitsJson(std::string(kMaxJsonDepth + 1, '[') + std::string(kMaxJsonDepth + 1, ']')));
  EXPECT_FALSE(fitsJson(std::string(1'000'000, '[')));
  EXPECT_FALSE(fitsJson(""));
  EXPECT_FALSE(fitsJson("{} {}"));
  EXPECT_FALSE(fitsJson("\xEF\xBB\xBF{}"));
  EXPECT_FALSE(fitsJson(std::string("{}\0x", 4)));
  EXPECT_FALSE(fitsJson("\"\xff\""));
}

TEST(SqliteTypes, DeclaredTypesAreReadWhateverTheirCase) {
  using detail::Lift;
  using detail::liftOf;
  EXPECT_EQ(liftOf("Boolean"), Lift::boolean);
  EXPECT_EQ(liftOf("bool"), Lift::boolean);
  EXPECT_EQ(liftOf("json"), Lift::json);
  EXPECT_EQ(liftOf("BOOLEAN (1)"), Lift::boolean);
  EXPECT_EQ(liftOf("BOOLEANS"), Lift::none);
  EXPECT_EQ(liftOf("JSONB"), Lift::none);
  EXPECT_EQ(liftOf(nullptr), Lift::none);
}

}  // namespace
}  // namespace tidegate::sqlite
