/// Failures in a row of a pipeline's sink or of a source, and when to try again.
#pragma once

#include <chrono>
#include <cstdint>

#include "tidegate/core/error.h"
#include "tidegate/engine/pipeline.h"
#include "tidegate/source/backoff.h"

namespace tidegate::detail {

/// What to do after a failure.
struct RetryDecision {
  bool again = false;  ///< false: the policy's attempts are used up, or the same call would fail for ever
  std::uint32_t attempt = 0;
  std::chrono::microseconds delay{0};
};

/// @thread One at a time.
class RetryState {
 public:
  RetryState(RetryPolicy policy, std::uint64_t seed);

  /// A failure more. Lost connections, full disks and back-pressure are tried again for ever and use up no attempt.
  RetryDecision failed(const Error& error);
  void succeeded() noexcept;

 private:
  const std::uint32_t attempts_;
  Backoff backoff_;
  std::uint32_t counted_ = 0;  ///< failures since the last success that use up attempts
};

}  // namespace tidegate::detail
