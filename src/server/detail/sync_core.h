/// What all operations of a `SyncApi` share.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "server/detail/blocking_pool.h"
#include "server/detail/followers.h"
#include "server/detail/sync_errors.h"
#include "tidegate/server/sync_api.h"

namespace tidegate::server::detail {

/// A reader's own inserts, as updates: it holds those rows, and LakeSync's client refuses a row that is there.
void tellOwnInserts(std::vector<RowDelta>& deltas, std::string_view clientId);

/// What each client was last given to go on from. A push is answered with it and not with the log's end: LakeSync's
/// clients pull from what a push answered, and would miss what others wrote in between.
/// @thread Any.
class ClientPositions {
 public:
  void note(std::string_view gateway, std::string_view clientId, Hlc given);
  std::optional<Hlc> find(std::string_view gateway, std::string_view clientId) const;

 private:
  static std::string key(std::string_view gateway, std::string_view clientId);

  mutable std::mutex mutex_;
  std::unordered_map<std::string, Hlc> given_{};
};

/// @thread Any.
struct SyncCore {
  SyncCore(std::vector<ServedGateway> given, SyncApiOptions settings);

  /// The gateway that the path names, for a caller who may use it. @throws SyncRefused
  const ServedGateway& gatewayFor(const Call& call) const;
  /// Whether the caller may be this client. @throws SyncRefused
  void checkClient(const Identity& who, std::string_view clientId) const;
  /// The client that the caller is where it names none; "" where that is not one.
  std::string ownClient(const Identity& who) const;

  PushResult push(const ServedGateway& served, const SyncPush& push) const;
  /// Notes where the answer leaves the client.
  /// The client that a follower is: the one it names, or its own, or a new name. @throws SyncRefused
  std::string followingClient(const Call& call) const;
  PullResult pull(const ServedGateway& served, Gateway& from, const SyncPull& pull, const Claims& claims);
  /// What to answer a push with: the log's end, where nobody else wrote since the client's last pull; otherwise what
  /// it was given then.
  Hlc pushPosition(const ServedGateway& served, const std::string& clientId, const PushResult& result);

  /// The same for an operation that may wait: what it throws becomes its answer.
  static http::Response answered(const std::function<http::Response()>& work);
  /// Runs `work`, and answers what it throws. Here, or on a thread that may wait.
  static void answering(http::Responder& answer, const std::function<void(http::Responder&)>& work);
  void elsewhere(http::Responder answer, std::function<void(http::Responder&)> work);

  const SyncApiOptions options;
  const Clock& clock;
  std::map<std::string, ServedGateway, std::less<>> gateways{};
  ClientPositions positions{};
  Followers followers;
  std::atomic<std::size_t> eventStreams{0};
  std::atomic<std::size_t> webSockets{0};
  BlockingPool pool;  ///< last: its calls use the others
};

/// Each adds its operations. `core` must outlive the api's serving.
void addSyncPush(Api& api, SyncCore& core);
void addSyncPull(Api& api, SyncCore& core);
void addSyncCheckpoint(Api& api, SyncCore& core);
void addSyncEvents(Api& api, SyncCore& core);
void addSyncWebSocket(Api& api, SyncCore& core);
void addSyncAdmin(Api& api, SyncCore& core);
/// 200 with JSON, not to be cached.
http::Response syncJson(std::string body);
/// "/v1/sync/{gateway}/" + what, with what every operation of the sync API has in common.
Operation syncOperation(std::string method, std::string pattern, std::string name, std::string summary);
/// The named schemas that the operations refer to.
void addSyncSchemas(Api& api);

}  // namespace tidegate::server::detail
