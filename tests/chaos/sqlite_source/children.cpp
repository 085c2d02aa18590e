#include "chaos/sqlite_source/children.h"

#include <fmt/format.h>
#include <poll.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <iostream>
#include <memory>

#include "sqlite/source_workload.h"
#include "tidegate/engine/engine.h"
#include "tidegate/sqlite/sink.h"
#include "tidegate/sqlite/source.h"

namespace tidegate::chaos {

namespace {

using std::chrono::milliseconds;
using test::Random;

PipelineSpec pipelineInto(const std::string& folder, int n, Random& random) {
  PipelineSpec spec{
      .name = "replica" + std::to_string(n), .source = "shop", .sink = sqlite::sink({.path = replicaFile(folder, n)})};
  for (const std::string& table : testing::workloadTables()) spec.tables.push_back({.table = table});
  spec.maxQueuedEvents = random.chance(50) ? 50 : 50'000;
  spec.commitEvents = random.chance(50) ? 10 : 5'000;
  spec.commitInterval = milliseconds(random.chance(50) ? 5 : 200);
  spec.retry = {.attempts = UINT32_MAX, .firstDelay = milliseconds(20), .maxDelay = milliseconds(500)};
  return spec;
}

EngineOptions sqliteEngine(std::uint64_t seed, const std::string& folder) {
  Random random(seed);
  EngineOptions options;
  options.sources.push_back({.name = "shop",
                             .source = sqlite::source({.path = sourceFile(folder),
                                                       .wakeInterval = milliseconds(1 + random.index(5)),
                                                       .batchEvents = 1 + random.index(200),
                                                       .trimInterval = milliseconds(1 + random.index(100)),
                                                       .trimRows = 1 + random.index(500)})});
  for (const int n : {1, 2}) options.pipelines.push_back(pipelineInto(folder, n, random));
  return options;
}

void say(const std::string& text) { std::cout << text << "\n.\n" << std::flush; }

void serveCommands(Engine& engine) {
  std::string line;
  while (std::getline(std::cin, line) && line != "stop") {
    try {
      if (line == "ready") {
        say(engine.awaitReady(std::chrono::seconds(60)) ? "ready" : "not ready: " + toJson(engine.status()));
      } else if (line == "verify") {
        const VerifyReport report = engine.verify();
        say(report.ok() ? "ok" : toText(report));
      } else {
        say(toJson(engine.status()));
      }
    } catch (const Error& error) {
      say(fmt::format("failed: {}", error.what()));
    }
  }
}

/// A program's own connection.
struct WriterConnection {
  explicit WriterConnection(const std::string& path) {
    if (sqlite3_open(path.c_str(), &database) != SQLITE_OK) throw std::runtime_error("open " + path);
    sqlite3_busy_timeout(database, 30'000);
    sqlite3_exec(database, "PRAGMA synchronous = NORMAL; PRAGMA recursive_triggers = OFF", nullptr, nullptr, nullptr);
  }
  ~WriterConnection() { sqlite3_close(database); }
  WriterConnection(const WriterConnection&) = delete;
  WriterConnection& operator=(const WriterConnection&) = delete;
  sqlite3* database = nullptr;
};

bool inputEnded() {
  pollfd input{STDIN_FILENO, POLLIN, 0};
  return ::poll(&input, 1, 0) > 0;
}

}  // namespace

int runSqliteEngine(std::uint64_t seed, const std::string& folder) {
  spdlog::set_default_logger(spdlog::stderr_logger_mt("engine"));
  std::unique_ptr<Engine> engine;
  while (!engine) {  // a table may be away at this very moment
    try {
      auto made = std::make_unique<Engine>(sqliteEngine(seed, folder));
      made->start();
      engine = std::move(made);
    } catch (const Error& error) {
      spdlog::warn("start: {}", error.what());
      systemScheduler().waitFor(milliseconds(50), {});
    }
  }
  serveCommands(*engine);
  const StopOutcome outcome = engine->stop(std::chrono::seconds(10));
  spdlog::info("stopped: {}", outcome == StopOutcome::drained ? "drained" : "rolled back");
  return 0;
}

int runSqliteWriter(std::uint64_t seed, const std::string& folder) {
  Random random(seed);
  while (!inputEnded()) {
    try {
      const WriterConnection connection(sourceFile(folder));
      testing::SourceWorkload work(connection.database, random.bits());
      while (!inputEnded()) {
        work.transaction();
        if (random.chance(30)) systemScheduler().waitFor(milliseconds(random.index(4)), {});
      }
    } catch (const std::runtime_error& error) {
      // The change table was dropped under it: a connection that knew it must be opened again.
      std::cerr << "writer: " << error.what() << std::endl;
      systemScheduler().waitFor(milliseconds(20), {});
    }
  }
  return 0;
}

}  // namespace tidegate::chaos
