#include "chaos/mysql_source/engine.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <iostream>
#include <memory>

#include "chaos/mysql_source/shop.h"
#include "tidegate/engine/engine.h"
#include "tidegate/mysql/source.h"
#include "tidegate/postgres/sink.h"
#include "tidegate/sqlite/sink.h"

namespace tidegate::chaos {

namespace {

using std::chrono::milliseconds;
using test::Random;

PipelineSpec shopPipeline(const std::string& name, std::shared_ptr<Sink> sink, Random& random) {
  PipelineSpec spec{.name = name, .source = "shop", .sink = std::move(sink)};
  for (const ShopTable& table : shopTables())
    spec.tables.push_back({.table = "shop." + table.name, .target = table.name});
  spec.maxQueuedEvents = random.chance(50) ? 500 : 50'000;
  spec.commitEvents = random.chance(50) ? 50 : 5'000;
  spec.commitInterval = milliseconds(random.chance(50) ? 20 : 300);
  spec.retry = {.attempts = UINT32_MAX, .firstDelay = milliseconds(50), .maxDelay = milliseconds(1'000)};
  return spec;
}

EngineOptions shopEngine(const ShopEngineOptions& options) {
  Random random(options.seed);
  mysql::SourceOptions source{.connect = {.url = options.sourceUrl}};
  // One kind of positions for all rounds: a checkpoint of the other kind cannot be gone on from.
  source.baseline.chunkedFromRows = random.chance(70) ? 100 : 1'000'000'000;
  source.baseline.chunkRows = 50 + random.index(1'000);
  source.batchEvents = random.chance(30) ? 1 + random.index(20) : 1'000;
  source.heartbeatInterval = milliseconds(200);
  source.monitorInterval = milliseconds(500);
  source.backoff = {.firstDelay = milliseconds(20), .maxDelay = milliseconds(500), .maxRetries = 1'000};
  EngineOptions made;
  made.sources.push_back({.name = "shop", .source = mysql::source(source)});
  made.pipelines.push_back(shopPipeline("sqlite", sqlite::sink({.path = options.sqlitePath}), random));
  made.pipelines.push_back(shopPipeline("postgres", postgres::sink({.connect = {.url = options.postgresUrl}}), random));
  return made;
}

void reply(const std::string& text) { std::cout << text << "\n.\n" << std::flush; }

void serveShop(Engine& engine) {
  std::string line;
  while (std::getline(std::cin, line) && line != "stop") {
    try {
      if (line == "ready") {
        reply(engine.awaitReady(std::chrono::seconds(90)) ? "ready" : "not ready: " + toJson(engine.status()));
      } else if (line == "verify") {
        const VerifyReport report = engine.verify();
        reply(report.ok() ? "ok" : toText(report));
      } else {
        reply(toJson(engine.status()));
      }
    } catch (const Error& error) {
      reply(fmt::format("failed: {}", error.what()));
    }
  }
}

}  // namespace

int runShopEngine(const ShopEngineOptions& options) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  spdlog::set_default_logger(spdlog::stderr_logger_mt("engine"));
  std::unique_ptr<Engine> engine;
  while (!engine) {  // a server may be down at this very moment
    try {
      auto made = std::make_unique<Engine>(shopEngine(options));
      made->start();
      engine = std::move(made);
    } catch (const Error& error) {
      spdlog::warn("start: {}", error.what());
      if (error.retry() == Retry::never) return 1;
      systemScheduler().waitFor(milliseconds(200), {});
    }
  }
  serveShop(*engine);
  const StopOutcome outcome = engine->stop(std::chrono::seconds(10));
  spdlog::info("stopped: {}", outcome == StopOutcome::drained ? "drained" : "rolled back");
  return 0;
}

}  // namespace tidegate::chaos
