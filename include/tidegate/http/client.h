/// One HTTP client for everything that Tidegate asks of others: timeouts, retries with jitter, streaming, TLS verified.
///
///     http::Client client({.headers = {{"authorization", "Bearer …"}}});
///     http::Response r = client.perform({.method = "GET", .url = "http://127.0.0.1:8080/hello"}, stop);
///
/// Several requests at once on one thread, as they come:
///
///     client.start({.method = "POST", .url = u, .body = "1"}, {.onDone = [](const http::Outcome& o) { … }});
///     while (client.running() > 0) client.run(std::chrono::milliseconds(100), stop);
///
/// Built on libcurl's multi interface: connections are kept and used again.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "tidegate/core/clock.h"
#include "tidegate/core/error.h"
#include "tidegate/http/message.h"

namespace tidegate::http {

struct ClientRequest {
  std::string method = "GET";
  std::string url{};  ///< http or https, percent-encoded
  Headers headers{};
  std::string body{};
  /// From start to the end of the answer; zero: none, for streams that never end.
  std::chrono::milliseconds timeout{30'000};
  /// Without an octet; zero: none. For streams: how long a silent server is believed.
  std::chrono::milliseconds idleTimeout{0};
  std::size_t maxBodyBytes = 64u << 20;  ///< of a collected answer; over it: Error{parseError}
  /// May be done twice, e.g. because the server knows it again: then it is sent again also where its outcome is
  /// unknown. GET, HEAD and OPTIONS always are.
  bool repeatable = false;
  /// HTTP/2 where TLS negotiates it (ALPN), on a connection of its own; otherwise HTTP/1.1.
  bool http2 = false;
};

/// When a request is sent again. A request is only repeated while its answer has not begun.
struct RetryPolicy {
  unsigned attempts = 1;  ///< in all; 1: never again
  std::chrono::milliseconds first{100};
  std::chrono::milliseconds most{30'000};
  /// And a failed connection. 0: none. `Retry-After` is honoured, up to `most`.
  std::array<int, 8> statuses{429, 502, 503, 504};
};

struct ClientOptions {
  Headers headers{};  ///< sent with each request unless it has its own
  RetryPolicy retry{};
  std::chrono::milliseconds connectTimeout{5'000};
  std::string authorityFile{};  ///< PEM; empty: the system's authorities
  bool verifyTls = true;        ///< certificate and name; false only in so many words
  bool acceptCompressed = true;
  std::size_t connections = 32;  ///< kept open at most
  bool followRedirects = false;  ///< within the same origin only
  /// Connects to public addresses alone, whatever a name resolves to at that moment: for URLs that strangers give
  /// (server-side request forgery). Private, loopback, link-local, multicast and reserved addresses are refused with
  /// Error{permissionDenied}. No proxy is used then, since it would resolve names itself.
  bool publicAddressesOnly = false;
  std::string userAgent = "tidegate";
  const Clock* clock = nullptr;    ///< null: the system's
  Scheduler* scheduler = nullptr;  ///< for the pauses of `perform`; null: the system's
  std::uint64_t jitterSeed = 0;    ///< 0: seeded from std::random_device
};

/// How a request ended: an answer, or why there is none.
struct Outcome {
  Response response{};           ///< where `error` is empty; the body is empty where `onData` took it
  std::optional<Error> error{};  ///< connectionFailed (Retry::later; outcomeUnknown once the request may have arrived),
                                 ///< queryCancelled, parseError (answer over its bound), authenticationFailed (TLS),
                                 ///< permissionDenied (`publicAddressesOnly`)
  unsigned attempts = 1;
};

/// What `start` tells. Called inside `run` and `perform`, on their thread. They may call `start` and `cancel`.
struct Callbacks {
  /// Status and fields are there, before the body. Returning false ends the request (queryCancelled).
  std::function<bool(const Response& head)> onHead{};
  /// A piece of the body. Without it the body is collected. Returning false ends the request (queryCancelled).
  std::function<bool(std::string_view piece)> onData{};
  /// Exactly once, last.
  std::function<void(const Outcome& outcome)> onDone{};
};

/// @thread One at a time; `wake` from any.
class Client {
 public:
  using Id = std::uint64_t;

  /// @throws Error{invalidConfig} for an authority file that cannot be read, malformed fields, no attempt at all.
  explicit Client(ClientOptions options = {});
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  /// Sends, waits, and gives the answer whatever its status. Retries by the policy. Other requests go on meanwhile, but
  /// not in the pauses.
  /// @throws Error as Outcome::error; queryCancelled when stopped.
  Response perform(const ClientRequest& request, std::stop_token stop = {});
  /// Sends and streams the answer. Not retried once `onHead` was called. @throws as `perform`.
  void stream(const ClientRequest& request, const std::function<bool(const Response& head)>& onHead,
              const std::function<bool(std::string_view piece)>& onData, std::stop_token stop = {});

  /// Begins a request; the rest happens in `run`. It is not retried: what follows is the caller's to decide. Destroying
  /// the client ends it untold. @throws Error{invalidArgument} for a URL that is none.
  Id start(ClientRequest request, Callbacks callbacks);
  /// Ends a request: its `onDone` says queryCancelled, in `run`. No error if it has ended.
  void cancel(Id id);
  /// Reads no more of an answer that has begun until it is let go, so that its server feels that nobody takes it. What
  /// libcurl has received by then may still come. The time of silence does not run meanwhile. No error if it has ended.
  void hold(Id id, bool held);
  /// Requests begun and not done.
  std::size_t running() const noexcept;
  /// Moves all requests on; returns after something was done, after `wait`, when woken or when stopped.
  void run(std::chrono::milliseconds wait, std::stop_token stop = {});
  /// Ends a `run` that waits.
  void wake() noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidegate::http
