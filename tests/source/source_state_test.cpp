#include "tidegate/source/source_state.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "support/property.h"
#include "tidegate/core/error.h"

namespace tidegate {
namespace {

using enum SourceState;

constexpr std::array<SourceState, 7> kStates{connecting, connected, streaming, reconnecting, paused, error, closed};

/// The drawing in source_state.h, written out once more by hand.
const std::map<SourceState, std::set<SourceState>> kSteps{
    {connecting, {connected, error, closed}},
    {connected, {streaming, paused, reconnecting, error, closed}},
    {streaming, {connected, paused, reconnecting, error, closed}},
    {paused, {connected, streaming, reconnecting, error, closed}},
    {reconnecting, {connected, paused, error, closed}},
    {error, {connecting, reconnecting, closed}},
    {closed, {}},
};

/// Steps that lead from the beginning to each state.
const std::map<SourceState, std::vector<SourceState>> kWays{
    {connecting, {}},
    {connected, {connected}},
    {streaming, {connected, streaming}},
    {paused, {connected, paused}},
    {reconnecting, {connected, reconnecting}},
    {error, {error}},
    {closed, {closed}},
};

TEST(SourceStateMachine, TakesEveryLegalStepAndRefusesEveryOther) {
  for (const SourceState from : kStates) {
    for (const SourceState to : kStates) {
      if (from == to) continue;
      SCOPED_TRACE(std::string(toString(from)) + " -> " + std::string(toString(to)));
      std::vector<SourceStateChange> told;
      SourceStateMachine machine([&](const SourceStateChange& step) { told.push_back(step); });
      for (const SourceState step : kWays.at(from)) machine.to(step, "on the way");
      const std::size_t before = told.size();
      const bool legal = kSteps.at(from).contains(to);
      EXPECT_EQ(SourceStateMachine::allowed(from, to), legal);
      if (legal) {
        machine.to(to, "because");
        EXPECT_EQ(machine.state(), to);
        ASSERT_EQ(told.size(), before + 1);
        EXPECT_EQ(told.back().from, from);
        EXPECT_EQ(told.back().to, to);
        EXPECT_EQ(told.back().reason, "because");
      } else {
        EXPECT_THROW(machine.to(to, "because"), Error);
        EXPECT_EQ(machine.state(), from) << "a refused step changes nothing";
        EXPECT_EQ(told.size(), before) << "and nobody hears of it";
      }
    }
  }
}

TEST(SourceStateMachine, ARefusedStepNamesBothStatesAndTheReason) {
  SourceStateMachine machine;
  try {
    machine.to(streaming, "too early");
    FAIL() << "CONNECTING to STREAMING is no step";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::internal);
    for (const char* part : {"CONNECTING", "STREAMING", "too early"}) {
      EXPECT_NE(e.message().find(part), std::string::npos) << e.message();
    }
  }
}

TEST(SourceStateMachine, StayingIsNoStep) {
  int told = 0;
  SourceStateMachine machine([&](const SourceStateChange&) { ++told; });
  machine.to(connecting, "again");
  EXPECT_EQ(told, 0);
}

TEST(SourceStateMachine, TheListenerMayAskForTheStateAndSeesAnUnbrokenChain) {
  test::forEachSeed(100, [](std::uint64_t seed) {
    test::Random random(seed);
    std::vector<SourceStateChange> told;
    SourceStateMachine machine;
    machine.setListener([&](const SourceStateChange& step) {
      EXPECT_EQ(machine.state(), step.to);  // under no lock
      told.push_back(step);
    });
    SourceState expected = connecting;
    for (int i = 0; i < 60; ++i) {
      const SourceState next = random.pick(kStates);
      if (next == closed && i < 50) continue;
      const bool legal = kSteps.at(expected).contains(next);
      if (next == expected) {
        machine.to(next, "");
      } else if (legal) {
        machine.to(next, "");
        expected = next;
      } else {
        EXPECT_THROW(machine.to(next, ""), Error);
      }
      EXPECT_EQ(machine.state(), expected);
    }
    SourceState at = connecting;
    for (const SourceStateChange& step : told) {
      EXPECT_EQ(step.from, at);
      at = step.to;
    }
    EXPECT_EQ(at, expected);
  });
}

TEST(SourceStateMachine, ThreadsThatStepTogetherLoseNoStep) {
  std::atomic<int> legal{0}, told{0};
  SourceStateMachine machine([&](const SourceStateChange&) { told.fetch_add(1); });
  machine.to(connected, "");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) {
        // Any of connected, streaming, paused can follow any other.
        machine.to(std::array{connected, streaming, paused}[static_cast<std::size_t>((i + t) % 3)], "");
        legal.fetch_add(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(legal.load(), 2000);
  EXPECT_GT(told.load(), 0);
  EXPECT_LE(told.load(), 2001);
}

TEST(SourceState, HasTheNamesOfTheDesign) {
  EXPECT_EQ(toString(connecting), "CONNECTING");
  EXPECT_EQ(toString(connected), "CONNECTED");
  EXPECT_EQ(toString(streaming), "STREAMING");
  EXPECT_EQ(toString(reconnecting), "RECONNECTING");
  EXPECT_EQ(toString(paused), "PAUSED");
  EXPECT_EQ(toString(error), "ERROR");
  EXPECT_EQ(toString(closed), "CLOSED");
}

}  // namespace
}  // namespace tidegate
