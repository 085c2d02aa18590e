/// What all connections of one server share.
#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

#include "http/detail/address_places.h"
#include "http/detail/cors.h"
#include "tidegate/http/server.h"

namespace spdlog {
class logger;
}

namespace tidegate::http::detail {

/// @thread Any: constant, or atomic, or guarded.
struct ServerContext {
  ServerContext(ServerOptions given, Handler handle);

  const ServerOptions options;
  const Handler handler;
  const CorsRules cors;
  const std::string serverField;                    ///< "Server: …\r\n"
  const std::shared_ptr<spdlog::logger> accessLog;  ///< null: none
  std::function<std::string()> metrics{};           ///< the server's own, as Prometheus text

  std::atomic<bool> draining{false};
  std::atomic<bool> cutSomething{false};

  std::mutex mutex;
  std::condition_variable emptied;  ///< `open` became zero
  std::atomic<std::size_t> open{0};
  std::shared_ptr<SSL_CTX> tls{};  ///< guarded by `mutex`
  const std::shared_ptr<AddressPlaces> places = std::make_shared<AddressPlaces>();
};

/// What a server counts. Written by one thread, read by any.
struct Counters {
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> connections{0};
  std::atomic<std::uint64_t> bytesIn{0};
  std::atomic<std::uint64_t> bytesOut{0};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::size_t> streams{0};

  template <class T>
  static void add(std::atomic<T>& counter, T by = 1) noexcept {
    counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
};

/// The answer for what a handler threw, from inside a catch block.
Response responseForException() noexcept;

}  // namespace tidegate::http::detail
