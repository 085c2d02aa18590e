/// A small harness for ratios: ours and a named limit are measured alternately in the same run, because machines are
/// shared and noisy and only ratios of neighbours mean something.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace tidegate::bench {

enum class Better { lower, higher };

/// One line of output. `ratio` = value / limit; it holds if it is on the right side of `bar`.
struct Result {
  std::string name;
  double value = 0;
  std::string unit;
  double limit = 0;
  Better better = Better::lower;
  double bar = 0;
  double ratio() const { return limit == 0 ? 0 : value / limit; }
  bool holds() const { return better == Better::lower ? ratio() <= bar : ratio() >= bar; }
};

/// Prints the result as one JSON line.
void report(const Result& result);
/// Prints a figure without a bar, for reading: {"name", "value", "unit"}.
void reportFigure(const std::string& name, double value, const std::string& unit);

/// A named benchmark: it measures and calls `report`.
struct Benchmark {
  const char* name;
  const char* what;
  void (*run)();
};

/// All benchmarks, in the order of the files that register them.
std::vector<Benchmark>& benchmarks();

struct Registration {
  Registration(const char* name, const char* what, void (*run)()) { benchmarks().push_back({name, what, run}); }
};

/// Seconds that `work` takes.
template <class Work>
double secondsOf(Work&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Pair {
  double ours;
  double limit;
};

/// Medians of two measurements taken alternately. Each callable returns seconds.
template <class Ours, class Limit>
Pair measurePair(int rounds, Ours&& ours, Limit&& limit) {
  std::vector<double> a;
  std::vector<double> b;
  for (int i = 0; i < rounds; ++i) {
    b.push_back(limit());
    a.push_back(ours());
  }
  return {median(a), median(b)};
}

/// Keeps a value from being optimised away.
template <class T>
void keep(const T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

}  // namespace tidegate::bench
