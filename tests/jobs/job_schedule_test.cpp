#include "jobs/detail/job_schedule.h"

#include <gtest/gtest.h>

#include "support/property.h"

namespace tidegate::test {
namespace {

using detail::JobRecord;
using detail::nextRun;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Clock::Micros kStart = std::chrono::seconds(1'767'225'600);  // 2026-01-01

JobRecord recordAt(Clock::Micros handled) {
  JobRecord record;
  record.handled = handled;
  return record;
}

TEST(JobSchedule, IsDueAtItsTickAndKnowsTheNext) {
  const Cron cron = Cron::parse("0 * * * *");
  const auto utc = TimeZone::load("UTC");
  const JobRecord record = recordAt(kStart);
  EXPECT_FALSE(nextRun(record, &cron, *utc, kStart + minutes(59), {}).due);
  EXPECT_EQ(nextRun(record, &cron, *utc, kStart + minutes(59), {}).next, kStart + hours(1));
  const auto due = nextRun(record, &cron, *utc, kStart + hours(1), {}).due;
  ASSERT_TRUE(due);
  EXPECT_EQ(due->trigger, RunTrigger::schedule);
  EXPECT_EQ(due->tick, kStart + hours(1));
}

TEST(JobSchedule, RetriesBeforeTheTickOnlyWhatMayPassByItself) {
  const Cron cron = Cron::parse("@daily");
  const auto utc = TimeZone::load("UTC");
  JobRecord record = recordAt(kStart);
  record.failures = 1;
  record.retries = true;
  record.retryAt = kStart + seconds(30);
  EXPECT_EQ(nextRun(record, &cron, *utc, kStart + seconds(1), {}).next, kStart + seconds(30));
  EXPECT_EQ(nextRun(record, &cron, *utc, kStart + seconds(30), {}).due->trigger, RunTrigger::retry);
  record.retries = false;
  EXPECT_EQ(nextRun(record, &cron, *utc, kStart + seconds(30), {}).next, kStart + hours(24));
}

TEST(JobSchedule, AWaitNeverOutlastsItsBoundWhateverTheClockDid) {
  const Cron cron = Cron::parse("* * * * *");
  const auto utc = TimeZone::load("UTC");
  JobRecord record = recordAt(kStart);
  record.failures = 3;
  record.retries = true;
  record.retryAt = kStart + hours(24 * 400);
  EXPECT_LE(*nextRun(record, &cron, *utc, kStart + minutes(5), {}).next, kStart + minutes(65));
}

TEST(JobSchedule, NoTickIsEverBothUndoneAndNotDue) {
  forEachSeed(300, [](std::uint64_t seed) {
    Random random(seed);
    const Cron cron = Cron::parse(random.pick(
        std::vector<std::string>{"* * * * *", "*/7 * * * *", "30 2 * * *", "0 0 * * MON", "15,45 */3 * * *"}));
    const auto zone = TimeZone::load(random.pick(std::vector<std::string>{"UTC", "Europe/Berlin", "America/New_York"}));
    JobRecord record = recordAt(kStart + seconds(random.between(0, 86'400 * 365)));
    record.job.catchUp = CatchUp::run;
    for (int i = 0; i < 50; ++i) {
      const Clock::Micros now = record.handled + seconds(random.between(0, random.chance(20) ? 864'000 : 3'600));
      const auto plan = nextRun(record, &cron, *zone, now, {});
      const auto tick = cron.next(record.handled, *zone);
      ASSERT_TRUE(tick);
      ASSERT_EQ(*tick <= now, plan.due.has_value());
      if (!plan.due) {
        ASSERT_EQ(plan.next, tick);
      } else {
        ASSERT_LE(*plan.due->tick, now);
        ASSERT_GT(*cron.next(*plan.due->tick, *zone), now) << "a later tick was due";
      }
      if (random.chance(50)) record.handled = std::max(record.handled, now);
    }
  });
}

TEST(JobSchedule, DelaysDoubleUpToTheirBound) {
  using std::chrono::milliseconds;
  for (std::uint64_t random : {0ull, 12'345ull, ~0ull}) {
    milliseconds last{0};
    for (std::uint32_t n = 1; n < 40; ++n) {
      const milliseconds delay = detail::retryDelay(n, milliseconds(1'000), milliseconds(60'000), random);
      const milliseconds whole = std::min(milliseconds(60'000), milliseconds(1'000) * (1u << std::min(n - 1, 6u)));
      EXPECT_LE(delay, whole);
      EXPECT_GE(delay, whole / 2);
      last = delay;
    }
  }
}

}  // namespace
}  // namespace tidegate::test
