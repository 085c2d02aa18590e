/// All subscriptions of a server: who is woken, who holds a lease, what was acknowledged.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "durable_streams/detail/subscription.h"
#include "durable_streams/detail/webhook_keys.h"
#include "tidegate/durable_streams/server.h"
#include "tidegate/http/client.h"

namespace tidegate::durable_streams::detail {

/// Answers a request of the control API. Called once, when what it says is durable.
using Reply = std::function<void(http::Response&& response)>;

/// What is done once the lock is let go: notes to be written, wakes to be told, a reply to be sent.
struct SubscriptionWork {
  std::vector<std::pair<std::string, std::string>> notes{};
  std::vector<std::pair<std::string, std::string>> wakeEvents{};  ///< stream, JSON
  bool deliveries = false;
  Reply reply{};
  http::Response response{};
};

/// @thread Any. Owns a thread, which delivers webhooks, ends leases, and lets the store remove what has expired.
class Subscriptions {
 public:
  Subscriptions(const DurableStreamServerOptions& options, const Clock& clock);
  ~Subscriptions();
  void stop();

  /// A stream got data. @thread Any; does not block.
  void appended(std::string_view path);
  void removed(std::string_view path);

  /// @param rest of the request's path, below "<base>/__ds/", still encoded.
  void handle(const http::Request& request, const std::vector<std::string>& rest, const std::string& origin,
              Reply reply);
  /// What a control request wants, for the host's decision.
  static StreamAction actionOf(const std::vector<std::string>& rest);
  /// Whether a request is decided by its wake token alone.
  static bool carriesToken(const std::vector<std::string>& rest);

  void rotateKey();
  std::uint64_t webhooks() const noexcept { return webhooks_.load(std::memory_order_relaxed); }
  std::uint64_t failures() const noexcept { return failures_.load(std::memory_order_relaxed); }

 private:
  using Json = nlohmann::json;
  struct Call {
    std::string id;
    const http::Request& request;
    const std::string& origin;
    const Json& body;
  };

  // The control API; under the lock.
  http::Response put(const Call& call, SubscriptionWork& work);
  http::Response get(const Call& call);
  http::Response erase(const Call& call, SubscriptionWork& work);
  http::Response addStreams(const Call& call, SubscriptionWork& work);
  http::Response dropStream(const Call& call, const std::string& path, SubscriptionWork& work);
  http::Response claim(const Call& call, SubscriptionWork& work);
  http::Response acknowledge(const Call& call, bool webhook, SubscriptionWork& work);
  http::Response release(const Call& call, SubscriptionWork& work);
  http::Response dispatch(const Call& call, const std::vector<std::string>& rest, SubscriptionWork& work);

  // Under the lock.
  std::string createProblem(const SubscriptionConfig& config, const char*& code) const;
  http::Response fenced(const Subscription& s, const Call& call) const;
  http::Response applyAcks(Subscription& s, const Json& acks, SubscriptionWork& work);
  void link(Subscription& s, const std::string& path, bool listed, std::optional<Position> acked,
            SubscriptionWork& work);
  void keep(const Subscription& s, SubscriptionWork& work);
  void wake(Subscription& s, const std::string& path, SubscriptionWork& work);
  bool wakeIfPending(Subscription& s, SubscriptionWork& work);
  void letGo(Subscription& s);
  void tryAgainLater(Subscription& s);
  void endWake(Subscription& s, SubscriptionWork& work);
  Position tailOf(const std::string& path) const;
  bool isPending(const std::string& path, const SubscriptionLink& link) const;
  Json streamsOf(const Subscription& s, bool tails) const;
  Json describe(const Subscription& s) const;
  const std::vector<std::string>& followersOf(const std::string& path);
  std::string controlUrl(const std::string& origin, std::string_view rest) const;

  /// Under no lock.
  void finish(SubscriptionWork&& work);

  // The thread's.
  void run(std::stop_token stop);
  std::chrono::milliseconds endLeases(SubscriptionWork& work);
  void beginDeliveries(std::stop_token stop);
  void deliver(const std::string& id);
  void delivered(const std::string& id, std::uint64_t generation, const http::Outcome& outcome);

  const DurableStreamServerOptions& options_;
  StreamStore& store_;
  const Clock& clock_;
  std::atomic<std::size_t> count_{0};
  std::atomic<std::uint64_t> webhooks_{0};
  std::atomic<std::uint64_t> failures_{0};

  mutable std::mutex mutex_;  ///< guards what follows
  std::map<std::string, Subscription> all_;
  std::unordered_map<std::string, std::vector<std::string>> followers_;  ///< of paths that were appended to
  std::vector<SigningKey> keys_;                                         ///< the last one signs
  std::unique_ptr<WakeTokens> tokens_;
  std::deque<std::string> toDeliver_;
  std::mt19937_64 jitter_;

  http::Client client_;  ///< the thread's, but for `wake`
  std::jthread thread_;  ///< last: it uses all of the above
};

}  // namespace tidegate::durable_streams::detail
