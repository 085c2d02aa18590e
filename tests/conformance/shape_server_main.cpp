// Serves one table as Electric shapes, twice: a gateway's, and an engine's pipeline from that gateway; and takes
// changes of it. For `tests/conformance/run.sh electric`.
//
//   shape_server [name=number]...   longPollMs, eventStreamMs, logBytes, chunkRows
//
// Prints its URL, and ends when its input does.
//   GET  /v1/shape, /engine/v1/shape       the two feeds; /private/v1/shape: only with "authorization: Bearer ada"
//   POST /control/push                     {"changes": [...]}: see shape_table.h; answers {"txid": n}
//   POST /control/rotate, /control/fill    ends all shapes; {"from": 1, "to": 1000} inserts rows
//   GET  /control/waiting                  {"waiting": n}: long polls and event streams
#include <fmt/core.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "conformance/shape_table.h"
#include "tidegate/core/error.h"
#include "tidegate/electric/shape_server.h"
#include "tidegate/electric/shape_sink.h"
#include "tidegate/engine/engine.h"
#include "tidegate/source/gateway_source.h"

using namespace tidegate;
using namespace std::chrono_literals;

namespace {

std::map<std::string, long> readOptions(int argc, char** argv) {
  std::map<std::string, long> options{
      {"longPollMs", 20'000}, {"eventStreamMs", 60'000}, {"logBytes", 8 << 20}, {"chunkRows", 50'000}};
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const std::size_t equal = argument.find('=');
    if (equal == argument.npos || !options.contains(argument.substr(0, equal))) {
      fmt::print(stderr, "shape_server: unknown option {}\n", argument);
      std::exit(2);
    }
    options[argument.substr(0, equal)] = std::strtol(argument.c_str() + equal + 1, nullptr, 10);
  }
  return options;
}

void push(Gateway& gateway, const std::vector<nlohmann::json>& changes, http::Response& answer) {
  SyncPush push{.clientId = "writer"};
  for (const nlohmann::json& change : changes) {
    push.deltas.push_back(conformance::deltaOf(change, gateway.clock().now()));
  }
  const PushResult result = gateway.handlePush(push, {.trusted = true});
  if (result.status != PushStatus::accepted) throw Error(ErrorCode::invalidArgument, Retry::never, result.message);
  answer.headers.set("content-type", "application/json");
  answer.body = nlohmann::json{{"txid", electric::transactionIdOf(result.serverHlc)}}.dump();
}

std::vector<nlohmann::json> filling(const nlohmann::json& range) {
  std::vector<nlohmann::json> changes;
  for (int id = range.at("from").get<int>(); id <= range.at("to").get<int>(); ++id) {
    changes.push_back({{"op", "INSERT"}, {"id", id}, {"columns", {{"title", fmt::format("row {}", id)}}}});
  }
  return changes;
}

electric::ShapeGrant onlyAda(const http::Request& request, const electric::ShapeQuery&) {
  if (request.headers.get("authorization") != "Bearer ada") return {.status = 401, .message = "who are you?"};
  return {.where = "\"Owner\" = $1", .params = {{1, "ada"}}};
}

}  // namespace

int main(int argc, char** argv) {
  auto options = readOptions(argc, argv);
  spdlog::set_default_logger(spdlog::stderr_logger_mt("shape_server"));  // the output is for the URL
  Gateway gateway({.schemas = {conformance::itemsSchema()}});
  const electric::ShapeFeedOptions bounds{.maxShapeLogBytes = static_cast<std::size_t>(options["logBytes"]),
                                          .chunkRows = static_cast<std::size_t>(options["chunkRows"])};
  const electric::ShapeServerOptions times{.longPoll = std::chrono::milliseconds(options["longPollMs"]),
                                           .eventStream = std::chrono::milliseconds(options["eventStreamMs"]),
                                           .allowDeletion = true};
  const auto feed = electric::gatewayFeed(gateway, {.tables = {conformance::itemsSchema()}, .feed = bounds});
  const auto sink = std::make_shared<electric::ShapeSink>(bounds);
  Engine engine({.sources = {{.name = "gateway",
                              .source = std::make_shared<GatewaySource>(
                                  gateway, GatewaySourceOptions{.schemas = {conformance::itemsSchema()}})}},
                 .pipelines = {{.name = "shapes",
                                .source = "gateway",
                                .tables = {{.table = "items"}},
                                .sink = sink,
                                .commitInterval = 5ms}}});
  engine.start();
  if (!engine.awaitReady(30s)) return 1;

  electric::ShapeServerOptions locked = times;
  locked.authorise = onlyAda;
  electric::ShapeServer shapes(feed, times), engineShapes(sink->feed(), times), ownShapes(feed, locked);
  http::Router router;
  router.mount("/v1/shape", shapes.handler());
  router.mount("/engine/v1/shape", engineShapes.handler());
  router.mount("/private/v1/shape", ownShapes.handler());
  router.add("POST", "/control/push", [&](http::Request&& request, http::Responder responder) {
    http::Response answer;
    push(gateway, nlohmann::json::parse(request.body).at("changes"), answer);
    responder.send(std::move(answer));
  });
  router.add("POST", "/control/fill", [&](http::Request&& request, http::Responder responder) {
    http::Response answer;
    push(gateway, filling(nlohmann::json::parse(request.body)), answer);
    responder.send(std::move(answer));
  });
  router.add("POST", "/control/rotate", [&](http::Request&&, http::Responder responder) {
    feed->rotate();
    sink->feed()->rotate();
    responder.send({.status = 204});
  });
  router.add("GET", "/control/waiting", [&](http::Request&&, http::Responder responder) {
    responder.send({.body = nlohmann::json{{"waiting", feed->stats().waiting + sink->feed()->stats().waiting}}.dump()});
  });
  http::Server server({.threads = 2, .cors = electric::ShapeServer::cors({"*"}), .compressFrom = 4'096},
                      router.handler());
  server.onStopping([&] {
    shapes.finish();
    engineShapes.finish();
    ownShapes.finish();
  });
  server.start();
  fmt::print("{}\n", server.url());
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
  }
  const bool whole = server.stop(5s);
  engine.stop(5s);
  return whole ? 0 : 1;
}
