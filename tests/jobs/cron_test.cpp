#include "tidegate/jobs/cron.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "jobs/zone_oracle.h"
#include "tidegate/core/error.h"
#include "tidegate/core/value.h"

namespace tidegate::test {
namespace {

Clock::Micros utc(int year, int month, int day, int hour = 0, int minute = 0, int second = 0) {
  return Clock::Micros(std::chrono::seconds(utcSeconds(year, month, day, hour, minute, second)));
}

/// The ticks after a moment, as ISO texts in UTC.
std::vector<std::string> ticks(const std::string& text, Clock::Micros after, std::size_t count,
                               const std::string& zone = "UTC") {
  const Cron cron = Cron::parse(text);
  const auto in = TimeZone::load(zone);
  std::vector<std::string> out;
  for (auto at = cron.next(after, *in); at && out.size() < count; at = cron.next(*at, *in)) {
    out.push_back(toIso(Timestamp::utc(at->count())));
  }
  return out;
}

std::string refusal(const std::string& text) {
  try {
    Cron::parse(text);
    return "";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalidConfig);
    EXPECT_EQ(e.retry(), Retry::never);
    return e.message();
  }
}

using Texts = std::vector<std::string>;

TEST(Cron, FiresAtTheMinuteNotAtTheMomentAsked) {
  EXPECT_EQ(ticks("*/15 * * * *", utc(2026, 1, 1, 0, 7, 31), 3),
            (Texts{"2026-01-01T00:15:00Z", "2026-01-01T00:30:00Z", "2026-01-01T00:45:00Z"}));
  EXPECT_EQ(ticks("0 9 * * *", utc(2026, 1, 1, 9), 1), (Texts{"2026-01-02T09:00:00Z"}));
  EXPECT_EQ(ticks("0 9 * * *", utc(2026, 1, 1, 9) - Clock::Micros(1), 1), (Texts{"2026-01-01T09:00:00Z"}));
}

TEST(Cron, ReadsSixFieldsWithSecondsFirst) {
  EXPECT_EQ(ticks("*/20 59 23 31 12 ?", utc(2026, 1, 1), 4),
            (Texts{"2026-12-31T23:59:00Z", "2026-12-31T23:59:20Z", "2026-12-31T23:59:40Z", "2027-12-31T23:59:00Z"}));
}

TEST(Cron, ReadsNamesRangesStepsAndListsInAnyCase) {
  EXPECT_EQ(ticks("30 8 * jan,Mar mon-WED/2", utc(2026, 1, 1), 3),
            (Texts{"2026-01-05T08:30:00Z", "2026-01-07T08:30:00Z", "2026-01-12T08:30:00Z"}));
  EXPECT_EQ(ticks("5/20 0 1 1 *", utc(2026, 1, 1), 3),
            (Texts{"2026-01-01T00:05:00Z", "2026-01-01T00:25:00Z", "2026-01-01T00:45:00Z"}));
}

TEST(Cron, TakesSundayAsZeroAndSeven) {
  EXPECT_EQ(ticks("0 0 * * 0", utc(2026, 1, 1), 2), ticks("0 0 * * 7", utc(2026, 1, 1), 2));
  EXPECT_EQ(ticks("0 0 * * 5-7", utc(2026, 1, 1), 3),
            (Texts{"2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z"}));
}

TEST(Cron, TakesEitherDayFieldIfBothAreRestricted) {
  EXPECT_EQ(ticks("0 0 13 * FRI", utc(2026, 1, 8), 3),
            (Texts{"2026-01-09T00:00:00Z", "2026-01-13T00:00:00Z", "2026-01-16T00:00:00Z"}));
  EXPECT_EQ(ticks("0 0 13 * ?", utc(2026, 1, 1), 2), (Texts{"2026-01-13T00:00:00Z", "2026-02-13T00:00:00Z"}));
  EXPECT_EQ(ticks("0 0 */2 * MON", utc(2026, 1, 1), 2), (Texts{"2026-01-05T00:00:00Z", "2026-01-19T00:00:00Z"}));
}

TEST(Cron, CountsDaysFromTheMonthsEnd) {
  EXPECT_EQ(ticks("0 0 L * *", utc(2028, 1, 31), 2), (Texts{"2028-02-29T00:00:00Z", "2028-03-31T00:00:00Z"}));
  EXPECT_EQ(ticks("0 0 L-2 2 *", utc(2026, 1, 1), 1), (Texts{"2026-02-26T00:00:00Z"}));
  EXPECT_EQ(ticks("0 0 * * 5L", utc(2026, 1, 1), 2), (Texts{"2026-01-30T00:00:00Z", "2026-02-27T00:00:00Z"}));
  EXPECT_EQ(ticks("0 0 * * TUE#2", utc(2026, 1, 1), 2), (Texts{"2026-01-13T00:00:00Z", "2026-02-10T00:00:00Z"}));
  EXPECT_EQ(ticks("0 0 ? * L", utc(2026, 1, 1), 1), (Texts{"2026-01-03T00:00:00Z"}));
}

TEST(Cron, KnowsTheMacros) {
  EXPECT_EQ(ticks("@hourly", utc(2026, 1, 1), 1), (Texts{"2026-01-01T01:00:00Z"}));
  EXPECT_EQ(ticks("@Daily", utc(2026, 1, 1), 1), (Texts{"2026-01-02T00:00:00Z"}));
  EXPECT_EQ(ticks("@weekly", utc(2026, 1, 1), 1), (Texts{"2026-01-04T00:00:00Z"}));
  EXPECT_EQ(ticks("@monthly", utc(2026, 1, 1), 1), (Texts{"2026-02-01T00:00:00Z"}));
  EXPECT_EQ(ticks("@yearly", utc(2026, 1, 1), 1), ticks("@annually", utc(2026, 1, 1), 1));
}

TEST(Cron, WaitsForALeapYear) { EXPECT_EQ(ticks("0 0 29 2 *", utc(2096, 3, 1), 1), (Texts{"2104-02-29T00:00:00Z"})); }

TEST(Cron, FiresATimeThatTheClockLeavesOutWhenItGoesForward) {
  // In Berlin 02:00 to 03:00 does not come on 2026-03-29.
  EXPECT_EQ(ticks("30 2 * * *", utc(2026, 3, 28), 3, "Europe/Berlin"),
            (Texts{"2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"}));
  EXPECT_EQ(ticks("*/30 2-3 29 3 *", utc(2026, 3, 28), 2, "Europe/Berlin"),
            (Texts{"2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"}));
}

TEST(Cron, FiresATimeThatComesTwiceOnce) {
  // In Berlin 02:00 to 03:00 comes twice on 2026-10-25.
  EXPECT_EQ(ticks("30 2 * * *", utc(2026, 10, 24, 12), 2, "Europe/Berlin"),
            (Texts{"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}));
}

TEST(Cron, FollowsTheTimeThatPassesWhereEveryHourIsNamed) {
  EXPECT_EQ(ticks("0 * * * *", utc(2026, 10, 24, 23, 30), 4, "Europe/Berlin"),
            (Texts{"2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z", "2026-10-25T03:00:00Z"}));
  EXPECT_EQ(ticks("0 * * * *", utc(2026, 3, 29, 0, 30), 2, "Europe/Berlin"),
            (Texts{"2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"}));
}

TEST(Cron, FiresOnceForADayThatAnIslandLeftOut) {
  // Apia had no 2011-12-30.
  EXPECT_EQ(ticks("0 9 30 12 *", utc(2011, 12, 1), 1, "Pacific/Apia"), (Texts{"2011-12-30T10:00:00Z"}));
}

TEST(Cron, RefusesDaysThatNeverCome) {
  EXPECT_NE(refusal("0 0 30 2 *").find("never comes"), std::string::npos);
  EXPECT_NE(refusal("0 0 31 2,4,6,9,11 *").find("never comes"), std::string::npos);
  EXPECT_NE(refusal("0 0 L-30 2 *").find("never comes"), std::string::npos);
  EXPECT_EQ(refusal("0 0 30 2 1"), "");
}

TEST(Cron, NamesTheFieldThatIsWrong) {
  EXPECT_NE(refusal("60 * * * *").find("minute \"60\" is not 0 to 59"), std::string::npos);
  EXPECT_NE(refusal("* 24 * * *").find("hour \"24\""), std::string::npos);
  EXPECT_NE(refusal("* * 0 * *").find("day-of-month \"0\""), std::string::npos);
  EXPECT_NE(refusal("* * * FEBR *").find("JAN to DEC"), std::string::npos);
  EXPECT_NE(refusal("* * * * 8").find("SUN to SAT"), std::string::npos);
  EXPECT_NE(refusal("* * * * FRI-MON").find("ends before it begins"), std::string::npos);
  EXPECT_NE(refusal("*/0 * * * *").find("step"), std::string::npos);
  EXPECT_NE(refusal("1,,2 * * * *").find("empty part"), std::string::npos);
  EXPECT_NE(refusal("0 0 15W * *").find("not supported"), std::string::npos);
  EXPECT_NE(refusal("* * * *").find("4 fields"), std::string::npos);
  EXPECT_NE(refusal("@reboot").find("no known macro"), std::string::npos);
}

TEST(Cron, RefusesWhatIsNoExpression) {
  for (const char* text : {"", " ", "a b c d e", "* * * * * * *", "*-5 * * * *", "1- * * * *", "-1 * * * *",
                           "1-2-3 * * * *", "*/ * * * *", "/5 * * * *", "1/2/3 * * * *", "? * * * *", "* * * * L5",
                           "* * * * #2", "99999999999 * * * *", "0 0\n* * *", "1.5 * * * *"}) {
    EXPECT_NE(refusal(text), "") << text;
  }
  EXPECT_NE(refusal(std::string(10'000, '*')), "");
}

}  // namespace
}  // namespace tidegate::test
