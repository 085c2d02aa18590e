/// Gateways on the network: LakeSync's sync API over HTTP and WebSocket, and server-sent events beside it.
///
///     server::SyncApi sync({{.name = "main", .gateway = &gateway}});
///     server::Api api;
///     sync.addTo(api);                                     // /v1/sync/main/push, /pull, /checkpoint, /ws, /events
///     http::Server http({.port = 8080}, api.handler(authenticator));
///     http.onStopping([&] { sync.stop(); });
///     http.start();
///
/// Routes, errors and messages: docs/sync-api.md. Origin: LakeSync's gateway server; what differs, and why, is decision
/// 22.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/clock.h"
#include "tidegate/gateway/gateway.h"
#include "tidegate/server/api.h"

namespace tidegate::server {

/// One gateway under its name.
struct ServedGateway {
  std::string name{};          ///< as in the path; 1..255 bytes without '/'
  Gateway* gateway = nullptr;  ///< must outlive the `SyncApi`
  /// What `source` in a pull may name: other gateways, filled from other databases. They must outlive the `SyncApi`.
  std::map<std::string, Gateway*, std::less<>> sources{};
  /// Called after rules or a schema were taken, for a host that keeps them over restarts. On a thread that may wait;
  /// what it throws is answered, and the change stays.
  std::function<void(const SyncRules& rules)> onSyncRules{};
  std::function<void(const TableSchema& schema)> onSchema{};
  /// `flush`: what the host writes out behind the gateway's own store, if anything. May wait; may throw Error.
  std::function<void()> onFlush{};
};

struct SyncApiOptions {
  /// Claims that name further client ids that a caller may push and pull as, besides its subject.
  std::string clientClaim = "client_id";
  /// A claim that names the gateways that its token is for; a token that has it is refused elsewhere. LakeSync's "gw".
  std::string gatewayClaim = "gw";
  bool requireGatewayClaim = false;  ///< refuse clients whose tokens lack it

  std::size_t maxPushBytes = 8u << 20;  ///< of one push; over it: 413, or close code 1009
  /// Larger pushes, and those that wait for a store, go to `threads`. What is smaller is answered where it was read:
  /// for so many octets in about a millisecond, and in three fifths of the time that a thread of `threads` takes.
  std::size_t inlineBytes = 512u << 10;
  std::size_t threads = 4;                  ///< that pushes with a store, large pushes and filtered pulls run on; 1..64
  std::size_t queue = 4096;                 ///< calls that wait for them; over it: 503
  std::size_t checkpointChunk = 64u << 10;  ///< octets, about, of one frame of a checkpoint

  std::size_t followers = 20'000;               ///< event streams and WebSockets at once; over it: 503
  std::size_t followersPerClient = 16;          ///< of one client id; over it: 429
  std::size_t fanOutThreads = 1;                ///< that read the log for them; 1..16
  std::size_t batch = 1'000;                    ///< deltas in one event or broadcast, at most
  std::size_t window = 256u << 10;              ///< octets that a follower may have unread before it is read for again
  std::size_t maxQueuedEntries = 100'000;       ///< log entries it may lie behind before it is told to resync
  std::chrono::milliseconds heartbeat{15'000};  ///< between signs of life of a stream without events
  std::chrono::milliseconds pingInterval{30'000};  ///< of WebSockets
  std::size_t messagesPerSecond = 200;             ///< of one WebSocket; over it: closed with 1008. 0: no bound
  /// By which `Identity::until` is judged. Null: the system's; must outlive the `SyncApi`.
  const Clock* clock = nullptr;
};

/// Counters since construction, and sizes now.
struct SyncApiStats {
  std::size_t events = 0;      ///< event streams now
  std::size_t webSockets = 0;  ///< now
  std::uint64_t batches = 0;   ///< events and broadcasts sent
  std::uint64_t resyncs = 0;   ///< followers told to resync
};

/// @thread Any. It must outlive the server that serves it, and end before its gateways do.
class SyncApi {
 public:
  /// @throws Error{invalidConfig} for no gateway, a name that is none or comes twice, or options out of bounds.
  explicit SyncApi(std::vector<ServedGateway> gateways, SyncApiOptions options = {});
  /// Stops; what waits for the threads runs to its end.
  ~SyncApi();
  SyncApi(const SyncApi&) = delete;
  SyncApi& operator=(const SyncApi&) = delete;

  /// Adds all operations and their schemas. The `Api` must not outlive this.
  void addTo(Api& api);
  /// Ends all event streams and the WebSockets that follow (1001), and takes no new ones; the server closes the rest.
  /// Idempotent; for `Server::onStopping`.
  void stop() noexcept;
  SyncApiStats stats() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace tidegate::server
