/// A cron expression's fields as sets, and the search for local times that they hold.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tidegate::detail {

/// Local times are seconds since the epoch on the wall clock.
struct CronFields {
  std::uint64_t seconds = 1, minutes = 0;
  std::uint32_t hours = 0, days = 0;  ///< bit n: hour n, day n of the month
  std::uint32_t fromLast = 0;         ///< bit n: the day n before the month's last
  std::uint16_t months = 0;           ///< bit 1..12
  std::uint8_t weekdays = 0;          ///< bit 0 is Sunday
  std::uint8_t lastWeekdays = 0;      ///< the month's last such day
  std::array<std::uint8_t, 6> nth{};  ///< [1..5]: the month's n-th such day
  bool anyDay = false, anyWeekday = false;
  bool everyHour = false;  ///< follows the time that passes, not the wall clock's name for it

  /// @param day since the epoch.
  bool holdsDay(std::int64_t day) const;
  /// The first local time in [from, end).
  std::optional<std::int64_t> firstIn(std::int64_t from, std::int64_t end) const;
  /// The last local time in [begin, to].
  std::optional<std::int64_t> lastIn(std::int64_t begin, std::int64_t to) const;
  /// Whether any day is ever held.
  bool everComes() const;
};

/// @throws Error{invalidConfig}
CronFields parseCron(std::string_view text);

}  // namespace tidegate::detail
