#include "chaos/engine_process.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <iostream>
#include <memory>

#include "chaos/workload.h"
#include "support/property.h"
#include "tidegate/engine/engine.h"
#include "tidegate/mysql/sink.h"
#include "tidegate/postgres/sink.h"
#include "tidegate/postgres/source.h"
#include "tidegate/sqlite/sink.h"

namespace tidegate::chaos {

namespace {

using test::Random;

PipelineSpec pipeline(const std::string& name, std::shared_ptr<Sink> sink, Random& random) {
  PipelineSpec spec{.name = name, .source = "source", .sink = std::move(sink)};
  for (const std::string& table : sourceTables()) spec.tables.push_back({.table = table});
  spec.maxQueuedEvents = random.chance(50) ? 500 : 50'000;
  spec.commitEvents = random.chance(50) ? 50 : 5'000;
  spec.commitInterval = std::chrono::milliseconds(random.chance(50) ? 20 : 300);
  spec.retry = {.attempts = UINT32_MAX,
                .firstDelay = std::chrono::milliseconds(50),
                .maxDelay = std::chrono::milliseconds(1'000)};
  return spec;
}

std::shared_ptr<SyncSource> makeSource(const EngineProcessOptions& options, Random& random) {
  postgres::SourceOptions source;
  source.connect.url = options.sourceUrl;
  source.slot = "tidegate_chaos";
  source.publication.name = "tidegate_chaos";
  source.protocolVersion = static_cast<std::uint32_t>(1 + random.below(3));
  source.baseline.chunkedFromRows = random.chance(50) ? 1'000 : 1'000'000'000;
  source.baseline.chunkRows = 200 + random.index(2'000);
  source.baseline.parallelConnections = 1 + random.index(3);
  return postgres::source(source);
}

EngineOptions engineOptions(const EngineProcessOptions& options) {
  Random random(options.seed);
  EngineOptions made;
  made.sources.push_back({.name = "source", .source = makeSource(options, random)});
  made.pipelines.push_back(pipeline("sqlite", sqlite::sink({.path = options.sqlitePath}), random));
  made.pipelines.push_back(pipeline("postgres", postgres::sink({.connect = {.url = options.replicaUrl}}), random));
  made.pipelines.push_back(pipeline("mysql", mysql::sink({.connect = {.url = options.mysqlUrl}}), random));
  return made;
}

void answer(const std::string& text) { std::cout << text << "\n.\n" << std::flush; }

void serve(Engine& engine) {
  std::string line;
  while (std::getline(std::cin, line) && line != "stop") {
    try {
      if (line == "ready") {
        answer(engine.awaitReady(std::chrono::seconds(90)) ? "ready" : "not ready: " + toJson(engine.status()));
      } else if (line == "verify") {
        const VerifyReport report = engine.verify();
        answer(report.ok() ? "ok" : toText(report));
      } else {
        answer(toJson(engine.status()));
      }
    } catch (const Error& error) {
      answer(fmt::format("failed: {}", error.what()));
    }
  }
}

}  // namespace

int runEngineProcess(const EngineProcessOptions& options) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  spdlog::set_default_logger(spdlog::stderr_logger_mt("engine"));
  spdlog::set_level(spdlog::level::info);
  std::unique_ptr<Engine> engine;
  while (!engine) {  // a server may be down at this very moment
    try {
      auto made = std::make_unique<Engine>(engineOptions(options));
      made->start();
      engine = std::move(made);
    } catch (const Error& error) {
      spdlog::warn("start: {}", error.what());
      if (error.retry() == Retry::never) return 1;
      systemScheduler().waitFor(std::chrono::milliseconds(200), {});
    }
  }
  serve(*engine);
  const StopOutcome outcome = engine->stop(std::chrono::seconds(10));
  spdlog::info("stopped: {}", outcome == StopOutcome::drained ? "drained" : "rolled back");
  return 0;
}

}  // namespace tidegate::chaos
