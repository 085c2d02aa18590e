#include "tidegate/electric/where.h"

#include <gtest/gtest.h>

#include "tidegate/core/error.h"

namespace tidegate::electric {
namespace {

TableSchema items() {
  return {.table = "items",
          .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                      {.name = "title", .kind = ValueKind::text},
                      {.name = "price", .kind = ValueKind::decimal},
                      {.name = "ratio", .kind = ValueKind::real},
                      {.name = "done", .kind = ValueKind::boolean},
                      {.name = "day", .kind = ValueKind::date},
                      {.name = "at", .kind = ValueKind::timestamp, .sourceType = "timestamp with time zone"},
                      {.name = "wall", .kind = ValueKind::timestamp, .sourceType = "timestamp without time zone"},
                      {.name = "Owner", .kind = ValueKind::uuid},
                      {.name = "raw", .kind = ValueKind::bytes},
                      {.name = "meta", .kind = ValueKind::json},
                      {.name = "big", .kind = ValueKind::uint64},
                      {.name = "any", .kind = ValueKind::null},
                      {.name = "clock", .kind = ValueKind::time}},
          .primaryKey = {"id"}};
}

/// A row of `items` whose columns are null but for those given.
std::vector<Value> rowWith(std::vector<std::pair<std::string, Value>> cells) {
  std::vector<Value> row(items().columns.size());
  for (auto& [name, value] : cells) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (items().columns[i].name == name) row[i] = value;
    }
  }
  return row;
}

Truth judged(std::string_view text, std::vector<std::pair<std::string, Value>> cells, const WhereParams& params = {}) {
  return Where::parse(text, items(), params).evaluate(rowWith(std::move(cells)));
}

bool holds(std::string_view text, std::vector<std::pair<std::string, Value>> cells, const WhereParams& params = {}) {
  return judged(text, std::move(cells), params) == Truth::yes;
}

std::string refused(std::string_view text, const WhereParams& params = {}, const WhereLimits& limits = {}) {
  try {
    const Where where = Where::parse(text, items(), params, limits);
    ADD_FAILURE() << text << " was taken as " << where.text();
    return {};
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalidArgument) << e.what();
    EXPECT_EQ(e.retry(), Retry::never);
    return e.message();
  }
}

TEST(Where, NothingAskedTakesEveryRow) {
  const Where all;
  EXPECT_TRUE(all.empty());
  EXPECT_TRUE(all.matches(rowWith({})));
  EXPECT_EQ(all.text(), "");
}

TEST(Where, ComparesNumbersAcrossTheirKinds) {
  EXPECT_TRUE(holds("id = 7", {{"id", 7}}));
  EXPECT_TRUE(holds("id <> 7", {{"id", 8}}));
  EXPECT_TRUE(holds("id != 7", {{"id", 8}}));
  EXPECT_TRUE(holds("id > -1 AND id <= 10 AND id >= 10", {{"id", 10}}));
  EXPECT_TRUE(holds("id = 1.0", {{"id", 1}}));
  EXPECT_TRUE(holds("id < 1e3", {{"id", 999}}));
  EXPECT_TRUE(holds("price = 1.5", {{"price", Decimal{"1.50"}}}));
  EXPECT_TRUE(holds("price > 9007199254740993", {{"price", Decimal{"9007199254740993.1"}}}));
  EXPECT_TRUE(holds("price = id", {{"price", Decimal{"2.0"}}, {"id", 2}}));
  EXPECT_TRUE(holds("ratio = 0.1", {{"ratio", 0.1}})) << "a float is compared with the literal as a float";
  EXPECT_TRUE(holds("ratio < price", {{"ratio", 0.5}, {"price", Decimal{"0.75"}}}));
  EXPECT_TRUE(holds("big > 9223372036854775807", {{"big", Value(UINT64_MAX)}}));
}

TEST(Where, NotANumberIsEqualToItselfAndGreatest) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(holds("ratio = 'NaN'", {{"ratio", nan}}));
  EXPECT_TRUE(holds("ratio > 'Infinity'", {{"ratio", nan}}));
  EXPECT_TRUE(holds("price > 1e300", {{"price", Decimal{"NaN"}}}));
  EXPECT_TRUE(holds("price < 0", {{"price", Decimal{"-Infinity"}}}));
}

TEST(Where, ComparesTextByItsOctets) {
  EXPECT_TRUE(holds("title = 'it''s'", {{"title", "it's"}}));
  EXPECT_TRUE(holds("title > 'Z'", {{"title", "a"}}));
  EXPECT_TRUE(holds("title >= 'é'", {{"title", "é"}}));
}

TEST(Where, AQuotedLiteralTakesTheTypeOfWhatItMeets) {
  EXPECT_TRUE(holds("id = '7'", {{"id", 7}}));
  EXPECT_TRUE(holds("'7' = id", {{"id", 7}}));
  EXPECT_TRUE(holds("done = 't'", {{"done", true}}));
  EXPECT_TRUE(holds("day >= '2026-01-01'", {{"day", Date{20'454}}}));
  EXPECT_TRUE(holds("at = '1970-01-01 01:00:00+01'", {{"at", Timestamp::utc(0)}}));
  EXPECT_TRUE(holds("at > '1969-12-31'", {{"at", Timestamp::utc(0)}}));
  EXPECT_TRUE(holds("wall < 'infinity'", {{"wall", Timestamp::local(0)}}));
  EXPECT_TRUE(holds("\"Owner\" = 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
                    {{"Owner", Uuid{{0xa0, 0xee, 0xbc, 0x99, 0x9c, 0x0b, 0x4e, 0xf8, 0xbb, 0x6d, 0x6b, 0xb9, 0xbd, 0x38,
                                     0x0a, 0x11}}}}));
  EXPECT_TRUE(holds("raw = '\\x00ff'", {{"raw", Bytes{std::string("\0\xff", 2)}}}));
  EXPECT_TRUE(holds("clock BETWEEN '01:00:00' AND '02:00:00'", {{"clock", Time{5'400'000'000}}}));
  EXPECT_TRUE(holds("'a' = 'a'", {})) << "two of them are text";
}

TEST(Where, DatesAndTimestampsAreComparedAsMoments) {
  EXPECT_TRUE(holds("day = at", {{"day", Date{0}}, {"at", Timestamp::utc(0)}}));
  EXPECT_TRUE(holds("day < at", {{"day", Date{Date::kMinusInfinity}}, {"at", Timestamp::utc(0)}}));
  EXPECT_TRUE(holds("at < '0044-03-15 BC'::date IS FALSE", {{"at", Timestamp::utc(0)}}));
}

TEST(Where, NullIsUnknownAsInSql) {
  EXPECT_EQ(judged("title = 'a'", {}), Truth::unknown);
  EXPECT_EQ(judged("title <> 'a'", {}), Truth::unknown);
  EXPECT_EQ(judged("NOT (title = 'a')", {}), Truth::unknown);
  EXPECT_EQ(judged("title = NULL", {{"title", "a"}}), Truth::unknown);
  EXPECT_EQ(judged("title = 'a' AND false", {}), Truth::no);
  EXPECT_EQ(judged("title = 'a' OR true", {}), Truth::yes);
  EXPECT_EQ(judged("title = 'a' OR false", {}), Truth::unknown);
  EXPECT_EQ(judged("id IN (1, NULL)", {{"id", 1}}), Truth::yes);
  EXPECT_EQ(judged("id IN (1, NULL)", {{"id", 2}}), Truth::unknown);
  EXPECT_EQ(judged("id NOT IN (1, NULL)", {{"id", 2}}), Truth::unknown);
  EXPECT_EQ(judged("id NOT IN (1, NULL)", {{"id", 1}}), Truth::no);
  EXPECT_EQ(judged("id BETWEEN 5 AND NULL", {{"id", 1}}), Truth::no);
  EXPECT_EQ(judged("title LIKE '%'", {}), Truth::unknown);
  EXPECT_EQ(judged("title LIKE NULL", {{"title", "a"}}), Truth::unknown);
  EXPECT_EQ(judged("title IS NULL AND meta IS NULL AND \"any\" IS NULL AND raw ISNULL", {}), Truth::yes);
  EXPECT_EQ(judged("title IS NOT NULL OR id NOTNULL", {{"id", 1}}), Truth::yes);
  EXPECT_EQ(judged("done IS UNKNOWN AND (done IS NOT TRUE) AND done IS NOT FALSE", {}), Truth::yes);
  EXPECT_EQ(judged("title IS DISTINCT FROM 'a'", {}), Truth::yes);
  EXPECT_EQ(judged("title IS NOT DISTINCT FROM NULL", {}), Truth::yes);
  EXPECT_EQ(judged("(title = 'a') IS NULL", {}), Truth::yes);
}

TEST(Where, AValueThatIsNotOfItsColumnsKindIsUnknown) {
  EXPECT_EQ(judged("id = 1", {{"id", "one"}}), Truth::unknown);
  EXPECT_EQ(judged("at > '2020-01-01'", {{"at", "0000-00-00 00:00:00"}}), Truth::unknown);
}

TEST(Where, OperatorsBindAsInPostgres) {
  EXPECT_EQ(Where::parse("NOT id = 1 OR done AND id < 3", items()).text(),
            R"(((NOT ("id" = 1)) OR ("done" AND ("id" < 3))))");
  EXPECT_EQ(Where::parse("id BETWEEN 1 AND 2 AND done", items()).text(), R"((("id" BETWEEN 1 AND 2) AND "done"))");
  EXPECT_EQ(Where::parse("id = 1 IS NULL", items()).text(), R"((("id" = 1) IS NULL))");
  EXPECT_EQ(Where::parse("done IS DISTINCT FROM id = 1", items()).text(), R"(("done" IS DISTINCT FROM ("id" = 1)))");
  EXPECT_EQ(Where::parse("done = (id IN (1, 2))", items()).text(), R"(("done" = ("id" IN (1, 2))))");
  EXPECT_EQ(Where::parse("done = id NOT IN (1, 2)", items()).text(), R"(("done" = (NOT ("id" IN (1, 2)))))");
}

TEST(Where, BetweenMayBeSymmetric) {
  EXPECT_FALSE(holds("id BETWEEN 5 AND 1", {{"id", 3}}));
  EXPECT_TRUE(holds("id BETWEEN SYMMETRIC 5 AND 1", {{"id", 3}}));
}

TEST(Where, ParametersAreLiterals) {
  EXPECT_TRUE(holds("id = $1 AND title = $2 AND $1 = id", {{"id", 7}, {"title", "'; --"}}, {{1, "7"}, {2, "'; --"}}));
  EXPECT_TRUE(holds("title LIKE $1", {{"title", "abc"}}, {{1, "a%"}}));
  EXPECT_TRUE(holds("id = ($1)::int4", {{"id", 7}}, {{1, "7"}}));
  EXPECT_EQ(refused("id = $2", {{1, "7"}}), "At location 5: parameter $2 was not given");
  EXPECT_EQ(refused("id = 1", {{1, "7"}}), "At location 0: parameter $1 is given but the condition has none");
  EXPECT_EQ(refused("id = $0"), "At location 5: a parameter is $ and a number from 1");
}

TEST(Where, CastsThatLoseNothingAreTaken) {
  EXPECT_TRUE(holds("id::text LIKE '1%'", {{"id", 12}}));
  EXPECT_TRUE(holds("CAST(price AS double precision) = 1.5", {{"price", Decimal{"1.50"}}}));
  EXPECT_TRUE(holds("price::text = '1.50'", {{"price", Decimal{"1.50"}}}));
  EXPECT_TRUE(holds("at::text = '1970-01-01 00:00:00+00'", {{"at", Timestamp::utc(0)}}));
  EXPECT_TRUE(holds("done::text = 'true'", {{"done", true}}));
  EXPECT_TRUE(holds("day = date '1970-01-01'", {{"day", Date{0}}}));
  EXPECT_TRUE(holds("day = ('1970-01-01'::text)::date", {{"day", Date{0}}}));
  EXPECT_TRUE(holds("at = '1970-01-01'::timestamp with time zone", {{"at", Timestamp::utc(0)}}));
  EXPECT_EQ(refused("id::int2 = 1"), "At location 2: a cast from int8 to int2 is not allowed");
  EXPECT_EQ(refused("title::int8 = 1"), "At location 5: a cast from text to int8 is not allowed");
  EXPECT_EQ(refused("id = '70000'::int2"), "At location 5: \"70000\" is no int2");
  EXPECT_EQ(refused("id = 1.5::int8"), "At location 5: \"1.5\" is no int8");
  EXPECT_EQ(refused("title = 'a'::regclass"), "At location 11: a cast to \"regclass\" is not allowed");
  EXPECT_EQ(refused("title = 'a'::varchar(3)"), "At location 20: a type's length or precision is not allowed");
}

TEST(Where, NamesFoldToLowerCaseUnlessQuoted) {
  EXPECT_TRUE(holds("ID = 1 AND Items.id = 1 AND public.items.\"id\" = 1", {{"id", 1}}));
  EXPECT_EQ(refused("Owner IS NULL"),
            "At location 0: unknown column \"owner\" of table \"items\"; names with upper-case letters need double "
            "quotes");
  EXPECT_EQ(refused("\"Id\" = 1"), "At location 0: unknown column \"Id\" of table \"items\"");
  EXPECT_EQ(refused("others.id = 1"), "At location 0: the condition may name columns of table \"items\" only");
}

TEST(Where, TypesThatCannotMeetAreRefusedWhereTheyDo) {
  EXPECT_EQ(refused("id = 1 AND title = 5"), "At location 17: text = int8 cannot be compared; cast one of them");
  EXPECT_EQ(refused("done > 1"), "At location 5: boolean > int8 cannot be compared; cast one of them");
  EXPECT_EQ(refused("id IN (1, true)"), "At location 3: int8 IN boolean cannot be compared; cast one of them");
  EXPECT_EQ(refused("meta = '{}'"), "At location 0: json cannot be compared; only IS NULL is allowed");
  EXPECT_EQ(refused("any = 1"), "At location 0: \"any\" where a value is expected") << "a reserved word";
  EXPECT_EQ(refused("\"any\" = 1"), "At location 0: this column has no fixed type; only IS NULL is allowed");
  EXPECT_EQ(refused("title"), "At location 0: a where clause needs a condition, and this is text");
  EXPECT_EQ(refused("done AND id"), "At location 9: AND needs a condition, and this is int8");
  EXPECT_EQ(refused("NOT title"), "At location 4: NOT needs a condition, and this is text");
  EXPECT_EQ(refused("id LIKE '1'"), "At location 0: LIKE needs text, and this is int8; cast it with ::text");
  EXPECT_EQ(refused("day = '2026-02-30'"), "At location 6: \"2026-02-30\" is no date");
  EXPECT_EQ(refused("wall = '2026-01-01 00:00:00+02'"), "At location 7: \"2026-01-01 00:00:00+02\" is no timestamp");
  EXPECT_NE(refused("ratio = 1e999").find("is out of the range of float8"), std::string::npos);
}

TEST(Where, WhatIsNotOnTheListIsRefused) {
  EXPECT_NE(refused("lower(title) = 'a'").find("the function \"lower\" is not allowed"), std::string::npos);
  EXPECT_NE(refused("pg_sleep(10) IS NULL").find("function"), std::string::npos);
  EXPECT_NE(refused("id + 1 = 2").find("At location 3: "), std::string::npos);
  EXPECT_NE(refused("-id = 2").find("arithmetic"), std::string::npos);
  EXPECT_NE(refused("title || 'a' = 'b'").find("At location 6: \"|\""), std::string::npos);
  EXPECT_NE(refused("id IN (SELECT 1)").find("subqueries"), std::string::npos);
  EXPECT_NE(refused("id = ANY('{1}')").find("use IN"), std::string::npos);
  EXPECT_NE(refused("(id, id) = (1, 1)").find("several values"), std::string::npos);
  EXPECT_NE(refused("title = E'a'").find("prefix"), std::string::npos);
  EXPECT_NE(refused("id = 1; DROP TABLE items").find("\";\""), std::string::npos);
  EXPECT_NE(refused("id = 1 -- and more").find("\"-\""), std::string::npos);
  EXPECT_NE(refused("id = 1 /* and more").find("\"/\""), std::string::npos);
  EXPECT_NE(refused("title LIKE title").find("pattern"), std::string::npos);
  EXPECT_NE(refused("title LIKE 'a\\'").find("escape"), std::string::npos);
  EXPECT_NE(refused("1 < id < 3").find("do not chain"), std::string::npos);
  EXPECT_NE(refused("id IS DISTINCT FROM 1 IS TRUE").find("At location 22: no test follows"), std::string::npos);
  EXPECT_NE(refused("CASE WHEN true THEN true END").find("case"), std::string::npos);
}

TEST(Where, WhatIsMalformedIsRefusedWithItsPlace) {
  EXPECT_EQ(refused(""), "At location 0: the condition is empty");
  EXPECT_EQ(refused("id ="), "At location 4: the condition ends where a value is expected");
  EXPECT_EQ(refused("id = 1 2"), "At location 7: \"2\" where the end is expected");
  EXPECT_EQ(refused("(id = 1"), "At location 7: the condition ends where \")\" is expected");
  EXPECT_EQ(refused("title = 'a"), "At location 8: a literal that does not end");
  EXPECT_EQ(refused("id = 12x"), "At location 7: a number is followed by a letter");
  EXPECT_EQ(refused("id IS 5"), "At location 6: \"5\" where NULL, TRUE, FALSE, UNKNOWN or DISTINCT FROM is expected");
  EXPECT_EQ(refused("id NOT 5"), "At location 7: \"5\" where IN, BETWEEN, LIKE or ILIKE is expected");
  EXPECT_EQ(refused("title = '\xff'"), "At location 0: the condition is not UTF-8 text without NUL");
  EXPECT_EQ(refused("title = $1", {{1, std::string("a\0b", 3)}}),
            "At location 0: parameter $1 is not UTF-8 text without NUL");
}

TEST(Where, DepthSizeAndLengthAreBounded) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '(') + "done" + std::string(depth, ')'); };
  EXPECT_NO_THROW(Where::parse(nested(20), items()));
  EXPECT_NE(refused(nested(1'000)).find("nested deeper than 64 levels"), std::string::npos);
  std::string nots = "done";
  for (int i = 0; i < 1'000; ++i) nots = "NOT " + nots;
  EXPECT_NE(refused(nots).find("nested deeper"), std::string::npos);
  std::string tests = "done";
  for (int i = 0; i < 1'000; ++i) tests += " IS TRUE";
  EXPECT_NE(refused(tests).find("nested deeper"), std::string::npos);
  std::string many = "id = 1";
  for (int i = 0; i < 1'500; ++i) many += " OR id=1";
  EXPECT_NE(refused(many).find("more than 4096"), std::string::npos);
  EXPECT_NE(refused("title = '" + std::string(17'000, 'a') + "'").find("16384 are allowed"), std::string::npos);
  EXPECT_NE(refused("title = $1", {{1, std::string(17'000, 'a')}}).find("octets"), std::string::npos);
  EXPECT_NE(refused("id = 1", {}, {.maxNodes = 2}).find("more than 2"), std::string::npos);
}

TEST(Where, TextIsCanonicalAndReadBackTheSame) {
  const Where a = Where::parse("title='it''s'and id in(1,2)or NOT done", items());
  const Where b = Where::parse("( (title = 'it''s' AND id IN ( 1 , 2 )) OR (NOT (done)) )", items());
  EXPECT_EQ(a.text(), b.text());
  EXPECT_EQ(a.text(), R"(((("title" = 'it''s'::text) AND ("id" IN (1, 2))) OR (NOT "done")))");
  EXPECT_EQ(Where::parse(a.text(), items()).text(), a.text());
  EXPECT_EQ(Where::parse("id = $1", items(), {{1, "5"}}).text(), Where::parse("id = 5", items()).text());
}

TEST(Where, TwoConditionsTogetherTakeWhatBothTake) {
  const Where mine = Where::parse("title = 'a'", items()), done = Where::parse("done", items());
  const Where both = Where::both(mine, done);
  EXPECT_TRUE(both.matches(rowWith({{"title", "a"}, {"done", true}})));
  EXPECT_FALSE(both.matches(rowWith({{"title", "a"}, {"done", false}})));
  EXPECT_EQ(both.text(), "(" + mine.text() + " AND " + done.text() + ")");
  EXPECT_EQ(both.columns(), (std::vector<std::uint32_t>{1, 4}));
  EXPECT_EQ(Where::both(Where(), done).text(), done.text());
  EXPECT_EQ(Where::both(mine, Where()).text(), mine.text());
}

TEST(Where, EqualitiesOfTheOutermostAndAreFound) {
  const auto of = [](std::string_view text) { return Where::parse(text, items()).equalities(); };
  ASSERT_EQ(of("id = 7 AND (done AND 'a' = title)").size(), 2u);
  EXPECT_EQ(of("id = 7 AND (done AND 'a' = title)")[0].column, 0u);
  EXPECT_TRUE(of("id = 7 AND (done AND 'a' = title)")[1].value == Value("a"));
  EXPECT_TRUE(of("id = 7 OR done").empty());
  EXPECT_TRUE(of("NOT (id = 7)").empty());
  EXPECT_TRUE(of("id = 7.0").empty()) << "equal numbers of two kinds are not equal octets";
  EXPECT_TRUE(of("price = 7").empty());
  EXPECT_TRUE(of("id = NULL").empty());
}

}  // namespace
}  // namespace tidegate::electric
