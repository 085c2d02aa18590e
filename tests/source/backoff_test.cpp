#include "tidegate/source/backoff.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "support/manual_clock.h"
#include "support/property.h"

namespace tidegate {
namespace {

using namespace std::chrono_literals;
using test::forEachSeed;
using test::ManualClock;
using test::ManualScheduler;
using test::Random;

const Error kBroken(ErrorCode::connectionFailed, Retry::later, "the connection to \"shop\" broke");

TEST(Backoff, EachDelayLiesBetweenHalfAndAllOfADoubledOneAndNeverOverTheMost) {
  forEachSeed(200, [](std::uint64_t seed) {
    Random random(seed);
    const BackoffOptions options{.firstDelay = std::chrono::milliseconds(random.between(1, 500)),
                                 .maxDelay = std::chrono::milliseconds(random.between(500, 60'000)),
                                 .maxRetries = UINT32_MAX};
    Backoff backoff(options, seed);
    auto full = options.firstDelay;
    for (int failure = 0; failure < 80; ++failure) {
      const auto wait = backoff.next();
      ASSERT_TRUE(wait);
      EXPECT_LE(*wait, full);
      EXPECT_GE(*wait * 2, full);
      full = std::min(full * 2, options.maxDelay);
    }
  });
}

TEST(Backoff, ASuccessBringsTheShortDelaysBack) {
  Backoff backoff({.firstDelay = 100ms, .maxDelay = 10s, .maxRetries = 6}, 1);
  for (int round = 0; round < 10; ++round) {
    for (int failure = 0; failure < 6; ++failure) EXPECT_TRUE(backoff.next());
    EXPECT_EQ(backoff.failures(), 6u);
    backoff.reset();
    const auto first = backoff.next();
    ASSERT_TRUE(first);
    EXPECT_LE(*first, 100ms);
    backoff.reset();
  }
}

TEST(Backoff, EndsAfterTheRetriesAskedFor) {
  Backoff backoff({.maxRetries = 3}, 1);
  for (int failure = 0; failure < 3; ++failure) EXPECT_TRUE(backoff.next());
  EXPECT_FALSE(backoff.next());
  EXPECT_FALSE(Backoff({.maxRetries = 0}, 1).next());
}

TEST(Backoff, TwoThatFailTogetherDoNotComeBackTogether) {
  std::set<std::int64_t> firstWaits;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    firstWaits.insert(Backoff({.firstDelay = 1s, .maxDelay = 1s}, seed).next()->count());
  }
  EXPECT_GT(firstWaits.size(), 25u);
}

TEST(Backoff, RefusesADelayThatWouldNotWait) {
  EXPECT_THROW(Backoff({.firstDelay = 0ms}), Error);
  EXPECT_THROW(Backoff({.firstDelay = 2s, .maxDelay = 1s}), Error);
}

class WaitToRetry : public ::testing::Test {
 protected:
  void connect() {
    state.to(SourceState::connected, "test");
    state.to(SourceState::streaming, "test");
  }

  ManualClock clock;
  ManualScheduler scheduler{clock};
  std::vector<SourceStateChange> steps;
  SourceStateMachine state{[this](const SourceStateChange& step) { steps.push_back(step); }};
  Backoff backoff{{.firstDelay = 100ms, .maxDelay = 1s, .maxRetries = 2}, 1};
};

TEST_F(WaitToRetry, ABrokenConnectionGoesToReconnectingAndWaits) {
  connect();
  EXPECT_TRUE(waitToRetry(kBroken, backoff, state, scheduler, {}));
  EXPECT_EQ(state.state(), SourceState::reconnecting);
  EXPECT_EQ(steps.back().reason, kBroken.message());
  EXPECT_GE(scheduler.waited(), 50ms);
}

TEST_F(WaitToRetry, AConnectionThatNeverStoodStaysConnecting) {
  EXPECT_TRUE(waitToRetry(kBroken, backoff, state, scheduler, {}));
  EXPECT_EQ(state.state(), SourceState::connecting);
  EXPECT_TRUE(steps.empty());
}

TEST_F(WaitToRetry, UsedUpRetriesEndInErrorAndSayHowManyThereWere) {
  connect();
  EXPECT_TRUE(waitToRetry(kBroken, backoff, state, scheduler, {}));
  EXPECT_TRUE(waitToRetry(kBroken, backoff, state, scheduler, {}));
  try {
    waitToRetry(kBroken, backoff, state, scheduler, {});
    FAIL() << "the retries were used up";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::connectionFailed);
    EXPECT_NE(e.message().find("3 tries"), std::string::npos) << e.message();
  }
  EXPECT_EQ(state.state(), SourceState::error);
}

TEST_F(WaitToRetry, WhatNeedsAnOperatorIsNotTriedAgain) {
  connect();
  const Error lost(ErrorCode::positionLost, Retry::afterOperator, "the slot is gone");
  EXPECT_THROW(waitToRetry(lost, backoff, state, scheduler, {}), Error);
  EXPECT_EQ(state.state(), SourceState::error);
  EXPECT_EQ(scheduler.waits(), 0u);
}

TEST_F(WaitToRetry, AStopEndsTheWait) {
  connect();
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(waitToRetry(kBroken, backoff, state, scheduler, stop.get_token()));
}

}  // namespace
}  // namespace tidegate
