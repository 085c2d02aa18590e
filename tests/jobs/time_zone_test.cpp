#include "tidegate/jobs/time_zone.h"

#include <gtest/gtest.h>

#include <string>

#include "jobs/zone_oracle.h"
#include "jobs/zones.h"
#include "support/property.h"
#include "tidegate/core/error.h"

namespace tidegate::test {
namespace {

TEST(TimeZone, AgreesWithTheCLibraryAtAnyMoment) {
  forEachSeed(60, [](std::uint64_t seed) {
    Random random(seed);
    const std::string name = random.pick(kZones);
    SCOPED_TRACE(name);
    const ZoneOracle oracle(name);
    const auto zone = TimeZone::load(name);
    for (int i = 0; i < 400; ++i) {
      const std::int64_t at = random.between(utcSeconds(1972, 1, 1), utcSeconds(2120, 1, 1));
      ASSERT_EQ(zone->at(at).offset.count(), oracle.offset(at)) << at;
    }
  });
}

TEST(TimeZone, StretchesMeetAndEachChangesTheOffset) {
  for (const std::string name : kZones) {
    SCOPED_TRACE(name);
    const auto zone = TimeZone::load(name);
    std::int64_t at = utcSeconds(1970, 1, 1);
    for (int i = 0; i < 300; ++i) {
      const TimeZone::Segment here = zone->at(at);
      ASSERT_LE(here.start, at);
      ASSERT_GT(here.end, at);
      if (here.end == TimeZone::kForEver) break;
      const TimeZone::Segment after = zone->at(here.end);
      ASSERT_EQ(after.start, here.end);
      at = here.end;
    }
  }
}

TEST(TimeZone, FollowsTheRuleAfterTheLastListedChange) {
  const auto zone = TimeZone::load("Europe/Berlin");
  EXPECT_EQ(zone->at(utcSeconds(2500, 7, 1)).offset, std::chrono::hours(2));
  EXPECT_EQ(zone->at(utcSeconds(2500, 12, 1)).offset, std::chrono::hours(1));
}

TEST(TimeZone, RefusesNamesThatAreNone) {
  for (const char* name : {"", "Europe/Atlantis", "../../etc/passwd", "/etc/passwd", "Europe//Berlin", "Europe",
                           "zone.tab", "Europe/Berlin\n", "a/../UTC"}) {
    try {
      TimeZone::load(name);
      FAIL() << name;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::invalidConfig) << name;
      EXPECT_EQ(e.retry(), Retry::never) << name;
    }
  }
}

TEST(TimeZone, RefusesDamagedFiles) {
  std::string whole = "TZif2";
  for (std::size_t size = 0; size < 60; ++size) {
    std::string part = whole;
    part.resize(size, '\0');
    EXPECT_THROW(TimeZone::parse("damaged", part), Error) << size;
  }
  std::string many = "TZif2";
  many.resize(44, '\xFF');
  EXPECT_THROW(TimeZone::parse("many", many), Error);
}

}  // namespace
}  // namespace tidegate::test
