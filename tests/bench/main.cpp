/// tidegate_bench [--list] [NAME…]: runs the named benchmarks (all by default) and prints JSON lines. Exit code 1 if a
/// bar does not hold.
#include <fmt/format.h>

#include <cstdio>
#include <cstring>
#include <exception>

#include "bench/harness.h"

namespace tidegate::bench {
namespace {

int failedBars = 0;

bool wanted(const char* name, int argc, char** argv) {
  if (argc < 2) return true;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(name, argv[i]) == 0) return true;
  }
  return false;
}

bool knows(const char* name) {
  for (const Benchmark& b : benchmarks()) {
    if (std::strcmp(b.name, name) == 0) return true;
  }
  return false;
}

int runAll(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--list") == 0) {
    for (const Benchmark& b : benchmarks()) fmt::print("{:<16} {}\n", b.name, b.what);
    return 0;
  }
  for (int i = 1; i < argc; ++i) {
    if (knows(argv[i])) continue;
    fmt::print(stderr, "no benchmark is called \"{}\"; --list names them\n", argv[i]);
    return 2;
  }
  for (const Benchmark& b : benchmarks()) {
    if (wanted(b.name, argc, argv)) b.run();
  }
  return failedBars == 0 ? 0 : 1;
}

}  // namespace

std::vector<Benchmark>& benchmarks() {
  static std::vector<Benchmark> all;
  return all;
}

void report(const Result& r) {
  const char* better = r.better == Better::lower ? "lower" : "higher";
  fmt::print(
      R"({{"name":"{}","value":{:.6g},"unit":"{}","limit":{:.6g},"ratio":{:.3f},"better":"{}","bar":{:g},"holds":{}}})"
      "\n",
      r.name, r.value, r.unit, r.limit, r.ratio(), better, r.bar, r.holds());
  std::fflush(stdout);
  if (!r.holds()) ++failedBars;
}

void reportFigure(const std::string& name, double value, const std::string& unit) {
  fmt::print(R"({{"name":"{}","value":{:.6g},"unit":"{}"}})"
             "\n",
             name, value, unit);
  std::fflush(stdout);
}

}  // namespace tidegate::bench

int main(int argc, char** argv) {
  try {
    return tidegate::bench::runAll(argc, argv);
  } catch (const std::exception& e) {
    fmt::print(stderr, "tidegate_bench: {}\n", e.what());
    return 2;
  }
}
