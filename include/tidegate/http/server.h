/// One HTTP/1.1 server for everything that Tidegate serves: asynchronous, with a fixed small number of threads.
///
///     http::Router router;
///     router.add("GET", "/hello/{name}", [](http::Request&& request, http::Responder answer) {
///       answer.send({.status = 200, .body = "hello " + request.path.substr(7)});
///     });
///     http::Server server({.port = 8080}, router.handler());
///     server.start();
///     …
///     server.stop(std::chrono::seconds(5));   // no new connections; running answers finish, or are cut
///
/// A handler never blocks: it answers at once, or keeps the `Responder` and answers later, from any thread. A thousand
/// waiting requests cost memory and no thread. Origin: Boost.Beast's asynchronous servers; the shape of the responder
/// follows Asio's completion handlers, without Asio in the interface.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/http/message.h"

namespace tidegate::http {

class Exchange;  // one request and its answer, private to the server
class WebSocket;
struct WebSocketHandlers;
struct WebSocketOptions;

/// An answer whose body is written piece by piece: server-sent events, large downloads. Chunked, or until the
/// connection ends for HTTP/1.0. Copies are the same answer.
/// @thread Any.
class BodyStream {
 public:
  /// Queues octets. @return octets queued and not yet handed to the kernel, these included; nullopt-like `kGone` once
  /// the peer has gone or the server stopped. The writer bounds itself by this number, or waits for `onDrained`.
  std::size_t write(std::string octets) const;
  static constexpr std::size_t kGone = static_cast<std::size_t>(-1);
  /// Octets queued, as `write` returns.
  std::size_t pending() const;
  /// Ends the body; the connection then serves its next request. Nothing may be written after it.
  void end() const;
  /// Cuts the connection, so that the peer sees that the body is not whole.
  void abort() const;
  /// Runs `then` on a thread of the server whenever the queue has become empty. At most one callback is kept.
  void onDrained(std::function<void()> then) const;
  /// As `Responder::after`, `onGone` and `post`, while the body is being written.
  void after(std::chrono::milliseconds delay, std::function<void()> then) const;
  void onGone(std::function<void()> then) const;
  void post(std::function<void()> then) const;

 private:
  friend class Responder;
  explicit BodyStream(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  std::shared_ptr<Exchange> exchange_;
};

/// The right and the duty to answer one request. Destroyed unanswered, it answers 500.
/// @thread One at a time; may be handed to another thread. Callbacks run on a thread of the server, under no lock,
/// never two of one connection at once.
class Responder {
 public:
  explicit Responder(std::shared_ptr<Exchange> exchange) noexcept;
  Responder(Responder&&) noexcept;
  Responder& operator=(Responder&&) noexcept;
  ~Responder();

  /// Answers. Content-Length, Date, Connection, and CORS fields are the server's. For HEAD the body is left out and
  /// only counted. Large textual bodies are compressed where the client and the options say so.
  void send(Response response);
  /// Sends status and fields, then gives the body to be written. Not compressed.
  BodyStream stream(int status, Headers headers);

  /// Runs `then` once after `delay`, unless the exchange has ended by then (answered whole, or the peer gone). For the
  /// timeout of a long poll, and for the keep-alives of a stream: such a callback may call `BodyStream::write`. Works
  /// before `send`, and also after `stream`.
  void after(std::chrono::milliseconds delay, std::function<void()> then);
  /// Runs `then` once when the peer has gone before the answer was whole. At most one callback is kept.
  void onGone(std::function<void()> then);
  /// Runs `then` soon on this connection's thread: for answering from another thread without taking its time.
  void post(std::function<void()> then);

 private:
  friend std::optional<WebSocket> acceptWebSocket(const Request&, Responder, WebSocketHandlers, WebSocketOptions);
  std::shared_ptr<Exchange> exchange_;
};

/// Takes a request. Called on a thread of the server; must not block. What it throws becomes a problem+json answer:
/// Error{invalidArgument, parseError} 400, authenticationFailed 401, permissionDenied 403, tableNotFound 404,
/// backPressure 429, storeUnavailable and connectionFailed 503, others 500 with a message that says nothing of the
/// inside.
using Handler = std::function<void(Request&& request, Responder answer)>;
/// The same answer for a failure that was caught elsewhere, on another thread for example.
Response problemFor(const std::exception_ptr& failure) noexcept;

/// Bounds that are enforced while reading, before memory is spent.
struct Limits {
  std::size_t headerBytes = 16u << 10;              ///< request line and fields; over it: 431, and the connection ends
  std::size_t targetBytes = 8u << 10;               ///< over it: 414
  std::size_t bodyBytes = 8u << 20;                 ///< over it: 413, and the connection ends
  std::size_t connections = 20'000;                 ///< over it: 503 and the connection ends
  std::size_t connectionsPerAddress = 0;            ///< as `addressGroup` has it; 0: no bound but `connections`
  std::chrono::milliseconds headerTimeout{10'000};  ///< from the first octet of a request to the end of its fields: 408
  std::chrono::milliseconds bodyTimeout{30'000};    ///< between two reads of a body: 408
  std::chrono::milliseconds idleTimeout{75'000};    ///< of a kept connection without a request; it is closed
  std::chrono::milliseconds writeTimeout{60'000};   ///< without progress of a write; the connection is cut
};

/// Which web pages may call. Closed unless `origins` says so.
struct Cors {
  std::vector<std::string> origins{};  ///< exact origins, or "*"
  std::vector<std::string> methods{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
  std::vector<std::string> requestHeaders{};  ///< allowed in requests; empty: those that the request asks for
  std::vector<std::string> exposed{};         ///< response fields that pages may read
  std::chrono::seconds maxAge{86'400};
};

/// Certificates as PEM files; read again by `Server::reloadTls`.
struct TlsFiles {
  std::string certificate{};  ///< chain, leaf first; empty: no TLS
  std::string key{};
  std::string clientAuthority{};  ///< where given, clients must show a certificate that it signed
};

struct ServerOptions {
  std::string address = "127.0.0.1";  ///< numeric; loopback unless told otherwise
  std::uint16_t port = 0;             ///< 0: any free one, see `port()`
  unsigned threads = 1;
  /// How long a thread whose last sleep was shorter than this looks for work before it sleeps again: to be woken takes
  /// tens of microseconds, on virtual machines above all. Costs nothing where requests are rare. 0: never.
  std::chrono::microseconds spin{100};
  Limits limits{};
  Cors cors{};
  TlsFiles tls{};
  std::size_t compressFrom = 16u << 10;  ///< octets from which textual bodies are gzipped; 0: never
  bool accessLog = false;                ///< one line a request through spdlog, logger "tidegate.http"
  std::string serverName = "tidegate";   ///< the Server field; empty: none
  /// Paths answered by the server itself, before the handler; empty: not served.
  std::string healthPath{};   ///< 200 while the process runs, e.g. "/healthz"
  std::string readyPath{};    ///< 200 or 503 by `ready`, e.g. "/readyz"
  std::string metricsPath{};  ///< Prometheus text, e.g. "/metrics": the server's own and those of `metrics`
  std::function<bool()> ready{};
  std::function<std::string()> metrics{};
};

/// What the server has done, since it was made.
struct ServerStats {
  std::uint64_t requests = 0;     ///< answered, whatever the status
  std::uint64_t connections = 0;  ///< accepted
  std::size_t open = 0;           ///< connections now
  std::size_t streams = 0;        ///< answers being written piece by piece now
  std::uint64_t bytesIn = 0;
  std::uint64_t bytesOut = 0;
  std::uint64_t refused = 0;  ///< requests ended by a limit or a malformed request
};

/// @thread Any. `start` and `stop` once each.
class Server {
 public:
  /// @throws Error{invalidConfig} for options that cannot work (address, certificate files, CORS with nothing to
  /// allow).
  Server(ServerOptions options, Handler handler);
  /// Stops with a deadline of zero.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Listens, and starts the threads. @throws Error{connectionFailed} where the address or port cannot be had.
  void start();
  /// Accepts nothing more, calls `onStopping`, ends event streams in good order, lets other answers finish until the
  /// deadline, then cuts what is left, and joins the threads. After it returned no callback runs. Not from a handler.
  /// @return whether nothing had to be cut.
  bool stop(std::chrono::milliseconds deadline);
  /// Called once when `stop` begins, on its thread, so that long polls can be answered and event streams can say so.
  /// Set it before `start`.
  void onStopping(std::function<void()> then);
  std::uint16_t port() const noexcept;
  /// "http://127.0.0.1:8080" or "https://…".
  std::string url() const;
  /// Reads the certificate files again; connections made from now on use them.
  /// @throws Error{invalidConfig} with the file's name; the old ones then stay.
  void reloadTls();
  ServerStats stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Finds the handler for a method and a path pattern: "/a/{name}/b"; "{rest...}" last takes the rest, slashes included.
/// An unknown path is 404, a known one with another method 405 with `Allow`. HEAD falls back to GET.
/// @thread Build it on one thread; then immutable.
class Router {
 public:
  /// Values of a pattern's names, in order.
  using Parameters = std::vector<std::pair<std::string, std::string>>;
  using RouteHandler = std::function<void(Request&& request, const Parameters& parameters, Responder answer)>;

  /// @throws Error{invalidArgument} for a pattern that is malformed or that is there already with this method.
  void add(std::string_view method, std::string_view pattern, RouteHandler handler);
  void add(std::string_view method, std::string_view pattern, Handler handler);
  /// Everything below `prefix`, whatever the method. Longer prefixes win; exact routes win over prefixes.
  void mount(std::string_view prefix, Handler handler);
  /// (method, pattern) of every route, in the order of `add`.
  const std::vector<std::pair<std::string, std::string>>& routes() const noexcept;
  /// A handler over a copy of what is there now.
  Handler handler() const;

 private:
  struct Table;
  std::shared_ptr<Table> table_;
};

}  // namespace tidegate::http
