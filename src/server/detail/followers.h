/// Those who follow a gateway's log over a connection, and the threads that read it for them.
///
/// A follower has no queue: its place in the log is all there is. It is read for when the log has news, or when what it
/// was sent before has left, and never while more than `window` octets of it stand in its connection. So a slow reader
/// costs no memory; one that falls too far behind is told to resync.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tidegate/gateway/gateway.h"
#include "tidegate/server/sync_api.h"

namespace tidegate::server::detail {

/// What a follower asks for, and how it is told. `batch` and `ended` are called on a fan-out thread, never two of one
/// follower at once.
struct Following {
  Gateway* gateway = nullptr;
  std::string clientId{};
  Claims claims{};
  std::optional<Hlc> since{};  ///< nullopt: from now on
  /// Deltas and how far they reach; there may be none, where only the reach moved. `mustResync` set: the last.
  std::function<void(const PullResult& batch)> batch{};
  std::function<std::size_t()> pending{};  ///< octets of it not yet taken by the kernel; kGone: it left
  std::function<void()> ended{};           ///< its connection is gone, or the gateway or the `Followers` ended
};

class FollowerQueue;

/// @thread `wake` and `end`: any; `serve`: the fan-out's.
class Follower : public std::enable_shared_from_this<Follower> {
 public:
  Follower(Following following, std::shared_ptr<FollowerQueue> queue, const SyncApiOptions& options);
  ~Follower();
  /// From here on it is read for. Once.
  void begin();
  /// There may be something to read, or room to send it.
  void wake();
  /// Nothing more is wanted.
  void end() noexcept { over_ = true; }
  const std::string& clientId() const noexcept { return following_.clientId; }

 private:
  friend class Followers;
  void serve();
  std::optional<PullResult> read();
  std::optional<PullResult> catchUp();
  std::optional<PullResult> live();
  void subscribe(Hlc since);

  Following following_;
  const std::shared_ptr<FollowerQueue> queue_;
  const SyncApiOptions& options_;
  std::optional<Subscription> subscription_{};
  Hlc position_{};
  std::atomic<bool> queued_{true};  ///< so that nothing queues it before `begin`
  std::atomic<bool> begun_{false};
  std::atomic<bool> over_{false};
};

/// @thread Any.
class Followers {
 public:
  explicit Followers(const SyncApiOptions& options);
  ~Followers();
  Followers(const Followers&) = delete;
  Followers& operator=(const Followers&) = delete;

  /// @throws SyncRefused where there are too many, or it was stopped; Error as `Gateway::subscribe`.
  std::shared_ptr<Follower> follow(Following following);
  /// The connection has gone.
  void leave(const std::shared_ptr<Follower>& follower);
  /// Ends all, and takes no more. Idempotent.
  void stop() noexcept;

  std::atomic<std::uint64_t> batches{0};
  std::atomic<std::uint64_t> resyncs{0};

 private:
  void work();

  const SyncApiOptions& options_;
  const std::shared_ptr<FollowerQueue> queue_;
  std::mutex mutex_;  ///< guards what follows
  std::map<const Follower*, std::shared_ptr<Follower>> all_{};
  std::map<std::string, std::size_t> perClient_{};
  std::vector<std::jthread> threads_{};
  bool stopped_ = false;
};

}  // namespace tidegate::server::detail
