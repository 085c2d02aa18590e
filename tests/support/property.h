/// Property tests over many seeds. TIDEGATE_SEED=n runs exactly that seed, TIDEGATE_SEEDS=n that many,
/// TIDEGATE_SEEDS_PERCENT=n that part of each test's own number. With a sanitizer most run a quarter of theirs: it
/// looks for what any seed does, and takes ten times as long. CI runs a tenth (tests/run.sh).
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <random>
#include <string>
#include <utility>

#include "support/sanitized.h"

namespace tidegate::test {

/// How many of `count` seeds forEachSeed runs: at least one. TIDEGATE_SEEDS, which names a number, is not looked at
/// here.
inline std::uint64_t seedsOf(std::uint64_t count) {
  std::uint64_t percent = kSanitized ? 25 : 100;
  if (const char* part = std::getenv("TIDEGATE_SEEDS_PERCENT")) percent = std::strtoull(part, nullptr, 10);
  return (count * (percent == 0 ? 1 : percent) + 99) / 100;
}

/// Calls `body(seed)` for seeds 1..count, with the seed in every failure's message; stops at the first failing seed.
/// All of them with a sanitizer too: for tests that count over their seeds.
template <class Body>
void forAllSeeds(std::uint64_t count, Body&& body) {
  std::uint64_t first = 1;
  if (const char* many = std::getenv("TIDEGATE_SEEDS")) count = std::strtoull(many, nullptr, 10);
  if (const char* one = std::getenv("TIDEGATE_SEED")) {
    first = std::strtoull(one, nullptr, 10);
    count = 1;
  }
  for (std::uint64_t seed = first; seed - first < count; ++seed) {
    SCOPED_TRACE("TIDEGATE_SEED=" + std::to_string(seed));
    body(seed);
    if (::testing::Test::HasFailure()) return;
  }
}

/// The same over seedsOf(count) of them.
template <class Body>
void forEachSeed(std::uint64_t count, Body&& body) {
  forAllSeeds(seedsOf(count), std::forward<Body>(body));
}

/// A seeded source of choices, the same on every machine (std distributions are not).
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed * 0x9E3779B97F4A7C15ULL + 1) {}
  std::uint64_t bits() { return engine_(); }
  /// 0..bound-1; bound > 0.
  std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }
  std::size_t index(std::size_t size) { return static_cast<std::size_t>(below(size)); }
  /// low..high, both included.
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low) + 1));
  }
  bool chance(unsigned percent) { return below(100) < percent; }
  template <class Container>
  const auto& pick(const Container& from) {
    return from[index(std::size(from))];
  }
  template <class Container>
  void shuffle(Container& what) {
    for (std::size_t i = what.size(); i > 1; --i) std::swap(what[i - 1], what[index(i)]);
  }
  std::mt19937_64& engine() { return engine_; }

 private:
  std::mt19937_64 engine_;
};

}  // namespace tidegate::test
