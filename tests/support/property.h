/// Property tests over many seeds. TIDEGATE_SEED=n runs exactly that seed, TIDEGATE_SEEDS=n that many. With a sanitizer
/// most run a quarter of theirs: it looks for what any seed does, and takes ten times as long.
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

/// The same; a quarter of them with a sanitizer.
template <class Body>
void forEachSeed(std::uint64_t count, Body&& body) {
  forAllSeeds(kSanitized ? (count + 3) / 4 : count, std::forward<Body>(body));
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
