#include "simulation/simulation.h"

#include <gtest/gtest.h>

namespace tidegate::sim {
namespace {

/// The first seed of `count` that a mutation makes fail, or 0.
std::uint64_t caughtAt(Mutation mutation, std::uint64_t count) {
  for (std::uint64_t seed = 1; seed <= count; ++seed) {
    if (runSeed({.seed = seed, .mutation = mutation}).failure) return seed;
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
