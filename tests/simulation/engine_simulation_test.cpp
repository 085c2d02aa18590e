#include "simulation/engine_simulation.h"

#include <gtest/gtest.h>

namespace tidegate::sim {
namespace {

/// The first seed of `count` that a mutation makes fail, or 0.
std::uint64_t caughtAt(EngineMutation mutation, std::uint64_t count) {
  for (std::uint64_t seed = 1; seed <= count; ++seed) {
    if (runEngineSeed({.seed = seed, .mutation = mutation}).failure) return seed;
  }
  return 0;
}

TEST(EngineSimulation, FiftySeedsHold) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const EngineRunResult result = runEngineSeed({.seed = seed});
    ASSERT_FALSE(result.failure) << "seed " << seed << ": " << *result.failure
                                 << "\nreplay: tests/simulation/run.sh --engine --seed " << seed;
    EXPECT_GT(result.transactions, 0u);
  }
}

TEST(EngineSimulation, TheSameSeedTwiceGivesTheSameTrace) {
  for (std::uint64_t seed = 101; seed <= 120; ++seed) {
    const EngineRunResult first = runEngineSeed({.seed = seed}), second = runEngineSeed({.seed = seed});
    EXPECT_EQ(first.traceHash, second.traceHash) << "seed " << seed;
    EXPECT_EQ(first.events, second.events) << "seed " << seed;
  }
}

TEST(EngineSimulation, DifferentSeedsGiveDifferentTraces) {
  EXPECT_NE(runEngineSeed({.seed = 1}).traceHash, runEngineSeed({.seed = 2}).traceHash);
}

class EngineSimulationMutation : public ::testing::TestWithParam<EngineMutation> {};

TEST_P(EngineSimulationMutation, IsCaughtWithinFortySeeds) { EXPECT_NE(caughtAt(GetParam(), 40), 0u); }

INSTANTIATE_TEST_SUITE_P(All, EngineSimulationMutation, ::testing::ValuesIn(engineMutations()),
                         [](const auto& one) { return std::string(toString(one.param)); });

}  // namespace
}  // namespace tidegate::sim
