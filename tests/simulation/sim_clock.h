/// Virtual time: moves only when the simulation says so.
#pragma once

#include <chrono>
#include <stop_token>

#include "tidegate/core/clock.h"

namespace tidegate::sim {

using Micros = std::chrono::microseconds;

/// The gateway's clock. Its wall side can be made to jump either way; its steady side cannot.
class SimClock final : public Clock {
 public:
  Micros wallNow() const override { return trueNow() + offset_; }
  Micros steadyNow() const override { return elapsed_; }

  /// What an undisturbed clock would show; the source database and the clients go by it.
  Micros trueNow() const { return kEpoch + elapsed_; }
  Micros offset() const { return offset_; }
  void advance(Micros by) { elapsed_ += by; }
  void jumpWall(Micros by) { offset_ += by; }
  void straightenWall() { offset_ = Micros{0}; }

 private:
  static constexpr Micros kEpoch{1'709'251'200'000'000};  // 2024-03-01T00:00:00Z
  Micros elapsed_{0};
  Micros offset_{0};
};

/// A client's clock: true time, off by a fixed skew.
class SkewedClock final : public Clock {
 public:
  SkewedClock(const SimClock& base, Micros skew) : base_(base), skew_(skew) {}
  Micros wallNow() const override { return base_.trueNow() + skew_; }
  Micros steadyNow() const override { return base_.steadyNow(); }

 private:
  const SimClock& base_;
  Micros skew_;
};

/// Waiting moves the virtual clock and returns at once.
class SimScheduler final : public Scheduler {
 public:
  explicit SimScheduler(SimClock& clock) : clock_(clock) {}
  bool waitFor(Micros duration, std::stop_token stop) override {
    clock_.advance(duration);
    return !stop.stop_requested();
  }

 private:
  SimClock& clock_;
};

}  // namespace tidegate::sim
