/// How many requests a client and an address may make: a token bucket for each, in bounded memory.
///
///     auto limiter = std::make_shared<RateLimiter>(RateLimitOptions{.perClient = {.perSecond = 50, .burst = 100}});
///     Api api(limiter->limit({.title = "Replica"}));
///
/// Origin: the generic cell rate algorithm (ITU-T I.371): a bucket is one point in time, so that nothing runs to refill
/// it, and one that is full needs no memory.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tidegate/core/clock.h"
#include "tidegate/server/api.h"

namespace tidegate::server {

/// A bucket that holds `burst` requests and is refilled evenly.
struct Rate {
  double perSecond = 0;  ///< 0: no limit; up to 1,000,000
  double burst = 1;      ///< 1 to 1,000,000
};

struct RateLimitOptions {
  Rate perClient{.perSecond = 50, .burst = 200};    ///< by subject; a token without one is limited as itself
  Rate perAddress{.perSecond = 200, .burst = 800};  ///< as `http::addressGroup` has it; before a token is looked at
  bool limitAdmins = false;                         ///< whether `perClient` is for admins too
  /// Buckets that are not full and are remembered, 1,024 to 2^24, at 16 octets each. With more peers than that, those
  /// whose buckets are fullest are forgotten first.
  std::size_t entries = 1u << 16;
  /// Whose address counts. Empty: the connection's. For hosts behind a proxy that they trust, and that names it.
  std::function<std::string(const http::Request& request)> addressOf{};
  const Clock* clock = nullptr;  ///< null: the system's; must outlive the limiter
};

struct RateLimitStats {
  std::uint64_t admitted = 0;
  std::uint64_t refusedClients = 0;
  std::uint64_t refusedAddresses = 0;
};

/// @thread Any.
class RateLimiter : public std::enable_shared_from_this<RateLimiter> {
 public:
  /// @throws Error{invalidConfig} for numbers outside their bounds.
  explicit RateLimiter(RateLimitOptions options = {});
  ~RateLimiter();
  RateLimiter(const RateLimiter&) = delete;
  RateLimiter& operator=(const RateLimiter&) = delete;

  /// Takes `cost` from a bucket, or says after how long that much will be there; then nothing is taken. A cost over the
  /// burst is taken as the burst. For what is no request of its own, as a message of a WebSocket.
  std::optional<std::chrono::milliseconds> takeForClient(std::string_view subject, double cost = 1);
  std::optional<std::chrono::milliseconds> takeForAddress(std::string_view address, double cost = 1);

  /// The options with this limiter as their `admit` and `admitAddress`. @pre it is held by a shared_ptr.
  ApiOptions limit(ApiOptions options);
  RateLimitStats stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidegate::server
