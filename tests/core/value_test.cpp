#include "tidegate/core/value.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/random_value.h"

namespace tidegate {
namespace {

TEST(Value, HoldsAUint64ThatFitsAsInt64) {
  EXPECT_EQ(Value(std::uint64_t{7}).kind(), ValueKind::int64);
  EXPECT_EQ(Value(std::uint64_t{INT64_MAX}).kind(), ValueKind::int64);
  EXPECT_EQ(Value(std::uint64_t{INT64_MAX} + 1).kind(), ValueKind::uint64);
}

TEST(Value, IsEqualBitForBitButForNan) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(Value(nan) == Value(-nan));
  EXPECT_FALSE(Value(0.0) == Value(-0.0));
  EXPECT_FALSE(Value(1) == Value(1.0));
  EXPECT_FALSE(Value("1") == Value(Decimal{"1"}));
  EXPECT_TRUE(Value(Json{"{}"}) == Value(Json{"{}"}));
  EXPECT_FALSE(Value(Json{"{}"}) == Value(Json{"{ }"}));
}

TEST(Value, NamesItsKinds) {
  EXPECT_EQ(toString(ValueKind::boolean), "bool");
  EXPECT_EQ(toString(ValueKind::real), "double");
  EXPECT_EQ(toString(ValueKind::json), "json");
  EXPECT_EQ(Value(Json{"1"}).kind(), ValueKind::json);
  EXPECT_EQ(Value(Uuid{}).kind(), ValueKind::uuid);
}

TEST(Value, CountsItsBytes) {
  EXPECT_EQ(valueBytes(Null{}), 1u);
  EXPECT_EQ(valueBytes(true), 1u);
  EXPECT_EQ(valueBytes(1), 8u);
  EXPECT_EQ(valueBytes(1.5), 8u);
  EXPECT_EQ(valueBytes(Decimal{"12.50"}), 5u);
  EXPECT_EQ(valueBytes("abc"), 3u);
  EXPECT_EQ(valueBytes(Bytes{std::string(9, '\0')}), 9u);
  EXPECT_EQ(valueBytes(Date{}), 4u);
  EXPECT_EQ(valueBytes(Time{}), 8u);
  EXPECT_EQ(valueBytes(Timestamp{}), 8u);
  EXPECT_EQ(valueBytes(Uuid{}), 16u);
}

TEST(Value, DescribesItselfOnOneLine) {
  EXPECT_EQ(describe(Null{}), "null");
  EXPECT_EQ(describe(-0.0), "-0");
  EXPECT_EQ(describe(std::numeric_limits<double>::quiet_NaN()), "NaN");
  EXPECT_EQ(describe("a\nb"), "\"a\\nb\"");
  EXPECT_EQ(describe(Decimal{"1.50"}), "1.50");
  EXPECT_EQ(describe(Decimal{"1\n2"}), "\"1\\n2\"");
  EXPECT_EQ(describe(Bytes{"\x01\xff"}), "0x01ff");
  EXPECT_EQ(describe(Timestamp::utc(0)), "1970-01-01T00:00:00Z");
}

TEST(Value, DescribesAtMostAsManyCharactersAsAsked) {
  EXPECT_EQ(describe("abcdefgh", 5), "\"abc…");
  EXPECT_EQ(describe("日日日日日", 4), "\"日日…");
  EXPECT_EQ(describe(12345, 5), "12345");
  EXPECT_EQ(describe(123456, 5), "1234…");
  EXPECT_EQ(describe("abc", 0), "");
  EXPECT_LE(describe(std::string(10'000'000, 'x'), 10).size(), 12u);
}

TEST(Value, DescribesAnythingAsValidUtf8) {
  test::forEachSeed(1000, [](std::uint64_t seed) {
    test::Random random(seed);
    Value value = test::randomValue(random);
    if (random.chance(20)) value = std::string("\xff\xfe\x80") + test::randomText(random);
    EXPECT_TRUE(isUtf8(describe(value, random.index(30))));
  });
}

TEST(Utf8, RefusesWhatUnicodeCallsIllFormed) {
  for (const char* good : {"", "abc", "é", "日本語テキスト", "😀", "\xF4\x8F\xBF\xBF", "\xEE\x80\x80", "\xED\x9F\xBF"}) {
    EXPECT_TRUE(isUtf8(good)) << good;
  }
  for (const char* bad :
       {"\x80", "abcdefgh\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xC3", "\xE2\x82", "\xF0\x9F\x98", "\xC3(", "\xFF"}) {
    EXPECT_FALSE(isUtf8(bad)) << bad;
  }
}

}  // namespace
}  // namespace tidegate
