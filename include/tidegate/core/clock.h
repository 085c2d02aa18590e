/// Time and waiting, injected: nothing in core, gateway, polling, jobs or the engine asks the system directly, so a
/// simulation can run weeks of virtual time in seconds (design, section 7).
#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>

namespace tidegate {

/// Where time comes from.
/// @thread Implementations must be callable from any thread.
class Clock {
 public:
  using Micros = std::chrono::microseconds;
  virtual ~Clock() = default;
  /// Microseconds since the Unix epoch, UTC. May step either way.
  virtual Micros wallNow() const = 0;
  /// Microseconds since some fixed point. Never goes back; for measuring and for deadlines.
  virtual Micros steadyNow() const = 0;
};

/// The system's clocks. One instance for the process; stateless.
const Clock& systemClock() noexcept;

/// Where waiting comes from.
/// @thread Any.
class Scheduler {
 public:
  virtual ~Scheduler() = default;
  /// Returns after `duration`, or as soon as `stop` is requested. @return false if stopped.
  virtual bool waitFor(std::chrono::microseconds duration, std::stop_token stop) = 0;
};

/// Waits for real, on a condition variable. One instance for the process; stateless.
Scheduler& systemScheduler() noexcept;

}  // namespace tidegate
