// PostgreSQL by logical replication into a SQLite file: baseline, then every change, exactly once, also across
// restarts.
//
//   replicate --from postgresql://… --to replica.db --table public.users --table public.orders
//
// Runs until Ctrl-C, or for --seconds. --verify compares both sides at the end; --forget drops slot and publication.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>

#include "tidegate/engine/engine.h"
#include "tidegate/postgres/source.h"
#include "tidegate/sqlite/sink.h"

using namespace std::chrono_literals;
using namespace tidegate;

namespace {

constexpr int kInterrupted = 130;  // what a shell reports for a program ended by Ctrl-C

std::atomic<bool> interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free, "set from a signal handler");

struct Options {
  std::string from, to = "replica.db", slot = "tidegate_replicate";
  std::vector<std::string> tables;
  long long seconds = 0;
  bool verify = false, forget = false;
};

/// @return an exit code where the program ends here.
std::optional<int> parse(Options& options, int argc, char** argv) {
  CLI::App app{
      "Follows tables of a PostgreSQL database into a SQLite file, by logical replication.\n"
      "Exit code: 0 in order, 1 a difference or a failure, 2 a mistake in the command, 130 stopped by Ctrl-C.",
      "replicate"};
  app.add_option("--from", options.from, "postgresql://user:password@host:port/database; needs wal_level = logical")
      ->required();
  app.add_option("--to", options.to, "The SQLite file")->capture_default_str();
  app.add_option("--table", options.tables, "A table to follow; may be repeated")->required();
  app.add_option("--slot", options.slot, "Name of the replication slot and the publication; one for each replica")
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "How long; 0: until Ctrl-C")->capture_default_str();
  app.add_flag("--verify", options.verify, "Compare both sides at the end");
  app.add_flag("--forget", options.forget, "Drop slot and publication at the end, so that no log is kept for us");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  return std::nullopt;
}

void printProgress(const EngineStatus& status) {
  const PipelineStatus& pipeline = status.pipelines.at(0);
  std::uint64_t rows = 0, changes = 0;
  for (const TableStatus& table : pipeline.tables) {
    rows += table.baselineRows;
    changes += table.changes;
  }
  fmt::print("{:10} {} rows of baselines, {} changes, source {}, at {}\n", toString(pipeline.state), rows, changes,
             toString(status.sources.at(0).state), pipeline.durablePosition);
  std::fflush(stdout);
}

void follow(const Engine& engine, std::chrono::seconds duration) {
  const auto start = std::chrono::steady_clock::now();
  for (int tick = 0; !interrupted; ++tick) {
    if (duration.count() > 0 && std::chrono::steady_clock::now() - start >= duration) return;
    if (tick % 20 == 0) printProgress(engine.status());
    std::this_thread::sleep_for(100ms);
  }
}

int run(const Options& options) {
  const auto source =
      postgres::source({.connect = {.url = options.from}, .slot = options.slot, .publication = {.name = options.slot}});
  PipelineSpec pipeline{.name = "replicate", .source = "postgres", .sink = sqlite::sink({.path = options.to})};
  for (const std::string& table : options.tables) pipeline.tables.push_back({.table = table});
  Engine engine({.sources = {{.name = "postgres", .source = source}}, .pipelines = {std::move(pipeline)}});
  engine.start();
  follow(engine, std::chrono::seconds(options.seconds));
  int code = interrupted ? kInterrupted : 0;
  if (options.verify && !interrupted) {
    if (!engine.awaitReady(5min)) throw std::runtime_error("the baselines are not whole after five minutes");
    const VerifyReport report = engine.verify();
    fmt::print("{}", toText(report));
    if (!report.ok()) code = 1;
  }
  const StopOutcome outcome = engine.stop();
  fmt::print("Stopped: {}\n", outcome == StopOutcome::drained ? "all that was received is in the replica"
                                                              : "what was under way comes again at the next start");
  if (options.forget) source->reset();
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (const auto code = parse(options, argc, argv)) return *code;
  std::signal(SIGINT, [](int) { interrupted = true; });
  std::signal(SIGTERM, [](int) { interrupted = true; });
  try {
    return run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "replicate: {}\n", error.what());
    return 1;
  }
}
