#include "gateway/detail/dedupe_window.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <utility>

namespace tidegate::detail {
namespace {

constexpr std::uint64_t kSeed = 7;

SeenKey key(std::uint64_t i) { return {i, (i << 2) | 1}; }

bool addOne(DedupeWindow& window, const SeenKey& key) {
  window.reserve(1);
  return window.add(key);
}

TEST(DedupeWindow, AddsAKeyOnce) {
  DedupeWindow window(10, kSeed);
  EXPECT_TRUE(addOne(window, key(1)));
  EXPECT_FALSE(addOne(window, key(1)));
  EXPECT_EQ(window.size(), 1u);
}

TEST(DedupeWindow, DoesNotAddAKeyOfTheOlderGenerationAgain) {
  DedupeWindow window(2, kSeed);
  addOne(window, key(1));
  addOne(window, key(2));
  ASSERT_TRUE(window.turn());
  EXPECT_FALSE(addOne(window, key(1)));
  EXPECT_EQ(window.size(), 2u);
}

TEST(DedupeWindow, ForgetsAKeyTwoGenerationsLater) {
  DedupeWindow window(1, kSeed);
  addOne(window, key(1));
  window.turn();
  addOne(window, key(2));
  window.turn();
  EXPECT_TRUE(addOne(window, key(1)));
}

TEST(DedupeWindow, AddsAKeyAgainThatWasTakenBack) {
  DedupeWindow window(10, kSeed);
  addOne(window, key(1));
  window.undo(key(1));
  EXPECT_TRUE(addOne(window, key(1)));
}

TEST(DedupeWindow, RemembersNothingWithoutCapacity) {
  DedupeWindow window(0, kSeed);
  EXPECT_TRUE(addOne(window, key(1)));
  EXPECT_TRUE(addOne(window, key(1)));
  EXPECT_EQ(window.size(), 0u);
}

TEST(DedupeWindow, AgreesWithASetWhileItGrowsAndKeysAreTakenBack) {
  DedupeWindow window(1'000'000, kSeed);
  std::set<std::pair<std::uint64_t, std::uint64_t>> model;
  std::mt19937_64 random(kSeed);
  for (int i = 0; i < 20'000; ++i) {
    const SeenKey any = key(random() % 8'000);
    if (random() % 4 == 0 && model.erase({any.high, any.low}) != 0) window.undo(any);
    ASSERT_EQ(addOne(window, any), model.insert({any.high, any.low}).second) << "step " << i;
    ASSERT_EQ(window.size(), model.size());
  }
}

}  // namespace
}  // namespace tidegate::detail
