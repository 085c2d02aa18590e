/// Tables of a PostgreSQL database, followed by logical replication and served as Electric's shapes:
///
///     POSTGRES_URL=postgresql://… electric_shape_server --table public.items --port 3000
///     curl 'http://127.0.0.1:3000/v1/shape?table=public.items&offset=-1'
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "tidegate/electric/shape_server.h"
#include "tidegate/electric/shape_sink.h"
#include "tidegate/engine/engine.h"
#include "tidegate/http/server.h"
#include "tidegate/postgres/source.h"

namespace {

using namespace tidegate;

constexpr auto kStopWithin = std::chrono::seconds(5);
constexpr auto kTellAfter = std::chrono::seconds(2);

struct Settings {
  std::string url{};
  std::vector<std::string> tables{};
  std::string slot = "shape_server";
  std::string address = "127.0.0.1";
  std::uint16_t port = 3000;
};

EngineOptions engineOptions(const Settings& settings, const std::shared_ptr<Sink>& sink) {
  std::vector<TableRoute> tables;
  for (const std::string& table : settings.tables) tables.push_back({.table = table, .target = table});
  EngineOptions options;
  options.sources = {
      {.name = "database",
       .source = postgres::source({.connect = {.url = settings.url, .applicationName = "electric_shape_server"},
                                   .slot = settings.slot,
                                   .publication = {.name = settings.slot}})}};
  options.pipelines = {{.name = "shapes",
                        .source = "database",
                        .tables = tables,
                        .sink = sink,
                        .commitInterval = std::chrono::milliseconds(5)}};
  return options;
}

int serve(const Settings& settings) {
  // Before any thread starts, so that only sigwait takes the signals.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const auto sink = std::make_shared<electric::ShapeSink>();
  Engine engine(engineOptions(settings, sink));
  engine.start();
  electric::ShapeServer shapes(sink->feed());
  http::Router router;
  router.mount("/v1/shape", shapes.handler());
  http::Server server({.address = settings.address, .port = settings.port, .healthPath = "/healthz"}, router.handler());
  server.onStopping([&] { shapes.finish(); });
  // A table is a shape from its baseline on; until then the answer would be that there is none.
  while (!engine.awaitReady(kTellAfter)) {
    const timespec now{};
    if (sigtimedwait(&signals, nullptr, &now) > 0) return 0;
    fmt::print(stderr, "still reading the tables\n");
  }
  server.start();
  fmt::print("Shapes: {}/v1/shape\n", server.url());
  std::fflush(stdout);
  int signal = 0;
  sigwait(&signals, &signal);
  server.stop(kStopWithin);
  engine.stop(kStopWithin);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app("Serves tables of a PostgreSQL database as Electric's shapes.");
  app.add_option("--postgres", settings.url, "the database; its wal_level must be logical")
      ->envname("POSTGRES_URL")
      ->required();
  app.add_option("--table", settings.tables, "a table with its schema, such as public.items; may be repeated")
      ->required();
  app.add_option("--slot", settings.slot, "name of the replication slot and of the publication")->capture_default_str();
  app.add_option("--address", settings.address, "numeric address to listen at")->capture_default_str();
  app.add_option("--port", settings.port, "port to listen at; 0: any free one")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    return serve(settings);
  } catch (const std::exception& e) {
    fmt::print(stderr, "electric_shape_server: {}\n", redactSecrets(e.what()));
    return 2;
  }
}
