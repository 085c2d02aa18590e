/// A Durable Streams server behind a real HTTP server, and a client for it.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "support/manual_clock.h"
#include "tidegate/durable_streams/server.h"
#include "tidegate/http/client.h"
#include "tidegate/http/server.h"
#include "tidegate/http/sse.h"

namespace tidegate::durable_streams::testing {

/// How long a test waits for what must come.
inline constexpr std::chrono::seconds kPatience{30};

/// Asks until it holds. @return whether it did, within `kPatience`.
inline bool eventually(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

class ServerRig {
 public:
  explicit ServerRig(DurableStreamServerOptions options = {}) {
    options.clock = &clock;
    if (!options.store) options.store = memoryStreamStore({.clock = &clock});
    store = options.store;
    streams = std::make_unique<DurableStreamServer>(std::move(options));
    server =
        std::make_unique<http::Server>(http::ServerOptions{.threads = 2, .cors = streamCors()}, streams->handler());
    server->onStopping([this] { streams->stop(); });
    server->start();
  }
  ~ServerRig() { stop(); }
  void stop() {
    if (server) server->stop(kPatience);
    server.reset();
  }

  std::string url(const std::string& path) const { return server->url() + "/v1/stream/" + path; }
  http::Response ask(const std::string& method, const std::string& path, http::Headers headers = {},
                     std::string body = {}) {
    http::Client client({.acceptCompressed = false});
    return client.perform({.method = method,
                           .url = url(path),
                           .headers = std::move(headers),
                           .body = std::move(body),
                           .timeout = kPatience});
  }
  http::Response put(const std::string& path, std::string body = {}, std::string type = "text/plain") {
    return ask("PUT", path, {{"Content-Type", std::move(type)}}, std::move(body));
  }
  http::Response post(const std::string& path, std::string body, std::string type = "text/plain") {
    return ask("POST", path, {{"Content-Type", std::move(type)}}, std::move(body));
  }
  http::Response get(const std::string& path, http::Headers headers = {}) {
    return ask("GET", path, std::move(headers));
  }

  test::ManualClock clock;
  std::shared_ptr<StreamStore> store;
  std::unique_ptr<DurableStreamServer> streams;
  std::unique_ptr<http::Server> server;
};

/// A reader of server-sent events on a thread of its own.
class EventsOf {
 public:
  explicit EventsOf(std::string url) {
    thread_ = std::jthread([this, url = std::move(url)](std::stop_token stop) {
      http::Client client;
      http::SseParser parser([this](const http::SseEvent& event) {
        const std::lock_guard guard(mutex_);
        events_.push_back(event);
      });
      try {
        client.stream(
            {.url = url, .timeout = std::chrono::milliseconds(0)},
            [this](const http::Response& head) {
              status_ = head.status;
              return true;
            },
            [&](std::string_view piece) {
              parser.feed(piece);
              return true;
            },
            stop);
      } catch (const Error&) {
      }
      ended_ = true;
    });
  }
  /// The next event. @throws std::runtime_error where none comes.
  http::SseEvent next() {
    http::SseEvent event;
    const bool came = eventually([&] {
      const std::lock_guard guard(mutex_);
      if (events_.empty()) return false;
      event = events_.front();
      events_.pop_front();
      return true;
    });
    if (!came) throw std::runtime_error("no event came");
    return event;
  }
  nlohmann::json control() {
    const http::SseEvent event = next();
    EXPECT_EQ(event.type, "control");
    return nlohmann::json::parse(event.data);
  }
  bool ended() const { return ended_; }
  int status() const { return status_; }

 private:
  std::mutex mutex_;
  std::deque<http::SseEvent> events_;
  std::atomic<bool> ended_{false};
  std::atomic<int> status_{0};
  std::jthread thread_;
};

/// A receiver of webhooks.
class WebhookReceiver {
 public:
  WebhookReceiver()
      : server_({}, [this](http::Request&& request, http::Responder answer) {
          const std::lock_guard guard(mutex_);
          requests_.push_back(std::move(request));
          http::Response response = answers_.empty() ? http::Response{} : answers_.front();
          if (!answers_.empty()) answers_.pop_front();
          answer.send(std::move(response));
        }) {
    server_.start();
  }
  ~WebhookReceiver() { server_.stop(kPatience); }
  std::string url() const { return server_.url() + "/hook"; }
  void answerNext(http::Response response) {
    const std::lock_guard guard(mutex_);
    answers_.push_back(std::move(response));
  }
  http::Request next() {
    http::Request request;
    const bool came = eventually([&] {
      const std::lock_guard guard(mutex_);
      if (requests_.empty()) return false;
      request = std::move(requests_.front());
      requests_.pop_front();
      return true;
    });
    if (!came) throw std::runtime_error("no webhook came");
    return request;
  }
  bool idle() {
    const std::lock_guard guard(mutex_);
    return requests_.empty();
  }

 private:
  std::mutex mutex_;
  std::deque<http::Request> requests_;
  std::deque<http::Response> answers_;
  http::Server server_;
};

}  // namespace tidegate::durable_streams::testing
