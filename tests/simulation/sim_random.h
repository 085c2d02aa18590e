/// The simulation's only source of chance: the same seed gives the same numbers with every compiler and library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tidegate::sim {

/// splitmix64 (Steele, Lea and Flood, 2014) with distributions of its own: the standard's differ between libraries.
class SimRandom {
 public:
  explicit SimRandom(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  /// 0..n-1; n >= 1.
  std::uint64_t below(std::uint64_t n) { return next() % n; }
  /// lo..hi, both included.
  std::int64_t between(std::int64_t lo, std::int64_t hi) {
    return lo + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(hi - lo) + 1));
  }
  bool chance(unsigned percent) { return below(100) < percent; }
  bool permille(unsigned n) { return below(1000) < n; }
  template <class T>
  const T& pick(const std::vector<T>& items) {
    return items[static_cast<std::size_t>(below(items.size()))];
  }
  /// An independent stream, so that one actor's draws do not shift another's.
  SimRandom fork() { return SimRandom(next()); }

 private:
  std::uint64_t state_;
};

}  // namespace tidegate::sim
