/// Whether and when a request is sent again.
#pragma once

#include <chrono>
#include <random>

#include "tidegate/durable_streams/request_options.h"
#include "tidegate/http/client.h"

namespace tidegate::durable_streams::detail {

/// The pauses of one client.
/// @thread One at a time.
class RetryPlan {
 public:
  /// @param jitterSeed 0: seeded from std::random_device.
  RetryPlan(const RetryOptions& options, const Clock& clock, std::uint64_t jitterSeed);

  /// Whether an answer's status is one that passes.
  bool isTransient(int status) const;
  unsigned maxRetries() const noexcept { return options_.maxRetries; }
  /// 0..bound-1, from the same engine as the jitter.
  std::uint64_t random(std::uint64_t bound) { return jitter_() % bound; }
  /// @param retry 1 for the first.
  /// @param answer its Retry-After is obeyed, up to maxDelay; may be null.
  std::chrono::milliseconds pause(unsigned retry, const http::Response* answer);

 private:
  RetryOptions options_;
  const Clock* clock_;
  std::mt19937_64 jitter_;
};

}  // namespace tidegate::durable_streams::detail
