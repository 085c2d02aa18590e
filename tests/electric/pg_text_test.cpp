#include "electric/detail/pg_text.h"

#include <gtest/gtest.h>

#include <cmath>

namespace tidegate::electric::detail {
namespace {

TEST(PgText, WritesValuesAsPostgresDoes) {
  EXPECT_EQ(pgText(true), "true");
  EXPECT_EQ(pgText(std::int64_t{-5}), "-5");
  EXPECT_EQ(pgText(Value(UINT64_MAX)), "18446744073709551615");
  EXPECT_EQ(pgText(Decimal{"1.50"}), "1.50");
  EXPECT_EQ(pgText(Bytes{std::string("\0\xff", 2)}), "\\x00ff");
  EXPECT_EQ(pgText(Date{0}), "1970-01-01");
  EXPECT_EQ(pgText(Date{Date::kInfinity}), "infinity");
  EXPECT_EQ(pgText(Date{-719'528}), "0001-01-01 BC");
  EXPECT_EQ(pgText(Time{3'661'500'000}), "01:01:01.5");
  EXPECT_EQ(pgText(Timestamp::utc(1'500'000)), "1970-01-01 00:00:01.5+00");
  EXPECT_EQ(pgText(Timestamp::local(-1)), "1969-12-31 23:59:59.999999");
  EXPECT_EQ(pgText(Timestamp::utc(Timestamp::kMinusInfinity)), "-infinity");
  EXPECT_EQ(pgText(Json{"{\"a\": 1}"}), "{\"a\": 1}");
}

TEST(PgText, FloatsHaveAnExponentWhereFloat8outHasOne) {
  EXPECT_EQ(pgText(0.1), "0.1");
  EXPECT_EQ(pgText(100000.0), "100000");
  EXPECT_EQ(pgText(1e14), "100000000000000");
  EXPECT_EQ(pgText(1e15), "1e+15");
  EXPECT_EQ(pgText(1.5e-5), "1.5e-05");
  EXPECT_EQ(pgText(0.0001), "0.0001");
  EXPECT_EQ(pgText(-0.0), "-0");
  EXPECT_EQ(pgText(std::nan("")), "NaN");
  EXPECT_EQ(pgText(-HUGE_VAL), "-Infinity");
}

TEST(PgText, ReadsBackWhatItWrites) {
  const std::vector<std::pair<SqlType, Value>> values{{SqlType::boolean, false},
                                                      {SqlType::integer, INT64_MIN},
                                                      {SqlType::integer, Value(UINT64_MAX)},
                                                      {SqlType::decimal, Decimal{"-0.10"}},
                                                      {SqlType::decimal, Decimal{"NaN"}},
                                                      {SqlType::real, 1e300},
                                                      {SqlType::real, -HUGE_VAL},
                                                      {SqlType::text, "any text, 'quoted' or not"},
                                                      {SqlType::bytes, Bytes{"\x01z"}},
                                                      {SqlType::date, Date{-800'000}},
                                                      {SqlType::date, Date{Date::kMinusInfinity}},
                                                      {SqlType::time, Time{86'399'999'999}},
                                                      {SqlType::timestamp, Timestamp::local(-70'000'000'000'000'000)},
                                                      {SqlType::timestamptz, Timestamp::utc(1'700'000'000'123'456)},
                                                      {SqlType::timestamptz, Timestamp::utc(Timestamp::kInfinity)},
                                                      {SqlType::uuid, Uuid{{1, 2, 3}}}};
  for (const auto& [type, value] : values) {
    const auto back = readPgLiteral(type, pgText(value));
    ASSERT_TRUE(back) << pgText(value);
    EXPECT_TRUE(*back == value) << pgText(value) << " came back as " << pgText(*back);
  }
}

TEST(PgText, ReadsTheSpellingsOfPostgres) {
  EXPECT_TRUE(readPgLiteral(SqlType::boolean, " Yes ") == Value(true));
  EXPECT_TRUE(readPgLiteral(SqlType::boolean, "of") == Value(false));
  EXPECT_FALSE(readPgLiteral(SqlType::boolean, "o"));
  EXPECT_TRUE(readPgLiteral(SqlType::integer, "+12") == Value(12));
  EXPECT_FALSE(readPgLiteral(SqlType::integer, "+-12"));
  EXPECT_FALSE(readPgLiteral(SqlType::integer, "1.0"));
  EXPECT_TRUE(readPgLiteral(SqlType::decimal, "1.5e2") == Value(Decimal{"150"}));
  EXPECT_TRUE(readPgLiteral(SqlType::decimal, "-12e-3") == Value(Decimal{"-0.012"}));
  EXPECT_TRUE(readPgLiteral(SqlType::decimal, ".5") == Value(Decimal{"0.5"}));
  EXPECT_FALSE(readPgLiteral(SqlType::decimal, "1e999999999"));
  EXPECT_FALSE(readPgLiteral(SqlType::decimal, "1e"));
  EXPECT_FALSE(readPgLiteral(SqlType::real, ""));
  EXPECT_FALSE(readPgLiteral(SqlType::bytes, "\\x0"));
  EXPECT_FALSE(readPgLiteral(SqlType::bytes, "\\x0g"));
}

}  // namespace
}  // namespace tidegate::electric::detail
