// Pushes over HTTP into a gateway in memory: large batches beside the same server that only parses them with simdjson,
// and small ones beside the same server answering an empty POST.
#include <simdjson.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/harness.h"
#include "bench/kept_memory.h"
#include "bench/raw_http.h"
#include "tidegate/core/json.h"
#include "tidegate/gateway/gateway.h"
#include "tidegate/http/server.h"
#include "tidegate/server/sync_api.h"

namespace tidegate::bench {
namespace {

constexpr std::size_t kBatch = 1'000;
constexpr std::size_t kBodies = 60;
constexpr std::size_t kSmall = 20'000;

/// A new gateway behind the sync API.
struct PushServer {
  PushServer() {
    sync.addTo(api);
    server = std::make_unique<http::Server>(http::ServerOptions{}, api.handler(nullptr));
    server->start();
  }
  Gateway gateway{};
  server::SyncApi sync{{{.name = "main", .gateway = &gateway}}};
  server::Api api{};
  std::unique_ptr<http::Server> server{};
};

std::string pushRequest(Gateway& clock, std::size_t first, std::size_t count) {
  SyncPush push{"phone", {}, {}};
  for (std::size_t i = first; i < first + count; ++i) {
    RowDelta delta{
        DeltaOp::insert,
        "todos",
        "row-" + std::to_string(i),
        "phone",
        {{"title", "Buy milk and bread " + std::to_string(i)}, {"done", false}, {"n", static_cast<std::int64_t>(i)}},
        clock.clock().now(),
        {}};
    delta.deltaId = computeDeltaId(delta);
    push.deltas.push_back(std::move(delta));
  }
  return rawPost("/v1/sync/main/push", toJson(push));
}

double sendAll(std::uint16_t port, const std::vector<std::string>& requests) {
  RawHttp connection(port);
  return secondsOf([&] {
    for (const std::string& request : requests) {
      if (connection.roundTrip(request) != 200) throw std::runtime_error("not taken: " + connection.body());
    }
  });
}

void pushBatches(Gateway& clock) {
  std::vector<std::string> requests;
  for (std::size_t i = 0; i < kBodies; ++i) requests.push_back(pushRequest(clock, i * kBatch, kBatch));
  simdjson::dom::parser parser;
  http::Server parses({}, [&](http::Request&& request, http::Responder answer) {
    simdjson::dom::element document;
    const bool good = parser.parse(request.body).get(document) == simdjson::SUCCESS;
    answer.send({.status = good ? 200 : 400});
  });
  parses.start();
  const auto ours = [&] {
    PushServer fresh;
    const double seconds = sendAll(fresh.server->port(), requests);
    if (fresh.gateway.stats().rows != kBodies * kBatch) throw std::runtime_error("rows are missing");
    return seconds;
  };
  const Pair pair = measurePair(5, ours, [&] { return sendAll(parses.port(), requests); });
  constexpr double kDeltas = kBodies * kBatch;
  report({"http_push_batch", kDeltas / pair.ours, "deltas/s", kDeltas / pair.limit, Better::higher, 0.4});
}

void pushSmall(Gateway& clock) {
  std::vector<std::string> requests;
  for (std::size_t i = 0; i < kSmall; ++i) requests.push_back(pushRequest(clock, 1'000'000 + i, 1));
  const std::vector<std::string> empty(kSmall, rawPost("/v1/sync/main/push", ""));
  http::Server answers({}, [](http::Request&&, http::Responder answer) { answer.send({.status = 200}); });
  answers.start();
  const auto ours = [&] {
    PushServer fresh;
    return sendAll(fresh.server->port(), requests);
  };
  const Pair pair = measurePair(5, ours, [&] { return sendAll(answers.port(), empty); });
  report({"http_push_small", kSmall / pair.ours, "pushes/s", kSmall / pair.limit, Better::higher, 0.7});
}

void httpPush() {
  Gateway clock;
  pushSmall(clock);
  const KeptMemory kept;
  // Else each server's thread begins with an arena that the kernel has to fill. It stays so: this benchmark is the
  // last.
  mallopt(M_ARENA_MAX, 1);
  pushBatches(clock);
}

const Registration kHttpPush("http_push",
                             "pushes over HTTP: batches beside simdjson alone, small ones beside empty POSTs",
                             httpPush);

}  // namespace
}  // namespace tidegate::bench
