#include <gtest/gtest.h>

#include <limits>

#include "support/random_value.h"
#include "tidegate/core/value.h"

namespace tidegate {
namespace {

constexpr auto kLess = std::partial_ordering::less;
constexpr auto kGreater = std::partial_ordering::greater;
constexpr auto kEqual = std::partial_ordering::equivalent;
constexpr auto kUnordered = std::partial_ordering::unordered;
const double kNan = std::numeric_limits<double>::quiet_NaN();
const double kInf = std::numeric_limits<double>::infinity();

struct Case {
  Value a;
  Value b;
  std::partial_ordering order;
};

void expectOrders(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    SCOPED_TRACE(describe(c.a) + " against " + describe(c.b));
    EXPECT_TRUE(compareValues(c.a, c.b) == c.order);
    EXPECT_TRUE(compareValues(c.b, c.a) == (0 <=> c.order));
  }
}

TEST(CompareValues, ComparesNumbersExactlyAcrossKinds) {
  const std::int64_t big = 9007199254740993;  // 2^53 + 1, which no double holds
  const std::string zeros(300, '0');
  expectOrders({
      {1, 1.0, kEqual},
      {1, 1.5, kLess},
      {-1, -1.5, kGreater},
      {big, 9007199254740992.0, kGreater},
      {big, Decimal{"9007199254740993"}, kEqual},
      {9007199254740992.0, Decimal{"9007199254740993"}, kLess},
      {INT64_MAX, 9223372036854775808.0, kLess},
      {INT64_MIN, -9223372036854775808.0, kEqual},
      {INT64_MIN, -9223372036854777856.0, kGreater},
      {UINT64_MAX, 18446744073709551616.0, kLess},
      {UINT64_MAX, INT64_MAX, kGreater},
      {UINT64_MAX, Decimal{"18446744073709551615.0"}, kEqual},
      {-1, UINT64_MAX, kLess},
      {0.1, Decimal{"0.1"}, kGreater},
      {0.5, Decimal{"0.50"}, kEqual},
      {5e-324, Decimal{"0"}, kGreater},
      {Decimal{"1.50"}, Decimal{"1.5"}, kEqual},
      {Decimal{"-1.50"}, Decimal{"-1.51"}, kGreater},
      {Decimal{"-0.00"}, 0, kEqual},
      {Decimal{"0010"}, 10, kEqual},
      {Decimal{"1" + zeros + "1"}, Decimal{"1" + zeros + "2"}, kLess},
      {Decimal{"0." + zeros + "1"}, Decimal{"0." + zeros + "10"}, kEqual},
      {Decimal{"1" + zeros}, 1e300, kLess},
      {-0.0, 0.0, kEqual},
  });
}

TEST(CompareValues, PutsInfinitiesAtTheEndsAndNanNowhere) {
  expectOrders({
      {kInf, INT64_MAX, kGreater},
      {-kInf, INT64_MIN, kLess},
      {kInf, Decimal{"Infinity"}, kEqual},
      {Decimal{"-Infinity"}, Decimal{"-99999999"}, kLess},
      {kInf, UINT64_MAX, kGreater},
      {kNan, 1, kUnordered},
      {kNan, UINT64_MAX, kUnordered},
      {kNan, kNan, kUnordered},
      {Decimal{"NaN"}, 1, kUnordered},
      {Decimal{"nonsense"}, 1, kUnordered},
      {Decimal{"nonsense"}, Decimal{"nonsense"}, kUnordered},
      {Date{Date::kInfinity}, Date{0}, kGreater},
      {Timestamp::utc(Timestamp::kMinusInfinity), Timestamp::utc(0), kLess},
  });
}

TEST(CompareValues, OrdersOtherKindsWithinThemselvesOnly) {
  expectOrders({
      {"a", "b", kLess},
      {"10", "9", kLess},
      {std::string("a\xff"), std::string("aé"), kGreater},
      {Bytes{"a"}, Bytes{"b"}, kLess},
      {Bytes{"a"}, "a", kUnordered},
      {Date{1}, Date{2}, kLess},
      {Time{-1}, Time{2}, kLess},
      {Uuid{{0, 1}}, Uuid{{0, 2}}, kLess},
      {1, "1", kUnordered},
      {true, false, kUnordered},
      {true, true, kUnordered},
      {Null{}, Null{}, kUnordered},
      {Null{}, 1, kUnordered},
      {Json{"1"}, Json{"1"}, kUnordered},
      {Date{0}, Timestamp::utc(0), kUnordered},
  });
}

TEST(CompareValues, ReadsIsoAndSqliteTextAgainstATimestamp) {
  const Timestamp noon = Timestamp::utc(12LL * 3600 * 1'000'000);  // 1970-01-01T12:00:00Z
  expectOrders({
      {noon, "1970-01-01 12:00:00", kEqual},
      {noon, "1970-01-01T12:00:00Z", kEqual},
      {noon, "1970-01-01T14:00:00+02:00", kEqual},
      {noon, "1970-01-01 12:00", kEqual},
      {noon, "1970-01-01", kGreater},
      {noon, "1970-01-02", kLess},
      {noon, "infinity", kLess},
      {noon, "1970", kUnordered},
      {noon, "noon", kUnordered},
      {noon, "43200000000", kUnordered},
  });
}

TEST(SameValue, IsWhatDecidesWhetherAColumnChanged) {
  const std::vector<std::pair<Value, Value>> same = {
      {kNan, -kNan},
      {1, 1.0},
      {Decimal{"1.50"}, Decimal{"1.5"}},
      {Decimal{"1.50"}, 1.5},
      {Decimal{"2"}, 2},
      {Decimal{"NaN"}, Decimal{"NaN"}},
      {kInf, Decimal{"Infinity"}},
      {Null{}, Null{}},
      {UINT64_MAX, Decimal{"18446744073709551615"}},
      {Json{"{\"a\":1,\"b\":2}"}, Json{" { \"b\" : 2.0, \"a\": 1e0 } "}},
      {Json{"[\"\\u0041\"]"}, Json{"[\"A\"]"}},
      {Json{"{\"a\":1,\"a\":2}"}, Json{"{\"a\":2}"}},
      {Json{"not json"}, Json{"not json"}},
      {Decimal{"x"}, Decimal{"x"}},
  };
  const std::vector<std::pair<Value, Value>> different = {
      {0.0, -0.0},
      {0, -0.0},
      {Decimal{"0"}, -0.0},
      {Null{}, 0},
      {Null{}, ""},
      {true, 1},
      {"1", 1},
      {0.1, Decimal{"0.1"}},
      {std::int64_t{9007199254740993}, 9007199254740992.0},
      {Bytes{"a"}, "a"},
      {Timestamp::utc(0), Timestamp::local(0)},
      {Json{"[1,2]"}, Json{"[2,1]"}},
      {Json{"[1]"}, Json{"[1,1]"}},
      {Json{"{\"a\":1}"}, Json{"{\"b\":1}"}},
      {Json{"9007199254740993"}, Json{"9007199254740992"}},
      {Json{"1e400"}, Json{"1e401"}},
      {Json{"x"}, Json{"y"}},
      {Json{"{"}, Json{"{ "}},
      {Json{"1"}, 1},
      {Json{"null"}, Json{"false"}},
      {Decimal{"x"}, 1},
  };
  for (const auto& [a, b] : same) EXPECT_TRUE(sameValue(a, b) && sameValue(b, a)) << describe(a) << " " << describe(b);
  for (const auto& [a, b] : different)
    EXPECT_FALSE(sameValue(a, b) || sameValue(b, a)) << describe(a) << " " << describe(b);
}

TEST(SameValue, SurvivesJsonOfAnyDepth) {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  EXPECT_TRUE(sameValue(Json{deep}, Json{deep}));
  EXPECT_FALSE(sameValue(Json{deep}, Json{deep + " "}));
}

/// A multiple of 1/8000 in every kind that holds it exactly.
Value spell(test::Random& random, std::int64_t eightThousandths) {
  if (eightThousandths % 1000 == 0 && random.chance(40)) return static_cast<double>(eightThousandths / 1000) / 8;
  if (eightThousandths % 8000 == 0 && random.chance(60)) return eightThousandths / 8000;
  const std::int64_t n = eightThousandths < 0 ? -eightThousandths : eightThousandths;
  std::string fraction = std::to_string(n % 8000 * 125);  // 1/8000 is 0.000125
  fraction.insert(0, 6 - fraction.size(), '0');
  return Decimal{(eightThousandths < 0 ? "-" : "") + std::string(random.index(3), '0') + std::to_string(n / 8000) +
                 "." + fraction + std::string(random.index(3), '0')};
}

TEST(CompareValues, AgreesWithWholeNumbersForEverySpelling) {
  test::forEachSeed(2000, [](std::uint64_t seed) {
    test::Random random(seed);
    const std::int64_t steps[] = {1, 125, 1000, 8000};
    const std::int64_t a = random.between(-40, 40) * random.pick(steps);
    const std::int64_t b = random.between(-40, 40) * random.pick(steps);
    const Value x = spell(random, a);
    const Value y = spell(random, b);
    SCOPED_TRACE(describe(x) + " against " + describe(y));
    EXPECT_TRUE(compareValues(x, y) == (a <=> b));
    EXPECT_EQ(sameValue(x, y), a == b);
  });
}

TEST(SameValue, IsAnEquivalence) {
  test::forEachSeed(2000, [](std::uint64_t seed) {
    test::Random random(seed);
    const Value a = test::randomValue(random);
    const Value b = test::randomValue(random);
    EXPECT_TRUE(sameValue(a, a));
    EXPECT_EQ(sameValue(a, b), sameValue(b, a));
    EXPECT_TRUE(compareValues(a, b) == (0 <=> compareValues(b, a)));
    if (compareValues(a, b) == 0 && a.kind() == b.kind() && a.kind() != ValueKind::timestamp) {
      EXPECT_TRUE(sameValue(a, b) || a.kind() == ValueKind::real);
    }
  });
}

}  // namespace
}  // namespace tidegate
