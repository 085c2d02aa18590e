/// Times at which logs were first seen and baselines began: never twice the same, never going back in one process.
#pragma once

#include <algorithm>
#include <cstdint>

#include "electric/detail/source_place.h"
#include "tidegate/core/clock.h"

namespace tidegate::electric::reading {

/// @thread One at a time.
class Epochs {
 public:
  explicit Epochs(const Clock& clock) : clock_(&clock) {}
  void setClock(const Clock& clock) noexcept { clock_ = &clock; }

  /// After all that was seen, whatever the clock says.
  std::uint64_t next() {
    const auto now = static_cast<std::uint64_t>(std::max<std::int64_t>(1, clock_->wallNow().count()));
    return last_ = std::max(now, last_ + 1);
  }
  /// What is made from now on is later than this place.
  void saw(const ShapePlace& place) noexcept { last_ = std::max({last_, place.epoch, place.reading}); }

 private:
  const Clock* clock_;
  std::uint64_t last_ = 0;
};

}  // namespace tidegate::electric::reading
