#include "bridge.h"

#include "tidegate/durable_streams/sink.h"
#include "tidegate/durable_streams/source.h"
#include "tidegate/postgres/query_fn.h"
#include "tidegate/postgres/sink.h"
#include "tidegate/postgres/source.h"
#ifdef SYNC_LAYER_ELECTRIC
#include "tidegate/electric/source.h"
#endif

using namespace tidegate;

namespace {

postgres::ConnectOptions connectOptions(const SyncSettings& settings) {
  return {.url = settings.postgresUrl, .applicationName = "sync_layer", .readOnly = false};
}

/// Quick to come back: the page's users wait for it.
constexpr BackoffOptions kComeBack{.firstDelay = std::chrono::milliseconds(50),
                                   .maxDelay = std::chrono::milliseconds(1'000),
                                   .maxRetries = UINT32_MAX};

/// What changes in `items`: from the database's log, or from a server of shapes.
std::shared_ptr<SyncSource> itemsSource(const SyncSettings& settings) {
  if (settings.electricUrl.empty()) {
    return postgres::source({.connect = connectOptions(settings),
                             .slot = "sync_layer",
                             .publication = {.name = "sync_layer"},
                             .skipOrigins = {kEventsOrigin},
                             .backoff = kComeBack});
  }
#ifdef SYNC_LAYER_ELECTRIC
  return electric::source({.url = settings.electricUrl + "/v1/shape",
                           .shapes = {{.table = "public.items", .replica = electric::ReplicaMode::full}},
                           .backoff = kComeBack});
#else
  throw Error(ErrorCode::invalidConfig, Retry::never,
              "ELECTRIC_URL is set, but this program was built without the driver electric");
#endif
}

std::shared_ptr<SyncSource> eventsSource(const std::string& streamUrl) {
  durable_streams::SourceOptions options{.server = {.url = streamUrl},
                                         .stream = kEventsStream,
                                         .tables = {durable_streams::sessionEvents()},
                                         .createMissing = true};
  options.backoff = kComeBack;
  return durable_streams::source(std::move(options));
}

std::shared_ptr<Sink> itemsSink(const std::string& streamUrl) {
  durable_streams::SinkOptions options{.server = {.url = streamUrl}, .prefix = "pg-", .originMark = "postgres"};
  options.server.retry = {.maxRetries = 3, .initialDelay = std::chrono::milliseconds(20)};
  return durable_streams::sink(std::move(options));
}

}  // namespace

void prepareDatabase(const SyncSettings& settings) {
  const QueryFn ask = postgres::queryFn(connectOptions(settings));
  ask({.sql = "CREATE TABLE IF NOT EXISTS items (id bigserial PRIMARY KEY, title text NOT NULL, body text, created_at "
              "timestamptz DEFAULT now())"});
}

EngineOptions makeBridge(const SyncSettings& settings, const std::string& streamUrl) {
  const RetryPolicy quickly{.firstDelay = std::chrono::milliseconds(50), .maxDelay = std::chrono::milliseconds(1'000)};
  EngineOptions options;
  options.sources = {{.name = "postgres", .source = itemsSource(settings)},
                     {.name = "events", .source = eventsSource(streamUrl)}};
  options.pipelines = {{.name = "items to stream",
                        .source = "postgres",
                        .tables = {{.table = "public.items", .target = "items"}},
                        .sink = itemsSink(streamUrl),
                        .commitInterval = std::chrono::milliseconds(5),
                        .retry = quickly},
                       {.name = "events to postgres",
                        .source = "events",
                        .tables = {{.table = "session_events", .target = "session_events"}},
                        .sink = postgres::sink({.connect = connectOptions(settings), .origin = kEventsOrigin}),
                        .commitInterval = std::chrono::milliseconds(5),
                        .retry = quickly}};
  return options;
}
