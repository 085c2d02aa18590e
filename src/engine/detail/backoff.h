/// When to try again: doubled delays with jitter, reset by success.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>

#include "tidegate/core/error.h"
#include "tidegate/engine/pipeline.h"

namespace tidegate::detail {

/// What to do after a failure.
struct RetryDecision {
  bool again = false;  ///< false: the policy's attempts are used up, or the same call would fail for ever
  std::uint32_t attempt = 0;
  std::chrono::microseconds delay{0};
};

/// @thread One at a time.
class Backoff {
 public:
  Backoff(RetryPolicy policy, std::uint64_t seed) : policy_(policy), random_(seed) {}

  /// A failure more. Lost connections are tried again for ever and use up no attempt.
  RetryDecision failed(const Error& error);
  void succeeded() noexcept { inARow_ = counted_ = 0; }

 private:
  RetryPolicy policy_;
  std::mt19937_64 random_;
  std::uint32_t inARow_ = 0;   ///< failures since the last success
  std::uint32_t counted_ = 0;  ///< those that use up attempts
};

/// Whether it says no more than that the other side could not be reached.
bool isConnectionLoss(const Error& error) noexcept;

}  // namespace tidegate::detail
