/// tidegate_simulate: runs seeds, stops at the first that fails, says how to replay it. See docs/simulation.md.
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "simulation/engine_simulation.h"
#include "simulation/simulation.h"

namespace {

using namespace tidegate::sim;

struct Arguments {
  std::uint64_t first = 1;
  std::uint64_t seeds = 100;
  std::uint64_t minutes = 0;
  bool replay = false;
  bool trace = false;
  bool keepGoing = false;
  bool engine = false;
  bool gateways = false;
  std::string mutation{};
};

void usage() {
  fmt::print(
      "usage: tidegate_simulate [--seeds N] [--first S] [--minutes M] [--seed S] [--trace] [--keep-going]\n"
      "                         [--mutate NAME] [--engine | --gateways]\n"
      "  --seeds N     run N seeds (100)\n"
      "  --first S     begin at seed S (1)\n"
      "  --minutes M   stop after M minutes of real time\n"
      "  --seed S      replay one seed and print its trace\n"
      "  --trace       print the trace of every run\n"
      "  --keep-going  go on after a failure\n"
      "  --engine      the simulation of the engine, not that of pollers and gateway\n"
      "  --gateways    several gateways over one replicated log, in the first simulation\n"
      "  --mutate NAME break the run on purpose: dropDelta, corruptValue, loseCommit, hideRow, forgetDelta,\n"
      "                with --gateways also hideEntry, otherEntry;\n"
      "                with --engine: ackReceived, dropFailedBatch, leaveWithoutErase, baselineGap,\n"
      "                commitBeforeApply, applyBeforeCommit, overwriteUnchanged, loseRepairs, keepLetters, "
      "blindVerify\n");
}

std::uint64_t number(const std::string& text, const char* option) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    throw std::invalid_argument(std::string(option) + " needs a number, not \"" + text + "\"");
  }
  return value;
}

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    const auto next = [&]() -> std::string {
      if (++i == argc) throw std::invalid_argument(option + " needs a value");
      return argv[i];
    };
    if (option == "--seeds")
      arguments.seeds = number(next(), "--seeds");
    else if (option == "--first")
      arguments.first = number(next(), "--first");
    else if (option == "--minutes")
      arguments.minutes = number(next(), "--minutes");
    else if (option == "--trace")
      arguments.trace = true;
    else if (option == "--keep-going")
      arguments.keepGoing = true;
    else if (option == "--mutate")
      arguments.mutation = next();
    else if (option == "--engine")
      arguments.engine = true;
    else if (option == "--gateways")
      arguments.gateways = true;
    else if (option == "--seed")
      arguments.first = number(next(), "--seed"), arguments.replay = true;
    else
      throw std::invalid_argument("unknown option " + option);
  }
  if (arguments.replay) arguments.seeds = 1, arguments.trace = true;
  return arguments;
}

template <class Result>
void report(const Result& result, const Arguments& arguments) {
  if (!arguments.trace) {
    for (const std::string& line : result.tail) fmt::print("{}\n", line);
  }
  const std::string mutation = arguments.mutation.empty() ? std::string() : " --mutate " + arguments.mutation;
  fmt::print("seed {} FAILED: {}\n  plan: {}\n  replay: tests/simulation/run.sh{} --seed {}{}\n", result.seed,
             *result.failure, result.plan,
             arguments.engine     ? " --engine"
             : arguments.gateways ? " --gateways"
                                  : "",
             result.seed, mutation);
  std::fflush(stdout);
}

/// Counts of the first simulation.
struct PollingTotals {
  std::uint64_t polls = 0, pages = 0, restarts = 0;
  void add(const RunResult& result) { polls += result.polls, pages += result.pages, restarts += result.restarts; }
  std::string text() const { return fmt::format("{} polls, {} pages, {} gateway restarts", polls, pages, restarts); }
};

/// Counts of the engine simulation.
struct EngineTotals {
  std::uint64_t transactions = 0, processes = 0, deaths = 0, acks = 0, isolations = 0;
  void add(const EngineRunResult& result) {
    transactions += result.transactions, processes += result.processes, deaths += result.deaths;
    acks += result.acks, isolations += result.isolations;
  }
  std::string text() const {
    return fmt::format("{} transactions, {} processes, {} killed, {} acknowledgements, {} isolations", transactions,
                       processes, deaths, acks, isolations);
  }
};

template <class Totals, class RunOne>
int run(const Arguments& arguments, const char* kind, RunOne runOne) {
  const auto began = std::chrono::steady_clock::now();
  std::uint64_t done = 0, failed = 0, events = 0, hash = 0;
  Totals totals;
  for (std::uint64_t i = 0; i < arguments.seeds; ++i) {
    const auto spent = std::chrono::steady_clock::now() - began;
    if (arguments.minutes > 0 && spent > std::chrono::minutes(arguments.minutes)) break;
    const auto result = runOne(arguments.first + i);
    ++done, events += result.events;
    totals.add(result);
    hash = hash * 31 + result.traceHash;
    if (!result.failure) continue;
    ++failed;
    report(result, arguments);
    if (!arguments.keepGoing) break;
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  fmt::print("{}: {} seeds from {}, {} failed; {} events, {}; {:.1f} s, {:.0f} seeds/s; trace {:016x}\n", kind, done,
             arguments.first, failed, events, totals.text(), seconds, static_cast<double>(done) / seconds, hash);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int run(const Arguments& arguments) {
  if (arguments.engine) {
    const auto mutation = arguments.mutation.empty() ? EngineMutation::none : parseEngineMutation(arguments.mutation);
    return run<EngineTotals>(arguments, "engine", [&](std::uint64_t seed) {
      return runEngineSeed({.seed = seed, .mutation = mutation, .print = arguments.trace});
    });
  }
  const auto mutation = arguments.mutation.empty() ? Mutation::none : parseMutation(arguments.mutation);
  return run<PollingTotals>(arguments, arguments.gateways ? "gateways" : "polling", [&](std::uint64_t seed) {
    return runSeed({.seed = seed, .mutation = mutation, .print = arguments.trace, .several = arguments.gateways});
  });
}

}  // namespace

int main(int argc, char** argv) {
  try {
    for (int i = 1; i < argc; ++i) {
      if (std::string(argv[i]) == "--help") return usage(), EXIT_SUCCESS;
    }
    return run(parse(argc, argv));
  } catch (const std::exception& error) {
    fmt::print(stderr, "tidegate_simulate: {}\n", error.what());
    usage();
    return 2;
  }
}
