/// The scheduler that a host without threads gives its sources: while a source waits, pipelines work.
#pragma once

#include <chrono>
#include <functional>
#include <stop_token>

#include "tidegate/core/clock.h"

namespace tidegate::detail {

/// @thread Any; the hook is set before anything waits.
class InlineScheduler final : public Scheduler {
 public:
  explicit InlineScheduler(Scheduler& real) : real_(real) {}

  /// Called in the place of a wait; empty: waits are passed on.
  using Hook = std::function<bool(std::chrono::microseconds duration, const std::stop_token& stop)>;
  void hook(Hook hook) { hook_ = std::move(hook); }

  bool waitFor(std::chrono::microseconds duration, std::stop_token stop) override {
    return hook_ ? hook_(duration, stop) : real_.waitFor(duration, stop);
  }

 private:
  Scheduler& real_;
  Hook hook_{};
};

}  // namespace tidegate::detail
