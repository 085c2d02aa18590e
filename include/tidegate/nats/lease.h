/// A lease in NATS's key-value store: at most one holder at a time, and another takes over when it is gone.
///
///     nats::Lease lease({.connect = cluster, .name = "slot shop", .duration = std::chrono::seconds(10)});
///     while (lease.take(stop)) {                       // waits until it is ours
///       auto store = nats::stateStore({.connect = cluster, .fence = lease.token()});
///       while (lease.renew()) workForAtMost(duration / 3, store);
///     }                                                // lost: whatever we still write is refused by its fence
///
/// No clock is compared with another's. A holder believes in its lease until `duration` after it *sent* the last write
/// that succeeded; others take it once they saw the same revision for `duration`. So it lapses for its holder first, as
/// long as the clocks of both run at the same rate. Nothing stops a process that was frozen in the middle of its work:
/// that is what `token` is for.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>

#include "tidegate/nats/connect_options.h"

namespace tidegate::nats {

struct LeaseOptions {
  ConnectOptions connect{};
  std::string bucket = "TIDEGATE_LEASES";  ///< letters, digits, '-' and '_'
  StreamOptions stream{};  ///< how a missing bucket is made; with one replica a lease ends with its server
  std::string name{};      ///< what is leased
  std::string holder{};    ///< for people who look at the bucket; empty: a random one
  std::chrono::milliseconds duration{10'000};  ///< at least 100 ms
};

/// @thread Any.
class Lease {
 public:
  /// @throws Error{invalidConfig, connectionFailed, authenticationFailed}
  explicit Lease(LeaseOptions options);
  /// Releases it.
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  /// Looks once. A lease of somebody else has to be seen unchanged for its duration, by calls of this object.
  /// @return whether it is held now. @throws Error{connectionFailed, Retry::later}
  bool tryTake();
  /// Looks again and again, failures of the connection included. @return false: stopped.
  bool take(std::stop_token stop);
  /// Makes it last for another `duration`; call it every third of that.
  /// @return false: it is lost, or was not held. @throws Error{connectionFailed, Retry::later}: it lasts as it did;
  ///         call again.
  bool renew();
  /// By the clock alone.
  bool held() const;
  /// A number greater than that of every holder before: the revision at which it was taken. 0: it was never taken.
  std::uint64_t token() const;
  /// Lets others have it at once.
  void release() noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidegate::nats
