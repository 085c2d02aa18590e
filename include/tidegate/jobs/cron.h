/// Cron expressions: when a job is due.
///
///     Cron nightly = Cron::parse("30 2 * * MON-FRI");
///     auto zone = TimeZone::load("Europe/Berlin");
///     std::optional<Clock::Micros> due = nightly.next(clock.wallNow(), *zone);
///
/// Fields: `[second] minute hour day-of-month month day-of-week`, five or six of them. Each is `*`, a number, a name
/// (JAN…DEC, SUN…SAT), a range `a-b`, a step `*/n`, `a-b/n` or `a/n` (from a on), or a list of these with commas. Days
/// of the week are 0 to 7, Sunday is 0 and 7. `?` is `*` in the two day fields. `L` is the last day of the month,
/// `L-3` the third before it, `5L` the month's last Friday, `5#2` its second Friday. Macros: @yearly, @annually,
/// @monthly, @weekly, @daily, @midnight, @hourly.
///
/// If both day fields are restricted (neither begins with `*` or is `?`), a day that fits either will do.
///
/// Daylight saving: an expression whose hour field begins with `*` follows the time that passes: no tick in the hour
/// that is left out, ticks in both hours that come twice. Any other names times of the day, and each fires once: one
/// that is left out fires at the moment the clock goes forward, one that comes twice fires the first time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tidegate/core/clock.h"
#include "tidegate/jobs/time_zone.h"

namespace tidegate {

namespace detail {
struct CronFields;
}

/// A parsed expression. Immutable.
/// @thread Any.
class Cron {
 public:
  /// @throws Error{invalidConfig} naming the field, what is wrong with it, and what may stand there; also for days that
  /// never come, such as the 30th of February.
  static Cron parse(std::string_view text);

  /// The first tick after a moment; nullopt if there is none within 400 years.
  std::optional<Clock::Micros> next(Clock::Micros after, const TimeZone& zone) const;
  /// The last tick before a moment; nullopt if there was none within 400 years.
  std::optional<Clock::Micros> previous(Clock::Micros before, const TimeZone& zone) const;
  /// As it was given.
  const std::string& text() const noexcept { return text_; }

 private:
  Cron(std::string text, std::shared_ptr<const detail::CronFields> fields)
      : text_(std::move(text)), fields_(std::move(fields)) {}

  std::string text_;
  std::shared_ptr<const detail::CronFields> fields_;
};

}  // namespace tidegate
