/// A client on a WebSocket: LakeSync's binary messages, or the same as JSON.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "server/detail/sync_core.h"
#include "tidegate/http/websocket.h"

namespace tidegate::server::detail {

/// @thread Messages: its connection's, one at a time; broadcasts: a fan-out thread.
class SyncSocket : public std::enable_shared_from_this<SyncSocket> {
 public:
  SyncSocket(SyncCore& core, const ServedGateway& served, Identity who, bool json)
      : core_(core), served_(served), who_(std::move(who)), json_(json) {}

  /// From where broadcasts begin.
  struct Start {
    bool follow = false;         ///< at once; otherwise where the first pull ends that reaches the log's end
    std::optional<Hlc> since{};  ///< nullopt: now
  };
  /// Answers the handshake. @throws as `Followers::follow`; nothing was answered then.
  void begin(const http::Request& request, std::string clientId, const Start& start, http::Responder& answer);

 private:
  /// One message, understood. `id`: what the answer repeats, as JSON; empty: nothing.
  struct Asked {
    bool json = false;
    std::string id{};
  };
  void onMessage(std::string&& message, bool binary);
  bool tooMany();
  void endWithToken();
  void dispatchBinary(std::string&& message);
  void dispatchJson(std::string&& message);
  void takePush(const Asked& asked, std::shared_ptr<const SyncPush> push, std::size_t octets);
  void takePull(const Asked& asked, const SyncPull& pull);
  /// Here, or on a thread that may wait, with the socket paused meanwhile.
  void run(bool here, const Asked& asked, std::function<void()> work);
  void answerPush(const Asked& asked, const SyncPush& push);
  void answerPull(const Asked& asked, const SyncPull& pull);
  void refuse(const Asked& asked, const SyncRefusal& refusal);
  std::shared_ptr<Follower> follow(std::optional<Hlc> since);
  void beginFollowing(const std::shared_ptr<Follower>& follower);
  void followFrom(Hlc reached);
  void broadcast(const PullResult& batch);
  void finish();

  SyncCore& core_;
  const ServedGateway& served_;
  const Identity who_;
  std::atomic<bool> json_;
  std::optional<http::WebSocket> socket_{};
  std::mutex mutex_;  ///< guards `follower_`, once the handshake is answered
  std::shared_ptr<Follower> follower_{};
  std::string clientId_{};
  std::atomic<bool> finished_{false};
  std::chrono::steady_clock::time_point windowFrom_{};
  std::size_t inWindow_ = 0;
};

}  // namespace tidegate::server::detail
