/// Time under a test's control.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <stop_token>

#include "tidegate/core/clock.h"

namespace tidegate::test {

/// A clock that moves only when told. Wall and steady time are separate, so that a test can step the wall clock.
/// @thread Any.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(Micros wall = std::chrono::milliseconds(1'700'000'000'000), Micros steady = Micros(0))
      : wall_(wall.count()), steady_(steady.count()) {}

  Micros wallNow() const override { return Micros(wall_.load()); }
  Micros steadyNow() const override { return Micros(steady_.load()); }

  void setWall(Micros wall) { wall_.store(wall.count()); }
  void setSteady(Micros steady) { steady_.store(steady.count()); }
  /// Both clocks go on by `by`.
  void advance(Micros by) {
    wall_.fetch_add(by.count());
    steady_.fetch_add(by.count());
  }
  /// Only the wall clock moves, either way.
  void stepWall(Micros by) { wall_.fetch_add(by.count()); }

 private:
  std::atomic<std::int64_t> wall_;
  std::atomic<std::int64_t> steady_;
};

/// Waits by advancing a ManualClock: no real time passes.
/// @thread Any.
class ManualScheduler final : public Scheduler {
 public:
  explicit ManualScheduler(ManualClock& clock) : clock_(clock) {}

  bool waitFor(std::chrono::microseconds duration, std::stop_token stop) override {
    if (stop.stop_requested()) return false;
    waits_.fetch_add(1);
    waited_.fetch_add(duration.count());
    if (duration.count() > 0) clock_.advance(duration);
    return !stop.stop_requested();
  }

  std::uint64_t waits() const { return waits_.load(); }
  std::chrono::microseconds waited() const { return std::chrono::microseconds(waited_.load()); }

 private:
  ManualClock& clock_;
  std::atomic<std::uint64_t> waits_{0};
  std::atomic<std::int64_t> waited_{0};
};

}  // namespace tidegate::test
