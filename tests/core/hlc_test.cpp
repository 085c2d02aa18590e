#include "tidegate/core/hlc.h"

#include <gtest/gtest.h>

#include "support/manual_clock.h"
#include "support/property.h"
#include "tidegate/core/error.h"

namespace tidegate {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using test::ManualClock;

TEST(Hlc, HoldsMillisecondsAndCounter) {
  constexpr Hlc stamp = Hlc::of(1'700'000'000'000, 7);
  EXPECT_EQ(stamp.text(), "111411200000000007");
  EXPECT_EQ(stamp.millis(), 1'700'000'000'000u);
  EXPECT_EQ(stamp.counter(), 7);
  EXPECT_TRUE(Hlc::parse("111411200000000007") == stamp);
}

TEST(Hlc, ReadsDecimalStringsOf64BitsOnly) {
  EXPECT_EQ(Hlc::parse("18446744073709551615")->raw, UINT64_MAX);
  EXPECT_EQ(Hlc::parse("00000000000000000001")->raw, 1u);
  for (const char* bad :
       {"", "-1", "+1", "1.0", "1e3", " 1", "1 ", "0x1", "18446744073709551616", "000000000000000000001"}) {
    EXPECT_FALSE(Hlc::parse(bad).has_value()) << bad;
  }
}

TEST(HlcClock, FollowsTheWallClock) {
  ManualClock wall(milliseconds(1000));
  HlcClock clock(wall);
  EXPECT_EQ(clock.now(), Hlc::of(1000, 0));
  EXPECT_EQ(clock.now(), Hlc::of(1000, 1));
  wall.advance(milliseconds(5));
  EXPECT_EQ(clock.now(), Hlc::of(1005, 0));
}

TEST(HlcClock, GoesOnWhenTheWallClockStepsBack) {
  ManualClock wall(milliseconds(1000));
  HlcClock clock(wall);
  const Hlc before = clock.now();
  wall.stepWall(-milliseconds(900));
  EXPECT_EQ(clock.now().raw, before.raw + 1);
}

TEST(HlcClock, CarriesAFullCounterIntoTheMilliseconds) {
  ManualClock wall(milliseconds(1000));
  HlcClock clock(wall);
  clock.restore(Hlc::of(1000, 0xFFFF));
  EXPECT_EQ(clock.now(), Hlc::of(1001, 0));
  EXPECT_EQ(clock.reserve(70'000), Hlc::of(1001, 1));
  EXPECT_EQ(clock.last(), Hlc::of(1002, 70'000 - 65'536));
  EXPECT_EQ(clock.now().raw, Hlc::of(1002, 70'000 - 65'536).raw + 1);
}

TEST(HlcClock, RefusesARemoteStampOneMillisecondOverMaxDrift) {
  ManualClock wall(milliseconds(1000) + microseconds(999));
  HlcClock clock(wall, {.maxDrift = milliseconds(5000)});
  EXPECT_TRUE(clock.acceptable(Hlc::of(6000, 0xFFFF)));
  EXPECT_FALSE(clock.acceptable(Hlc::of(6001, 0)));
  try {
    clock.receive(Hlc::of(6001, 0));
    FAIL() << "accepted";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::clockDrift);
    EXPECT_EQ(e.retry(), Retry::later);
    EXPECT_NE(e.message().find("5001 ms"), std::string::npos) << e.message();
  }
  EXPECT_EQ(clock.last(), Hlc{}) << "a refused stamp leaves the clock alone";
  clock.receive(Hlc::of(6000, 0xFFFF));
  EXPECT_EQ(clock.now(), Hlc::of(6001, 0));
}

TEST(HlcClock, AcceptsWhatItHasAlreadyPassed) {
  ManualClock wall(milliseconds(1000));
  HlcClock clock(wall, {.maxDrift = milliseconds(0)});
  clock.restore(Hlc::of(90'000, 3));
  EXPECT_TRUE(clock.acceptable(Hlc::of(90'000, 3)));
  EXPECT_FALSE(clock.acceptable(Hlc::of(90'000, 4)));
  clock.receive(Hlc::of(90'000, 3));
  EXPECT_EQ(clock.last(), Hlc::of(90'000, 3));
}

TEST(HlcClock, NeverRepeatsAtTheEndOfItsRange) {
  ManualClock wall(milliseconds(1000));
  HlcClock clock(wall);
  clock.restore(Hlc{UINT64_MAX - 1});
  EXPECT_THROW(clock.reserve(2), Error);
  EXPECT_EQ(clock.now(), Hlc{UINT64_MAX});
  EXPECT_THROW(clock.now(), Error);
  EXPECT_EQ(clock.last(), Hlc{UINT64_MAX});
}

TEST(HlcClock, TakesWallTimesThatAStampCannotHold) {
  ManualClock wall(milliseconds(-5));
  HlcClock clock(wall);
  EXPECT_EQ(clock.now(), Hlc{1});
  wall.setWall(milliseconds(INT64_MAX / 1000));
  EXPECT_EQ(clock.now(), Hlc::of(Hlc::kMaxMillis, 0));
}

TEST(HlcClock, RefusesImpossibleRequests) {
  ManualClock wall;
  EXPECT_THROW(HlcClock(wall, {.maxDrift = milliseconds(-1)}), Error);
  HlcClock clock(wall);
  EXPECT_THROW(clock.reserve(0), Error);
}

TEST(HlcClock, IsStrictlyIncreasingWhateverTheWallClockDoes) {
  test::forEachSeed(1000, [](std::uint64_t seed) {
    test::Random random(seed);
    ManualClock wall;
    HlcClock clock(wall);
    std::uint64_t greatest = 0;
    for (int step = 0; step < 60; ++step) {
      wall.stepWall(microseconds(random.between(-20'000'000, 20'000'000) / (random.chance(70) ? 1000 : 1)));
      const std::uint64_t wallMillis = static_cast<std::uint64_t>(wall.wallNow().count() / 1000);
      if (random.chance(40)) {
        const Hlc remote = Hlc::of(wallMillis + random.below(10'000), static_cast<std::uint16_t>(random.below(65'536)));
        const bool expected = remote.raw <= greatest || remote.millis() <= wallMillis + 5000;
        EXPECT_EQ(clock.acceptable(remote), expected);
        if (expected) {
          clock.receive(remote);
          greatest = std::max(greatest, remote.raw);
        } else {
          EXPECT_THROW(clock.receive(remote), Error);
        }
      } else {
        const std::uint64_t count = random.chance(10) ? 1 + random.below(200'000) : 1;
        const Hlc first = clock.reserve(count);
        EXPECT_GT(first.raw, greatest);
        EXPECT_GE(first.millis(), wallMillis);
        greatest = first.raw + count - 1;
      }
      EXPECT_EQ(clock.last().raw, greatest);
    }
  });
}

}  // namespace
}  // namespace tidegate
