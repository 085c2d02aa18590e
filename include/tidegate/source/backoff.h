/// Waiting longer and longer between tries, with jitter; over at the first success.
///
///     Backoff backoff({.maxRetries = 10}, context.jitterSeed);
///     for (;;) {
///       try { connectAndStream(); return; }            // calls backoff.reset() once it delivered something
///       catch (const Error& e) { if (!waitToRetry(e, backoff, state, scheduler, stop)) return; }
///     }
///
/// For whoever writes a source; the drivers use it too.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <stop_token>

#include "tidegate/core/clock.h"
#include "tidegate/core/error.h"
#include "tidegate/source/source_state.h"

namespace tidegate {

struct BackoffOptions {
  std::chrono::milliseconds firstDelay{100};  ///< at least 1 ms; doubled with each failure in a row
  std::chrono::milliseconds maxDelay{30'000};
  std::uint32_t maxRetries = 10;  ///< failures in a row that are tried again; 0: none, UINT32_MAX: without end
};

/// Counts failures in a row and says how long to wait after each.
/// @thread One at a time.
class Backoff {
 public:
  /// @param seed of the jitter; 0: from std::random_device. @throws Error{invalidConfig} for a delay under 1 ms.
  explicit Backoff(BackoffOptions options = {}, std::uint64_t seed = 0);

  /// After a failure: how long to wait before the next try, between half of the doubled delay and all of it, so that
  /// those that failed together do not come back together. nullopt: the retries are used up.
  std::optional<std::chrono::milliseconds> next();
  /// After a success. A connection that only stands has not succeeded yet: one that breaks at its first message would
  /// otherwise be made again for ever without a pause. Call it once something was delivered, or after a while.
  void reset() noexcept { failures_ = 0; }
  /// In a row, since the last success.
  std::uint32_t failures() const noexcept { return failures_; }

 private:
  BackoffOptions options_;
  std::mt19937_64 jitter_;
  std::uint32_t failures_ = 0;
};

/// What a source does when its connection failed: goes to RECONNECTING (one that never stood stays CONNECTING) and
/// waits for its turn.
/// @return false if stopped meanwhile.
/// @throws the error itself where it cannot help to try again (its `retry()` is never or afterOperator), or with the
///         number of tries where these are used up. The state is then ERROR, and the back-off fresh for the next call.
bool waitToRetry(const Error& failure, Backoff& backoff, SourceStateMachine& state, Scheduler& scheduler,
                 std::stop_token stop);

}  // namespace tidegate
