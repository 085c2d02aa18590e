#include "simulation/simulation.h"

#include <gtest/gtest.h>

namespace tidegate::sim {
namespace {

/// The first seed of `count` that a mutation makes fail, or 0.
std::uint64_t caughtAt(Mutation mutation, std::uint64_t count, bool several = false) {
  for (std::uint64_t seed = 1; seed <= count; ++seed) {
    if (runSeed({.seed = seed, .mutation = mutation, .several = several}).failure) return seed;
  }
  return 0;
}

TEST(Simulation, FiftySeedsHold) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const RunResult result = runSeed({.seed = seed});
    ASSERT_FALSE(result.failure) << "seed " << seed << ": " << *result.failure
                                 << "\nreplay: tests/simulation/run.sh --seed " << seed;
    EXPECT_GT(result.events, 0u);
  }
}

TEST(Simulation, SixtySeedsHoldWithSeveralGatewaysOverOneLog) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    const RunResult result = runSeed({.seed = seed, .several = true});
    ASSERT_FALSE(result.failure) << "seed " << seed << ": " << *result.failure
                                 << "\nreplay: tests/simulation/run.sh --gateways --seed " << seed;
    EXPECT_GT(result.events, 0u);
  }
}

TEST(Simulation, WithSeveralGatewaysTooTheSameSeedTwiceGivesTheSameTrace) {
  for (std::uint64_t seed = 101; seed <= 105; ++seed) {
    EXPECT_EQ(runSeed({.seed = seed, .several = true}).traceHash, runSeed({.seed = seed, .several = true}).traceHash);
  }
}

TEST(Simulation, CatchesAnEntryThatOneOfSeveralGatewaysNeverSees) {
  EXPECT_NE(caughtAt(Mutation::hideEntry, 10, true), 0u);
}

TEST(Simulation, CatchesAnEntryInAnothersPlaceThoughItSaysTheSame) {
  EXPECT_NE(caughtAt(Mutation::otherEntry, 10, true), 0u);
}

TEST(Simulation, TheSameSeedTwiceGivesTheSameTrace) {
  for (std::uint64_t seed = 101; seed <= 110; ++seed) {
    const RunResult first = runSeed({.seed = seed}), second = runSeed({.seed = seed});
    EXPECT_EQ(first.traceHash, second.traceHash) << "seed " << seed;
    EXPECT_EQ(first.events, second.events) << "seed " << seed;
  }
}

TEST(Simulation, DifferentSeedsGiveDifferentTraces) {
  EXPECT_NE(runSeed({.seed = 1}).traceHash, runSeed({.seed = 2}).traceHash);
}

TEST(Simulation, CatchesADeltaThatIsSilentlyDroppedFromAPush) { EXPECT_NE(caughtAt(Mutation::dropDelta, 10), 0u); }

TEST(Simulation, CatchesAValueThatIsChangedOnItsWay) { EXPECT_NE(caughtAt(Mutation::corruptValue, 40), 0u); }

TEST(Simulation, CatchesAStoreThatLosesAnAcknowledgedCommit) { EXPECT_NE(caughtAt(Mutation::loseCommit, 40), 0u); }

TEST(Simulation, CatchesAQueryThatLeavesOutARow) { EXPECT_NE(caughtAt(Mutation::hideRow, 10), 0u); }

TEST(Simulation, CatchesAClientThatForgetsADelta) { EXPECT_NE(caughtAt(Mutation::forgetDelta, 10), 0u); }

}  // namespace
}  // namespace tidegate::sim
