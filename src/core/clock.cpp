#include "tidegate/core/clock.h"

#include <condition_variable>
#include <mutex>

namespace tidegate {
namespace {

class SystemClock final : public Clock {
 public:
  Micros wallNow() const override {
    return std::chrono::duration_cast<Micros>(std::chrono::system_clock::now().time_since_epoch());
  }
  Micros steadyNow() const override {
    return std::chrono::duration_cast<Micros>(std::chrono::steady_clock::now().time_since_epoch());
  }
};

class SystemScheduler final : public Scheduler {
 public:
  bool waitFor(std::chrono::microseconds duration, std::stop_token stop) override {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    // Cut to a day at a time, because a deadline of now + duration may not fit the clock.
    constexpr std::chrono::microseconds kDay = std::chrono::hours(24);
    while (duration.count() > 0 && !stop.stop_requested()) {
      const auto part = duration < kDay ? duration : kDay;
      wake.wait_for(lock, stop, part, [] { return false; });
      duration -= part;
    }
    return !stop.stop_requested();
  }
};

}  // namespace

const Clock& systemClock() noexcept {
  static const SystemClock clock;
  return clock;
}

Scheduler& systemScheduler() noexcept {
  static SystemScheduler scheduler;
  return scheduler;
}

}  // namespace tidegate
