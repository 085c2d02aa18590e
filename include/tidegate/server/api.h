/// A table of operations, from which requests are answered, callers are judged, and the OpenAPI document is written: so
/// none of the three can know a route that the others do not.
///
///     Api api({.title = "Replica"});
///     api.add({.method = "GET", .pattern = "/v1/hello/{name}", .role = Role::client, .summary = "Greets",
///              .handler = [](Call&& call, http::Responder answer) { answer.send({.body = call.path("name")}); }});
///     http::Server server({.port = 8080}, api.handler(authenticator));
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tidegate/http/server.h"
#include "tidegate/server/identity.h"

namespace tidegate::server {

/// A request that passed: its caller may do what it asks.
struct Call {
  http::Request request{};
  http::Router::Parameters parameters{};  ///< of the pattern, decoded
  Identity who{};

  /// A parameter of the pattern; "" where it has none of that name.
  std::string_view path(std::string_view name) const noexcept;
};

/// A parameter in the query.
struct QueryParameter {
  std::string name{};
  std::string description{};
  std::string schema = R"({"type":"string"})";  ///< JSON Schema
  bool required = false;
};

/// One answer that an operation may give.
struct Answer {
  int status = 200;
  std::string description{};
  std::string mediaType{};  ///< empty: no body
  std::string schema{};     ///< JSON Schema; may refer to "#/components/schemas/…"
};

/// One method of one path: what it takes, who may, and what it does.
struct Operation {
  std::string method{};
  std::string pattern{};  ///< as `http::Router::add` takes it
  Role role = Role::admin;
  std::string name{};  ///< OpenAPI's operationId, lowerCamel
  std::string summary{};
  std::string tag{};
  std::vector<QueryParameter> query{};
  std::string body{};  ///< JSON Schema of the request's body; empty: none
  std::string bodyType = "application/json";
  std::vector<Answer> answers{};
  /// Exactly one of these two. What they throw becomes an answer, as `http::Handler` says.
  /// Called on a thread of the server; must not block.
  std::function<void(Call&& call, http::Responder answer)> handler{};
  /// Called on a thread of the api's own: it may wait for a database or a job.
  std::function<http::Response(Call&& call)> blocking{};
};

struct ApiOptions {
  std::string title = "Tidegate";
  std::string version = "1";
  std::size_t blockingThreads = 2;   ///< 1..64
  std::size_t blockingQueue = 1024;  ///< calls that wait for one; over it: 503
  /// Judges a call once its caller is known, before it is served: rate limits. nullopt: it is served; otherwise it is
  /// answered 429, with this as `Retry-After` (whole seconds, rounded up). See `RateLimiter`.
  std::function<std::optional<std::chrono::milliseconds>(const http::Request& request, const Identity& who)> admit{};
  /// The same before anyone looks who calls, so that guessing tokens has a price too.
  std::function<std::optional<std::chrono::milliseconds>(const http::Request& request)> admitAddress{};
};

/// @thread Build it on one thread; `handler` may then be called from any. It must outlive the server.
class Api {
 public:
  explicit Api(ApiOptions options = {});
  /// Runs what is queued for the blocking threads to its end.
  ~Api();
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  /// @throws Error{invalidArgument} as `http::Router::add`, and for an operation without handler, name or summary.
  void add(Operation operation);
  /// A named JSON Schema, for "#/components/schemas/{name}".
  void addSchema(std::string name, std::string schema);
  /// Another handler below a prefix, which judges its callers itself: static files, streams.
  void mount(std::string prefix, http::Handler handler);

  const std::vector<Operation>& operations() const noexcept;
  /// The OpenAPI 3.1 document of all operations.
  std::string openApi() const;
  /// Answers requests: 401 with `WWW-Authenticate` for who is not known and would have to be, 403 for who may not.
  /// @param authenticator null: everyone is admin, for hosts that bind to loopback and for tests.
  http::Handler handler(std::shared_ptr<const Authenticator> authenticator) const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace tidegate::server
