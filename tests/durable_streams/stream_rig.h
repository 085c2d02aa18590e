/// A Durable Streams server in this process, reached through a relay that can be cut.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "durable_streams/detail/stream_log.h"
#include "support/tcp_proxy.h"
#include "tidegate/durable_streams/server.h"
#include "tidegate/http/server.h"

namespace tidegate::test {

class StreamRig {
 public:
  explicit StreamRig(std::shared_ptr<durable_streams::StreamStore> store = durable_streams::memoryStreamStore())
      : store_(std::move(store)),
        streams_({.store = store_, .longPollTimeout = std::chrono::milliseconds(500)}),
        server_({}, streams_.handler()) {
    server_.onStopping([this] { streams_.stop(); });
    server_.start();
    proxy_ = std::make_unique<TcpProxy>(server_.port());
  }
  ~StreamRig() { server_.stop(std::chrono::milliseconds(200)); }

  TcpProxy& proxy() { return *proxy_; }
  const std::shared_ptr<durable_streams::StreamStore>& store() const { return store_; }
  /// Through the relay.
  std::string url() const { return "http://127.0.0.1:" + std::to_string(proxy_->port()) + "/v1/stream"; }
  std::string directUrl() const { return server_.url() + "/v1/stream"; }

  void create(const std::string& path) { durable_streams::detail::storeLog(store_)->create(path, {}); }
  /// Appends messages as one request.
  void append(const std::string& path, const std::vector<std::string>& messages) {
    std::string body = "[";
    for (const std::string& m : messages) body.append(body.size() > 1 ? "," : "").append(m);
    body.push_back(']');
    store_->append(path, {.contentType = "application/json", .body = body},
                   [](const durable_streams::StreamResult&) {});
  }
  void close(const std::string& path) {
    store_->append(path, {.close = true}, [](const durable_streams::StreamResult&) {});
  }
  void remove(const std::string& path) {
    store_->remove(path, [](const durable_streams::StreamResult&) {});
  }

 private:
  std::shared_ptr<durable_streams::StreamStore> store_;
  durable_streams::DurableStreamServer streams_;
  http::Server server_;
  std::unique_ptr<TcpProxy> proxy_;
};

}  // namespace tidegate::test
