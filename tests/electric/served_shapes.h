/// Shapes of a sink behind a server on loopback, written by events and asked by plain requests.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "electric/shape_rig.h"
#include "tidegate/electric/shape_server.h"
#include "tidegate/electric/shape_sink.h"
#include "tidegate/http/client.h"
#include "tidegate/http/server.h"

namespace tidegate::electric::test {

/// Where a client goes on from.
struct Place {
  std::string handle, offset;
  std::string query() const { return "&handle=" + handle + "&offset=" + offset; }
};

class ServedShapes {
 public:
  explicit ServedShapes(ShapeServerOptions options = {}, ShapeFeedOptions feed = {})
      : sink(std::make_shared<ShapeSink>(std::move(feed))),
        shapes(sink->feed(), std::move(options)),
        server({}, shapes.handler()) {
    sink->open({.pipeline = "p"});
    sink->prepareTable(table);
    server.onStopping([this] { shapes.finish(); });
    server.start();
  }
  ~ServedShapes() { server.stop(std::chrono::seconds(5)); }

  void write(const Changes& changes) {
    ChangeBatch batch;
    for (const ChangeEvent& event : changes.events()) batch.add(event.op, event.shape) = event;
    sink->apply(batch);
    sink->commit("c");
  }
  http::ClientRequest request(const std::string& query, http::Headers headers = {}) const {
    return {.url = server.url() + "/v1/shape?table=notes" + query, .headers = std::move(headers)};
  }
  http::Response get(const std::string& query, http::Headers headers = {}) {
    http::Client client({.acceptCompressed = false});
    return client.perform(request(query, std::move(headers)));
  }
  static Place placeOf(const http::Response& answer) {
    return {std::string(answer.headers.get("electric-handle")), std::string(answer.headers.get("electric-offset"))};
  }
  Place now(const std::string& query = {}) { return placeOf(get("&offset=now" + query)); }
  /// Waits until so many requests wait.
  void awaitWaiting(std::uint64_t count) const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (sink->feed()->stats().waiting != count) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "nobody waits";
      std::this_thread::yield();
    }
  }

  const tidegate::Shape table = notes();
  const std::shared_ptr<ShapeSink> sink;
  ShapeServer shapes;
  http::Server server;
};

}  // namespace tidegate::electric::test
