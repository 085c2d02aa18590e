#include <gtest/gtest.h>

#include <limits>

#include "source/detail/cursor_value.h"

namespace tidegate::test {
namespace {

using namespace std::chrono_literals;
using detail::cursorFormOf;
using detail::CursorKind;
using detail::earlier;

std::string text(const Value& v) { return v.as<std::string>(); }

TEST(CursorValue, SqlitesSpaceSeparatedTimeKeepsItsFormWhenTheLookbackIsSubtracted) {
  EXPECT_EQ(text(earlier("2024-03-01 00:00:03", 5s)), "2024-02-29 23:59:58");
}

TEST(CursorValue, IsoTextWithZuluKeepsItsForm) {
  EXPECT_EQ(text(earlier("2024-01-01T00:00:03Z", 5s)), "2023-12-31T23:59:58Z");
}

TEST(CursorValue, FractionalDigitsAreKept) {
  EXPECT_EQ(text(earlier("2024-01-01T00:00:05.250Z", 100ms)), "2024-01-01T00:00:05.150Z");
  EXPECT_EQ(text(earlier("2024-01-01 00:00:05.5", 100ms)), "2024-01-01 00:00:05.4");
  EXPECT_EQ(text(earlier("2024-01-01T00:00:05.123456789+02:00", 5s)), "2024-01-01T00:00:00.123456000+02:00");
}

TEST(CursorValue, WhatHasNoSecondsOrNoTimeIsCutDownNeverUp) {
  EXPECT_EQ(text(earlier("2024-01-01 00:01", 5s)), "2024-01-01 00:00");
  EXPECT_EQ(text(earlier("2024-01-02", 5s)), "2024-01-01");
}

TEST(CursorValue, EarlierTextSortsBeforeInOctetOrder) {
  for (const char* form : {"2024-03-01 00:00:03", "2024-03-01T00:00:03.000Z", "2024-03-01", "0000-01-01 00:00:01"}) {
    std::string last = form;
    for (const auto back : {1s, 59s, 3'600s, 86'400s, 40'000'000s}) {
      const std::string now = text(earlier(form, back));
      EXPECT_EQ(now.size(), last.size());
      EXPECT_LE(now, last);
      last = now;
    }
  }
}

TEST(CursorValue, ABigintThatArrivesAsTextIsNeverADate) {
  for (const char* digits : {"20240501", "1714557600000", "2024", "-5", "20240501100000"}) {
    EXPECT_EQ(cursorFormOf(digits).kind, CursorKind::other) << digits;
    EXPECT_FALSE(cursorFormOf(digits).isTime());
  }
}

TEST(CursorValue, IntegersAreNoTimesSoNoTimeIsSubtracted) {
  for (const Value& v : {Value(5'000), Value(std::uint64_t{1} << 63), Value(Decimal{"12345.5"}), Value(1.5)}) {
    EXPECT_EQ(cursorFormOf(v).kind, CursorKind::number);
    EXPECT_FALSE(cursorFormOf(v).isTime());
  }
}

TEST(CursorValue, AZonelessTimestampIsNeverShifted) {
  const Value v = earlier(Timestamp::local(10'000'000), 5s);
  EXPECT_TRUE(v == Value(Timestamp::local(5'000'000)));
  EXPECT_EQ(cursorFormOf(v).kind, CursorKind::timestampLocal);
  EXPECT_FALSE(detail::instantOf(v, true).has_value());
}

TEST(CursorValue, DatesGoBackByWholeDays) {
  EXPECT_TRUE(earlier(Date{100}, 5s) == Value(Date{99}));
  EXPECT_TRUE(earlier(Date{100}, 0s) == Value(Date{100}));
  EXPECT_TRUE(earlier(Date{100}, 25h) == Value(Date{98}));
}

TEST(CursorValue, InfinitiesAndTheLeastTimestampDoNotWrap) {
  EXPECT_TRUE(earlier(Timestamp::utc(Timestamp::kInfinity), 5s) == Value(Timestamp::utc(Timestamp::kInfinity)));
  EXPECT_TRUE(earlier(Timestamp::utc(Timestamp::kMinusInfinity + 7), 5s) ==
              Value(Timestamp::utc(Timestamp::kMinusInfinity + 1)));
  EXPECT_TRUE(earlier(Date{Date::kInfinity}, 5s) == Value(Date{Date::kInfinity}));
}

TEST(CursorValue, TextsOfTwoFormsAreTwoKindsOfCursor) {
  const auto space = cursorFormOf("2024-01-01 00:00:00"), tee = cursorFormOf("2024-01-01T00:00:00Z");
  EXPECT_FALSE(space == tee);
  EXPECT_EQ(describe(space), "text as YYYY-MM-DD HH:MM:SS");
  EXPECT_EQ(describe(tee), "text as YYYY-MM-DDTHH:MM:SSZ");
  EXPECT_TRUE(tee == cursorFormOf("2024-01-01T00:00:00.5Z"));
  EXPECT_FALSE(cursorFormOf("2024-01-01T00:00:00+01:00") == cursorFormOf("2024-01-01T00:00:00+02:00"));
}

TEST(CursorValue, TextThatOnlyLooksLikeATimeIsNone) {
  for (const char* odd : {"2024-13-01", "2024-02-30", "2024-01-01 25:00:00", "2024-01-01x", "2024-01-01 10:00:00.",
                          "2024-01-01 10:00:00 ", "2024-1-1", "2024-01-01T10:00:00+1", ""}) {
    EXPECT_EQ(cursorFormOf(odd).kind, CursorKind::other) << odd;
  }
}

TEST(CursorValue, WhatHasNoOrderIsNoCursor) {
  for (const Value& v : {Value(), Value(true), Value(Json{"{}"}), Value(std::numeric_limits<double>::quiet_NaN()),
                         Value(Decimal{"NaN"})}) {
    EXPECT_EQ(cursorFormOf(v).kind, CursorKind::none) << describe(v);
  }
}

TEST(CursorValue, TheInstantOfATextCountsItsOffset) {
  EXPECT_EQ(detail::instantOf("1970-01-01T02:00:00+02:00", false), 0);
  EXPECT_EQ(detail::instantOf("1970-01-01 00:00:01", true), 1'000'000);
  EXPECT_EQ(detail::instantOf("1970-01-01 00:00:01", false), std::nullopt);
}

}  // namespace
}  // namespace tidegate::test
