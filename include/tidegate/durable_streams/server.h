/// The Durable Streams protocol served: streams, live readers, forks and subscriptions over any `StreamStore`.
///
///     auto store = durable_streams::fileStreamStore({.folder = "/var/lib/app/streams"});
///     durable_streams::DurableStreamServer streams({.store = store});
///     http::Server server({.port = 4437, .cors = durable_streams::streamCors()}, streams.handler());
///     server.onStopping([&] { streams.stop(); });
///     server.start();
///
/// Streams live below `basePath`; `<basePath>/__ds/` is the protocol's own. Origin: the Durable Streams protocol 1.0.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/clock.h"
#include "tidegate/durable_streams/stream_store.h"
#include "tidegate/http/server.h"

namespace tidegate::durable_streams {

/// What a request wants, for whoever decides whether it may.
enum class StreamAction {
  create,
  append,
  read,  ///< GET and HEAD
  remove,
  subscribe,  ///< make, read, change or delete a subscription
  claim,      ///< take a pull-wake subscription's work; what follows carries the claim's own token
  keys        ///< the public keys that webhooks are signed with
};

enum class Access { allowed, unauthenticated, forbidden };

struct AccessRequest {
  StreamAction action{};
  std::string_view path{};  ///< below `basePath`: the stream's, or the subscription's id
  const http::Request& request;
};

/// Called for each request before anything else is done with it. Must not block. For a fork it is asked twice: to
/// create the fork, and to read its source.
/// @thread The server's.
using Authorise = std::function<Access(const AccessRequest& access)>;

/// Allows what carries `Authorization: Bearer <token>`, compared in constant time; public keys are open to all.
/// @throws Error{invalidConfig} for an empty token.
Authorise bearerToken(std::string token);

struct SubscriptionOptions {
  bool enabled = true;
  bool webhooks = true;
  /// Also `http://localhost` and 127.0.0.x (section 6.2 allows it for development).
  bool localWebhooks = false;
  /// Asked for each webhook URL besides the rules of section 12.8, e.g. for a list of allowed hosts; null: none.
  std::function<bool(std::string_view url)> webhookAllowed{};
  std::size_t subscriptions = 10'000;
  std::size_t streamsPerSubscription = 100'000;
  std::chrono::seconds webhookTimeout{30};
  std::size_t webhooksAtOnce = 64;
};

struct DurableStreamServerOptions {
  std::shared_ptr<StreamStore> store{};
  const Clock* clock = nullptr;  ///< null: the system's
  std::string basePath = "/v1/stream";
  /// Scheme and authority that clients see, e.g. "https://streams.example.org"; empty: as the request's Host says.
  std::string publicUrl{};
  Authorise authorise{};  ///< null: everything is allowed
  std::chrono::milliseconds longPollTimeout{15'000};
  std::chrono::milliseconds sseDuration{60'000};   ///< after it a reader connects again (section 10.2)
  std::chrono::milliseconds sseKeepAlive{15'000};  ///< a control event where nothing else was sent
  std::size_t chunkBytes = 4u << 20;               ///< of one answer; more only where one append is larger
  std::size_t sseChunkBytes = 256u << 10;          ///< of one event
  std::size_t sseBufferBytes = 1u << 20;           ///< queued for one reader; past it the reader sets the pace
  std::size_t liveReaders = 50'000;                ///< over it: 429
  std::chrono::seconds cursorInterval{20};
  bool publicCache = false;  ///< answers may be kept by shared caches; only for streams that anybody may read
  std::uint64_t seed = 0;    ///< of the cursors' and retries' jitter; 0: from std::random_device
  SubscriptionOptions subscriptions{};
};

struct DurableStreamServerStats {
  std::uint64_t appends = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t reads = 0;
  std::uint64_t refused = 0;  ///< answered 4xx or 5xx
  std::size_t liveReaders = 0;
  std::uint64_t webhooks = 0;
  std::uint64_t webhookFailures = 0;
};

/// @thread Any. Owns one thread: for webhooks, leases, and the removal of what has expired.
class DurableStreamServer {
 public:
  /// @throws Error{invalidConfig} without a store or for a base path that does not begin with '/'; Error as the store
  ///         for what it keeps of subscriptions.
  explicit DurableStreamServer(DurableStreamServerOptions options);
  /// Stops. No handler may be called any more.
  ~DurableStreamServer();
  DurableStreamServer(const DurableStreamServer&) = delete;
  DurableStreamServer& operator=(const DurableStreamServer&) = delete;

  /// For `http::Server`, or to be mounted in a `http::Router` at the base path. Must not outlive this object.
  http::Handler handler();
  /// Ends long polls and event streams in good order, and the thread. What is asked afterwards is answered 503.
  void stop();
  /// Tells subscriptions of an append that was made in the store itself, not through the handler.
  void appended(std::string_view path);
  /// Makes a new key for webhooks; the old ones stay in the key set. @throws Error{storeUnavailable}.
  void rotateWebhookKey();
  DurableStreamServerStats stats() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

/// The CORS options that browsers need to speak the protocol.
http::Cors streamCors(std::vector<std::string> origins = {"*"});

}  // namespace tidegate::durable_streams
