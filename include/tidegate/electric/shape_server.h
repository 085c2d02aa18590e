/// Electric's Shape API over HTTP, on a feed: what `@electric-sql/client` and other clients of Electric read.
///
///     electric::ShapeServer shapes(feed);
///     http::Router router;
///     router.mount("/v1/shape", shapes.handler());
///     http::Server server({.port = 3000, .cors = electric::ShapeServer::cors({"https://app.example"})},
///     router.handler()); server.onStopping([&] { shapes.finish(); }); server.start();
///
/// GET with `table`, `offset`, `handle`, `live`, `live_sse`, `cursor`, `where`, `params[n]`, `columns`, `replica` and
/// `log`; HEAD; OPTIONS; DELETE where allowed. Snapshots in pieces, long polls, event streams, 409 with `must-refetch`,
/// ETags and cache fields. See docs/electric-shapes.md for what differs from Electric.
///
/// Origin: Electric's sync service, `GET /v1/shape`.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tidegate/electric/shape_feed.h"
#include "tidegate/electric/where.h"
#include "tidegate/http/server.h"

namespace tidegate::electric {

/// What a request asks for, as it was sent.
struct ShapeQuery {
  std::string table{};
  std::string where{};
  WhereParams params{};
  std::string columns{};  ///< a list of names; empty: all
  std::string handle{};
  bool live = false;
  bool deletion = false;  ///< DELETE, not GET
};

/// What the host makes of a request.
struct ShapeGrant {
  int status = 200;                   ///< anything else refuses, e.g. 401 or 403
  std::string message{};              ///< of a refusal; the client sees it
  std::shared_ptr<ShapeFeed> feed{};  ///< whose tables are served; null: the server's
  std::string where{};                ///< a condition that rows must also meet; clients do not see it
  WhereParams params{};               ///< of that condition
  /// Columns that may be sent and named in `where`; empty: all. The key's are among them, or the request is refused.
  std::vector<std::string> columns{};
};

struct ShapeServerOptions {
  std::chrono::milliseconds longPoll{20'000};     ///< after which a live request is answered "up to date"
  std::chrono::milliseconds eventStream{60'000};  ///< after which an event stream is ended, so that caches let go
  std::chrono::milliseconds keepAlive{21'000};    ///< between comments in a silent event stream
  std::chrono::seconds maxAge{60};                ///< of answers that are not live
  std::chrono::seconds staleAge{300};
  bool cacheFields = true;
  bool allowDeletion = false;             ///< whether DELETE ends a shape
  std::size_t maxWaiting = 20'000;        ///< live requests at once; past it: 503
  std::size_t maxStreamBytes = 1u << 20;  ///< queued for one event stream before it has to catch up
  WhereLimits where{};
  /// Called for each request, on a thread of the HTTP server; must not block. Empty: everybody may read everything.
  /// With it, answers are for private caches only. What it throws is answered as any handler's.
  std::function<ShapeGrant(const http::Request& request, const ShapeQuery& query)> authorise{};
};

/// @thread Any. Handlers keep what they need, so they may outlive it.
class ShapeServer {
 public:
  /// @throws Error{invalidConfig} without a feed and without `authorise`, or for a time that is not positive.
  explicit ShapeServer(std::shared_ptr<ShapeFeed> feed, ShapeServerOptions options = {});
  ~ShapeServer();
  ShapeServer(const ShapeServer&) = delete;
  ShapeServer& operator=(const ShapeServer&) = delete;

  /// To be mounted at "/v1/shape", or wherever clients are told to ask.
  http::Handler handler() const;
  /// Answers long polls now and ends event streams in good order; from here on nobody waits. For `onStopping`.
  void finish();

  /// What web pages of these origins need: the methods, and the fields that their clients read.
  static http::Cors cors(std::vector<std::string> origins);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace tidegate::electric
