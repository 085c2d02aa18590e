// Both directions of the sync layer, as a user meets them: from a commit in Postgres to the event at a client that
// reads by server-sent events, and from a POST to the row in Postgres. Streams are in files, group commit and fsync
// included.
#include <fmt/format.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "bench/cdc_bench.h"
#include "bench/harness.h"
#include "tidegate/durable_streams/client.h"
#include "tidegate/durable_streams/file_store.h"
#include "tidegate/durable_streams/server.h"
#include "tidegate/durable_streams/sink.h"
#include "tidegate/durable_streams/source.h"
#include "tidegate/http/server.h"
#include "tidegate/postgres/sink.h"

namespace tidegate::bench {
namespace {

using Steady = std::chrono::steady_clock;
constexpr std::size_t kSyncEvents = 2'000;
constexpr auto kSyncPace = std::chrono::milliseconds(4);
constexpr double kToClientBar = 20;                        // ms, p99
constexpr double kToRowBar = 10;                           // ms, p99
using SyncTimes = std::vector<std::atomic<std::int64_t>>;  ///< steady nanoseconds; 0: not seen

std::int64_t steadyNanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Steady::now().time_since_epoch()).count();
}

/// A folder, a server of streams in it, and its URL.
struct StreamSide {
  StreamSide()
      : folder((std::filesystem::temp_directory_path() / fmt::format("sync-layer-bench-{}", ::getpid())).string()),
        streams({.store = durable_streams::fileStreamStore({.folder = folder})}),
        server({}, streams.handler()) {
    server.onStopping([this] { streams.stop(); });
    server.start();
    url = server.url() + "/v1/stream";
  }
  ~StreamSide() {
    server.stop(std::chrono::seconds(1));
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  std::string folder;
  durable_streams::DurableStreamServer streams;
  http::Server server;
  std::string url;
};

/// Notes when the n-th event of a pipeline was durable.
class DurableTimes final : public CommitCounter {
 public:
  DurableTimes(std::string pipeline, SyncTimes& times) : pipeline_(std::move(pipeline)), times_(times) {}
  void onCommit(std::string_view pipeline, std::uint64_t events, std::chrono::microseconds duration) override {
    if (pipeline == pipeline_ && counting_) {
      const std::int64_t at = steadyNanos();
      for (std::uint64_t i = 0; i < events && next_ < times_.size(); ++i) times_[next_++] = at;
    }
    CommitCounter::onCommit(pipeline, events, duration);
  }
  /// From here on: what came before was a baseline.
  void begin() { counting_ = true; }

 private:
  std::string pipeline_;
  SyncTimes& times_;
  std::atomic<bool> counting_{false};
  std::size_t next_ = 0;
};

void awaitAll(const SyncTimes& seen, const char* what) {
  const auto deadline = Steady::now() + std::chrono::seconds(60);
  while (seen.back() == 0 && Steady::now() < deadline) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  if (seen.back() == 0) throw std::runtime_error(std::string(what) + ": the last event never arrived");
}

void tellLatency(const std::string& name, const std::vector<std::int64_t>& asked, const SyncTimes& seen, double bar) {
  std::vector<double> millis;
  for (std::size_t n = 0; n < asked.size(); ++n) {
    millis.push_back(static_cast<double>(seen[n] - asked[n]) / 1e6);
  }
  std::sort(millis.begin(), millis.end());
  reportFigure(name + "_p50", millis[millis.size() / 2], "ms");
  report({.name = name + "_p99",
          .value = millis[millis.size() * 99 / 100],
          .unit = "ms",
          .limit = bar,
          .better = Better::lower,
          .bar = 1});
}

/// Does `work(n)` at an even pace. @return when each was begun.
template <class Work>
std::vector<std::int64_t> paced(Work&& work) {
  std::vector<std::int64_t> asked(kSyncEvents);
  auto next = Steady::now();
  for (std::size_t n = 0; n < kSyncEvents; ++n) {
    std::this_thread::sleep_until(next += kSyncPace);
    asked[n] = steadyNanos();
    work(n);
  }
  return asked;
}

void measureToClient(const std::string& url) {
  SyncTimes seen(kSyncEvents);
  std::jthread client([&](const std::stop_token& stop) {
    durable_streams::DurableStreamClient reads({.url = url});
    durable_streams::Reader reader = reads.stream("bench").reader({.live = durable_streams::Live::sse});
    while (!stop.stop_requested()) {
      const auto chunk = reader.next(std::chrono::milliseconds(200), stop);
      if (!chunk) continue;
      const std::int64_t at = steadyNanos();
      for (const std::string_view message : chunk->messages()) {
        const std::size_t mark = message.find("mark:");
        if (mark == std::string_view::npos) continue;
        const std::size_t number = std::strtoull(std::string(message.substr(mark + 5, 6)).c_str(), nullptr, 10);
        if (number < seen.size()) seen[number] = at;
      }
    }
  });
  const QueryFn writer = sourceWriter();
  const auto asked = paced(
      [&](std::size_t n) { execute(writer, {fmt::format("INSERT INTO bench VALUES ({}, 'mark:{:06}')", n, n)}); });
  awaitAll(seen, "sync_layer");
  tellLatency("sync_layer_commit_to_sse", asked, seen, kToClientBar);
}

void syncLayer() {
  clearBench();
  const QueryFn admin = sourceWriter();
  execute(admin, {"CREATE TABLE bench(id bigint PRIMARY KEY, note text)", "DROP TABLE IF EXISTS session_events",
                  "DROP SCHEMA IF EXISTS sync_bench CASCADE"});
  const StreamSide side;
  SyncTimes rows(kSyncEvents);
  const auto durable = std::make_shared<DurableTimes>("events", rows);
  const auto soon = std::chrono::milliseconds(2);
  Engine engine({.sources = {{.name = "postgres", .source = benchSource()},
                             {.name = "stream",
                              .source = durable_streams::source({.server = {.url = side.url},
                                                                 .stream = "session-events",
                                                                 .tables = {durable_streams::sessionEvents()},
                                                                 .createMissing = true})}},
                 .pipelines = {{.name = "items",
                                .source = "postgres",
                                .tables = {{.table = "public.bench"}},
                                .sink = durable_streams::sink({.server = {.url = side.url}}),
                                .commitInterval = soon},
                               {.name = "events",
                                .source = "stream",
                                .tables = {{.table = "session_events"}},
                                .sink = postgres::sink({.connect = {.url = sourceUrl()}, .schema = "sync_bench"}),
                                .commitInterval = soon}},
                 .observer = durable});
  engine.start();
  engine.awaitReady(std::chrono::minutes(1));
  measureToClient(side.url);
  durable_streams::DurableStreamClient client({.url = side.url});
  durable_streams::DurableStream events = client.stream("session-events");
  durable->begin();
  const auto asked = paced([&](std::size_t n) {
    events.append(fmt::format(R"({{"key":"{}","type":"message","text":"hello"}})", n),
                  {.contentType = "application/json"});
  });
  awaitAll(rows, "sync_layer");
  tellLatency("sync_layer_post_to_row", asked, rows, kToRowBar);
  engine.stop();
  clearBench();
  execute(admin, {"DROP TABLE IF EXISTS session_events", "DROP SCHEMA IF EXISTS sync_bench CASCADE"});
}

const Registration kSyncLayer("sync_layer", "Postgres to a client by SSE, and a POST to a row in Postgres", syncLayer);

}  // namespace
}  // namespace tidegate::bench
