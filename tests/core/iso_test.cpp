#include <gtest/gtest.h>

#include <chrono>

#include "support/random_value.h"
#include "tidegate/core/value.h"

namespace tidegate {
namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kDay = 86'400 * kSecond;

std::int64_t dayNumber(int year, unsigned month, unsigned day) {
  using namespace std::chrono;
  return sys_days(std::chrono::year(year) / std::chrono::month(month) / std::chrono::day(day))
      .time_since_epoch()
      .count();
}

TEST(Iso, WritesDates) {
  EXPECT_EQ(toIso(Date{0}), "1970-01-01");
  EXPECT_EQ(toIso(Date{-1}), "1969-12-31");
  EXPECT_EQ(toIso(Date{static_cast<std::int32_t>(dayNumber(2024, 2, 29))}), "2024-02-29");
  EXPECT_EQ(toIso(Date{static_cast<std::int32_t>(dayNumber(0, 3, 1))}), "0000-03-01");
  EXPECT_EQ(toIso(Date{static_cast<std::int32_t>(dayNumber(-44, 3, 15))}), "-0044-03-15");
  EXPECT_EQ(toIso(Date{static_cast<std::int32_t>(dayNumber(10000, 1, 1))}), "+10000-01-01");
  EXPECT_EQ(toIso(Date{Date::kInfinity}), "infinity");
  EXPECT_EQ(toIso(Date{Date::kMinusInfinity}), "-infinity");
}

TEST(Iso, WritesTimes) {
  EXPECT_EQ(toIso(Time{0}), "00:00:00");
  EXPECT_EQ(toIso(Time{kDay}), "24:00:00");
  EXPECT_EQ(toIso(Time{1}), "00:00:00.000001");
  EXPECT_EQ(toIso(Time{500'000}), "00:00:00.5");
  EXPECT_EQ(toIso(Time{-(838 * 3600 + 59 * 60 + 59) * kSecond}), "-838:59:59");
  EXPECT_EQ(toIso(Time{INT64_MIN}), "-2562047788:00:54.775808");
}

TEST(Iso, WritesTimestamps) {
  EXPECT_EQ(toIso(Timestamp::utc(1'700'000'000'123'456)), "2023-11-14T22:13:20.123456Z");
  EXPECT_EQ(toIso(Timestamp::local(1'700'000'000'120'000)), "2023-11-14T22:13:20.12");
  EXPECT_EQ(toIso(Timestamp::local(-1)), "1969-12-31T23:59:59.999999");
  EXPECT_EQ(toIso(Timestamp::utc(Timestamp::kInfinity)), "infinity");
  EXPECT_EQ(toIso(Timestamp::utc(INT64_MAX - 1)), "+294247-01-10T04:00:54.775806Z");
  EXPECT_EQ(toIso(Timestamp::utc(INT64_MIN + 1)), "-290308-12-21T19:59:05.224193Z");
}

TEST(Iso, ReadsWhatItWroteAtTheEdgesOfTime) {
  for (const std::int64_t micros :
       {INT64_MAX - 1, INT64_MIN + 1, INT64_MIN + kDay, std::int64_t{0}, std::int64_t{-1}}) {
    Timestamp read;
    ASSERT_TRUE(parseTimestamp(toIso(Timestamp::utc(micros)), read)) << micros;
    EXPECT_TRUE(read == Timestamp::utc(micros)) << toIso(read);
  }
  for (const std::int32_t days : {INT32_MAX - 1, INT32_MIN + 1, 0}) {
    Date read;
    ASSERT_TRUE(parseDate(toIso(Date{days}), read)) << days;
    EXPECT_EQ(read.days, days);
  }
  Timestamp untouched = Timestamp::local(5);
  EXPECT_FALSE(parseTimestamp("+294247-01-10T04:00:54.775807Z", untouched)) << "that is infinity's number";
  EXPECT_FALSE(parseTimestamp("+999999-01-01T00:00:00Z", untouched));
  EXPECT_FALSE(parseTimestamp("-290308-12-21T19:59:05.224192Z", untouched));
  EXPECT_TRUE(untouched == Timestamp::local(5));
}

TEST(Iso, ReadsOffsetsAndConvertsThemToUtc) {
  const Timestamp expected = Timestamp::utc(1'700'000'000'000'000);
  for (const char* text : {"2023-11-14T22:13:20Z", "2023-11-14 22:13:20Z", "2023-11-14 22:13:20+00",
                           "2023-11-15T03:43:20+05:30", "2023-11-14T17:13:20-05", "2023-11-14T22:13:20.000000000Z"}) {
    Timestamp read;
    ASSERT_TRUE(parseTimestamp(text, read)) << text;
    EXPECT_TRUE(read == expected) << text;
  }
  Timestamp local;
  ASSERT_TRUE(parseTimestamp("2023-11-14 22:13:20.5", local));
  EXPECT_TRUE(local == Timestamp::local(1'700'000'000'500'000));
}

TEST(Iso, RefusesWhatIsNoDateOrTime) {
  for (const char* text : {"", "20231114", "2023-1-14", "2023-13-01", "2023-00-01", "2023-02-29", "2024-02-30",
                           "2023-11-14 ", " 2023-11-14", "+2023-11-14", "-0000-01-01", "+02023-01-01", "12023-01-01",
                           "2023-11-14T", "Infinity", "+9999999-01-01", "2023/11/14", "0000-01-00"}) {
    Date date{7};
    EXPECT_FALSE(parseDate(text, date)) << text;
    EXPECT_EQ(date.days, 7);
  }
  for (const char* text :
       {"", "2023-11-14", "2023-11-14T22:13", "2023-11-14T24:00:00", "2023-11-14T22:60:00", "2023-11-14T22:13:60",
        "2023-11-14T22:13:20.", "2023-11-14T22:13:20.1234567", "2023-11-14T22:13:20z", "2023-11-14T22:13:20+5",
        "2023-11-14T22:13:20+24", "2023-11-14T22:13:20+05:", "2023-11-14T22:13:20+0530", "2023-11-14t22:13:20Z",
        "2023-11-14T22:13:20ZZ", "1700000000", "1700000000000", "2023-11-14T22:13:20 Z", "now"}) {
    Timestamp timestamp = Timestamp::utc(7);
    EXPECT_FALSE(parseTimestamp(text, timestamp)) << text;
    EXPECT_TRUE(timestamp == Timestamp::utc(7));
  }
  for (const char* text : {"", "1:00:00", "12:00", "12:60:00", "12:00:60", "012:00:00", "--12:00:00", "12:00:00Z",
                           "+12:00:00", "99999999999:00:00", "2562047788:00:55", "120000"}) {
    Time time{7};
    EXPECT_FALSE(parseTime(text, time)) << text;
    EXPECT_EQ(time.micros, 7);
  }
}

TEST(Iso, AgreesWithTheCalendarOfChrono) {
  test::forEachSeed(2000, [](std::uint64_t seed) {
    test::Random random(seed);
    const auto days = static_cast<std::int32_t>(random.between(dayNumber(-9999, 1, 1), dayNumber(32767, 12, 31)));
    const std::chrono::year_month_day civil{std::chrono::sys_days(std::chrono::days(days))};
    const std::string text = toIso(Date{days});
    const int year = static_cast<int>(civil.year());
    const std::size_t dash = text.find('-', 1);
    EXPECT_EQ(std::stoi(text.substr(0, dash)), year);
    EXPECT_EQ(std::stoul(text.substr(dash + 1, 2)), static_cast<unsigned>(civil.month()));
    EXPECT_EQ(std::stoul(text.substr(dash + 4, 2)), static_cast<unsigned>(civil.day()));
    Date read;
    ASSERT_TRUE(parseDate(text, read)) << text;
    EXPECT_EQ(read.days, days);
  });
}

TEST(Iso, ReadsEveryTimeItWrites) {
  test::forEachSeed(2000, [](std::uint64_t seed) {
    test::Random random(seed);
    const std::int64_t micros = static_cast<std::int64_t>(random.bits());
    const std::int64_t cut = random.chance(50) ? micros : micros / kSecond * kSecond;
    const Timestamp stamp{cut, random.chance(50)};
    Timestamp readStamp;
    ASSERT_TRUE(parseTimestamp(toIso(stamp), readStamp)) << toIso(stamp);
    EXPECT_TRUE(readStamp == stamp) << toIso(stamp);
    Time readTime;
    ASSERT_TRUE(parseTime(toIso(Time{cut}), readTime)) << toIso(Time{cut});
    EXPECT_EQ(readTime.micros, cut);
  });
}

TEST(Iso, ReadsUuidsInEitherCaseAndWritesLowerCase) {
  Uuid uuid;
  ASSERT_TRUE(parseUuid("F81D4FAE-7dec-11d0-A765-00a0c91e6bf6", uuid));
  EXPECT_EQ(toIso(uuid), "f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
  for (const char* text : {"", "f81d4fae7dec11d0a76500a0c91e6bf6", "f81d4fae-7dec-11d0-a765-00a0c91e6bf",
                           "{f81d4fae-7dec-11d0-a765-00a0c91e6bf6}", "f81d4fae-7dec-11d0-a765-00a0c91e6bg6",
                           "f81d4fae07dec-11d0-a765-00a0c91e6bf6"}) {
    EXPECT_FALSE(parseUuid(text, uuid)) << text;
  }
}

TEST(Decimals, HaveDigitsOnBothSidesOfThePoint) {
  for (const char* good : {"0", "-0", "12", "12.50", "-0.001", "007", "NaN", "Infinity", "-Infinity"})
    EXPECT_TRUE(isDecimal(good)) << good;
  for (const char* bad :
       {"", "-", "+1", ".5", "5.", "1e5", "1.2.3", " 1", "1 ", "nan", "inf", "-NaN", "0x10", "1,5", "--1"}) {
    EXPECT_FALSE(isDecimal(bad)) << bad;
  }
}

}  // namespace
}  // namespace tidegate
