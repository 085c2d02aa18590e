#include "tidegate/core/clock.h"

#include <gtest/gtest.h>

#include <thread>

#include "support/manual_clock.h"

namespace tidegate {
namespace {

using namespace std::chrono_literals;

TEST(SystemClock, NeverGoesBackOnTheSteadySide) {
  const auto first = systemClock().steadyNow();
  EXPECT_GE(systemClock().steadyNow(), first);
  EXPECT_GT(systemClock().wallNow().count(), 1'600'000'000'000'000);
}

TEST(SystemScheduler, WaitsAtLeastAsLongAsAsked) {
  const auto from = systemClock().steadyNow();
  EXPECT_TRUE(systemScheduler().waitFor(2ms, {}));
  EXPECT_GE(systemClock().steadyNow() - from, 2ms);
  EXPECT_TRUE(systemScheduler().waitFor(-1ms, {}));
}

TEST(SystemScheduler, ReturnsWhenStopped) {
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(systemScheduler().waitFor(1h, stop.get_token()));
  std::stop_source later;
  std::jthread stopper([&] { later.request_stop(); });
  EXPECT_FALSE(systemScheduler().waitFor(std::chrono::microseconds::max(), later.get_token()));
}

TEST(ManualScheduler, AdvancesItsClockInsteadOfWaiting) {
  test::ManualClock clock;
  test::ManualScheduler scheduler(clock);
  const auto from = clock.wallNow();
  EXPECT_TRUE(scheduler.waitFor(24h, {}));
  EXPECT_EQ(clock.wallNow() - from, 24h);
  EXPECT_EQ(scheduler.waits(), 1u);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(scheduler.waitFor(1h, stop.get_token()));
  EXPECT_EQ(clock.wallNow() - from, 24h);
}

}  // namespace
}  // namespace tidegate
