#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "jobs/zone_oracle.h"
#include "jobs/zones.h"
#include "support/property.h"
#include "tidegate/jobs/cron.h"

namespace tidegate::test {
namespace {

/// One field as a text, and by itself what it holds.
struct RandomField {
  std::string text;
  std::vector<bool> holds;
  bool star = false;
};

RandomField randomField(Random& random, int low, int high, unsigned starPercent) {
  RandomField out;
  out.holds.resize(static_cast<std::size_t>(high) + 1);
  const auto put = [&](int from, int to, int step) {
    for (int i = from; i <= to; i += step) out.holds[static_cast<std::size_t>(i)] = true;
  };
  const auto number = [&](int from, int to) { return static_cast<int>(random.between(from, to)); };
  if (random.chance(starPercent)) {
    out.star = true;
    const int step = random.chance(50) ? 1 : number(1, high);
    put(low, high, step);
    out.text = step == 1 ? "*" : "*/" + std::to_string(step);
    return out;
  }
  const int parts = number(1, 3);
  for (int i = 0; i < parts; ++i) {
    if (i > 0) out.text += ",";
    const int from = number(low, high);
    const int to = number(from, high);
    const int step = number(1, 7);
    switch (random.below(4)) {
      case 0:
        put(from, to, 1);
        out.text += std::to_string(from) + "-" + std::to_string(to);
        break;
      case 1:
        put(from, to, step);
        out.text += std::to_string(from) + "-" + std::to_string(to) + "/" + std::to_string(step);
        break;
      case 2:
        put(from, high, step);
        out.text += std::to_string(from) + "/" + std::to_string(step);
        break;
      default:
        put(from, from, 1);
        out.text += std::to_string(from);
    }
  }
  return out;
}

struct RandomCron {
  explicit RandomCron(Random& random, bool withSeconds)
      : second(withSeconds ? randomField(random, 0, 59, 20) : RandomField{"", {true}}),
        minute(randomField(random, 0, 59, 25)),
        hour(randomField(random, 0, 23, 40)),
        day(randomField(random, 1, 31, 60)),
        month(randomField(random, 1, 12, 85)),
        weekday(randomField(random, 0, 6, 60)) {
    second.holds.resize(60);
    text = withSeconds ? second.text + " " : "";
    text += minute.text + " " + hour.text + " " + day.text + " " + month.text + " " + weekday.text;
  }
  bool holds(const std::tm& at) const {
    const auto in = [](const RandomField& field, int value) { return field.holds[static_cast<std::size_t>(value)]; };
    if (!in(second, at.tm_sec) || !in(minute, at.tm_min) || !in(hour, at.tm_hour)) return false;
    if (!in(month, at.tm_mon + 1)) return false;
    const bool byDay = in(day, at.tm_mday), byWeekday = in(weekday, at.tm_wday);
    return day.star || weekday.star ? byDay && byWeekday : byDay || byWeekday;
  }

  RandomField second, minute, hour, day, month, weekday;
  std::string text;
};

/// Walks through time step by step, as nobody would who is in a hurry.
std::vector<std::int64_t> walk(const RandomCron& cron, const ZoneOracle& zone, std::int64_t from, std::int64_t to,
                               std::int64_t step) {
  constexpr std::int64_t kBefore = 3 * 86'400;
  std::vector<std::int64_t> ticks;
  std::int64_t offset = zone.offset(from - kBefore);
  std::int64_t cameBefore = INT64_MIN;  // local times up to here were in the stretch before
  for (std::int64_t at = from - kBefore; at <= to; at += step) {
    const std::tm local = zone.local(at);
    bool fires = cron.holds(local);
    if (local.tm_gmtoff != offset) {
      cameBefore = at + offset;
      if (!cron.hour.star) {
        for (std::int64_t left = at + offset; left < at + local.tm_gmtoff; left += step) {
          fires = fires || cron.holds(wallTime(left));
        }
      }
      offset = local.tm_gmtoff;
    }
    const bool again = !cron.hour.star && at + offset < cameBefore;
    if (fires && !again && at >= from) ticks.push_back(at);
  }
  return ticks;
}

/// A moment near a change of the zone's offset, if it has one within the three years after a random one.
std::int64_t interestingMoment(Random& random, const ZoneOracle& zone) {
  const std::int64_t start = utcSeconds(static_cast<int>(random.between(1990, 2090)), 1, 1);
  for (std::int64_t at = start; at < start + 3 * 366 * 86'400LL; at += 3'600) {
    if (zone.offset(at) != zone.offset(at + 3'600) && random.chance(60)) return at;
  }
  return start + random.between(0, 86'400 * 365LL) / 60 * 60;
}

void checkAgainstWalk(std::uint64_t seed, bool withSeconds, std::int64_t width) {
  Random random(seed);
  const std::string name = random.pick(kZones);
  const ZoneOracle oracle(name);
  const auto zone = TimeZone::load(name);
  const RandomCron random_cron(random, withSeconds);
  const std::int64_t step = withSeconds ? 1 : 60;
  const std::int64_t middle = interestingMoment(random, oracle) / 60 * 60;
  SCOPED_TRACE("cron " + random_cron.text + " in " + name + " around " + std::to_string(middle));
  std::optional<Cron> cron;
  try {
    cron = Cron::parse(random_cron.text);
  } catch (const std::exception& e) {
    // Only a day that never comes: the generator makes such days (February 30th), and the walk finds nothing.
    ASSERT_NE(std::string(e.what()).find("never comes"), std::string::npos) << e.what();
    ASSERT_TRUE(walk(random_cron, oracle, middle, middle + width, step).empty());
    return;
  }
  const std::int64_t from = middle - width, to = middle + width;
  const std::vector<std::int64_t> ticks = walk(random_cron, oracle, from, to, step);
  std::vector<std::int64_t> forward, backward;
  const auto micros = [](std::int64_t s) { return Clock::Micros(std::chrono::seconds(s)); };
  for (auto at = cron->next(micros(from) - Clock::Micros(1), *zone); at && *at <= micros(to);
       at = cron->next(*at, *zone)) {
    forward.push_back(at->count() / 1'000'000);
  }
  for (auto at = cron->previous(micros(to) + Clock::Micros(1), *zone); at && *at >= micros(from);
       at = cron->previous(*at, *zone)) {
    backward.insert(backward.begin(), at->count() / 1'000'000);
  }
  EXPECT_EQ(forward, ticks);
  EXPECT_EQ(backward, ticks);
}

TEST(CronLaws, EveryTickIsWhereAMinuteByMinuteWalkFindsIt) {
  forEachSeed(500, [](std::uint64_t seed) { checkAgainstWalk(seed, false, 3 * 86'400); });
}

TEST(CronLaws, EveryTickIsWhereASecondBySecondWalkFindsIt) {
  forEachSeed(40, [](std::uint64_t seed) { checkAgainstWalk(seed, true, 10'800); });
}

TEST(CronLaws, NextAndPreviousLeadBackToEachOther) {
  forEachSeed(300, [](std::uint64_t seed) {
    Random random(seed);
    const auto zone = TimeZone::load(random.pick(kZones));
    const RandomCron random_cron(random, random.chance(30));
    SCOPED_TRACE(random_cron.text + " in " + zone->name());
    std::optional<Cron> cron;
    try {
      cron = Cron::parse(random_cron.text);
    } catch (const std::exception&) {
      return;
    }
    Clock::Micros at(random.between(utcSeconds(1980, 1, 1), utcSeconds(2100, 1, 1)) * 1'000'000);
    for (int i = 0; i < 20; ++i) {
      const auto next = cron->next(at, *zone);
      ASSERT_TRUE(next);
      ASSERT_GT(*next, at);
      const auto back = cron->previous(*next, *zone);
      ASSERT_TRUE(back);
      ASSERT_LE(*back, at);
      ASSERT_EQ(cron->previous(*next + Clock::Micros(1), *zone), next);
      at = *next;
    }
  });
}

}  // namespace
}  // namespace tidegate::test
