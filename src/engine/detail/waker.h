/// One thread's sleep, ended by others.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <stop_token>

#include "tidegate/core/clock.h"

namespace tidegate::detail {

/// @thread `wake`: any. `wait`: the one thread that it belongs to.
class Waker {
 public:
  explicit Waker(Scheduler& scheduler) : scheduler_(scheduler) {}

  /// Ends the wait under way, or else the next one before it begins.
  void wake();
  /// Waits until woken, or at most so long (by the scheduler). It may return early.
  void wait(std::optional<std::chrono::microseconds> atMost = std::nullopt);

 private:
  Scheduler& scheduler_;
  std::mutex mutex_;
  std::condition_variable changed_;
  // guarded by mutex_
  bool woken_ = false;
  std::optional<std::stop_source> sleep_;  ///< of the wait under way, where it has an end
};

}  // namespace tidegate::detail
