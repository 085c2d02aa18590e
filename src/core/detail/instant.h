/// Dates and timestamps in one order.
#pragma once

#include <compare>
#include <cstdint>
#include <string_view>

#include "tidegate/core/value.h"

namespace tidegate::detail {

/// A point on the time line that holds every Date and every Timestamp. Times without a zone are taken as UTC.
struct Instant {
  std::int64_t days = 0;    ///< since 1970-01-01; the extreme values are ±infinity
  std::int64_t micros = 0;  ///< beyond them, of the same sign
  auto operator<=>(const Instant&) const = default;

  static Instant of(Date date) noexcept;
  static Instant of(Timestamp timestamp) noexcept;
  /// Reads a date or a timestamp. @return false, with `out` untouched, if the text is neither.
  static bool parse(std::string_view text, Instant& out) noexcept;
};

}  // namespace tidegate::detail
