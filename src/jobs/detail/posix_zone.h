/// The rule at a TZif file's end ("CET-1CEST,M3.5.0,M10.5.0/3"), which holds for all later time.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "tidegate/jobs/time_zone.h"

namespace tidegate::detail {

/// When in a year the clock is changed: POSIX's Jn, n and Mm.w.d forms, with a time of day that may lie beyond the day.
struct PosixChange {
  enum class Form { julianWithoutLeap, julian, monthWeekDay } form = Form::monthWeekDay;
  int month = 1, week = 1, day = 0;
  std::int64_t time = 7'200;  ///< seconds of local time

  /// Local seconds since the epoch.
  std::int64_t localIn(int year) const;
};

struct PosixZone {
  std::int64_t standard = 0;  ///< seconds east of UTC
  std::optional<std::int64_t> summer{};
  PosixChange begin{}, end{};  ///< of summer time

  /// The stretch that holds a moment.
  TimeZone::Segment at(std::int64_t unixSeconds) const;
  /// @return nullopt for a text that is none.
  static std::optional<PosixZone> parse(std::string_view text);
};

}  // namespace tidegate::detail
