#include "jobs/detail/cron_fields.h"

#include <bit>
#include <chrono>

namespace tidegate::detail {
namespace cron_search {

using namespace std::chrono;

constexpr std::int64_t kSecondsOfDay = 86'400;

std::int64_t floorDay(std::int64_t local) {
  return local >= 0 ? local / kSecondsOfDay : -((-local + kSecondsOfDay - 1) / kSecondsOfDay);
}

/// The lowest bit at or above `from`; -1 if there is none.
int bitFrom(std::uint64_t bits, int from) {
  if (from > 63) return -1;
  const std::uint64_t rest = bits & (~std::uint64_t{0} << from);
  return rest == 0 ? -1 : std::countr_zero(rest);
}

/// The highest bit at or below `to`; -1 if there is none.
int bitUpTo(std::uint64_t bits, int to) {
  if (to < 0) return -1;
  const std::uint64_t rest = bits & (~std::uint64_t{0} >> (63 - to));
  return rest == 0 ? -1 : 63 - std::countl_zero(rest);
}

/// The first second of the day at or after `from`; -1 if there is none.
std::int64_t timeFrom(const CronFields& f, std::int64_t from) {
  const int h = static_cast<int>(from / 3'600), m = static_cast<int>(from / 60 % 60), s = static_cast<int>(from % 60);
  const auto made = [](int hour, int minute, int second) { return hour * 3'600LL + minute * 60LL + second; };
  if (bitFrom(f.hours, h) == h) {
    if (bitFrom(f.minutes, m) == m) {
      if (const int second = bitFrom(f.seconds, s); second >= 0) return made(h, m, second);
    }
    if (const int minute = bitFrom(f.minutes, m + 1); minute >= 0) return made(h, minute, bitFrom(f.seconds, 0));
  }
  const int hour = bitFrom(f.hours, h + 1);
  return hour < 0 ? -1 : made(hour, bitFrom(f.minutes, 0), bitFrom(f.seconds, 0));
}

/// The last second of the day at or before `to`; -1 if there is none.
std::int64_t timeUpTo(const CronFields& f, std::int64_t to) {
  const int h = static_cast<int>(to / 3'600), m = static_cast<int>(to / 60 % 60), s = static_cast<int>(to % 60);
  const auto made = [](int hour, int minute, int second) { return hour * 3'600LL + minute * 60LL + second; };
  if (bitUpTo(f.hours, h) == h) {
    if (bitUpTo(f.minutes, m) == m) {
      if (const int second = bitUpTo(f.seconds, s); second >= 0) return made(h, m, second);
    }
    if (const int minute = bitUpTo(f.minutes, m - 1); minute >= 0) return made(h, minute, bitUpTo(f.seconds, 63));
  }
  const int hour = bitUpTo(f.hours, h - 1);
  return hour < 0 ? -1 : made(hour, bitUpTo(f.minutes, 63), bitUpTo(f.seconds, 63));
}

year_month_day dateOf(std::int64_t day) { return sys_days(days(static_cast<int>(day))); }
std::int64_t dayOf(year_month_day date) { return sys_days(date).time_since_epoch().count(); }

bool holdsMonth(const CronFields& f, year_month_day date) {
  return (f.months >> static_cast<unsigned>(date.month()) & 1) != 0;
}

}  // namespace cron_search

using namespace cron_search;

bool CronFields::holdsDay(std::int64_t day) const {
  const year_month_day date = dateOf(day);
  if (!holdsMonth(*this, date)) return false;
  const unsigned d = static_cast<unsigned>(date.day());
  const unsigned length = static_cast<unsigned>((date.year() / date.month() / std::chrono::last).day());
  const unsigned weekday = std::chrono::weekday(sys_days(date)).c_encoding();
  const bool byDay = (days >> d & 1) != 0 || (fromLast >> (length - d) & 1) != 0;
  const bool byWeekday = (weekdays >> weekday & 1) != 0 || (nth[(d + 6) / 7] >> weekday & 1) != 0 ||
                         (length - d < 7 && (lastWeekdays >> weekday & 1) != 0);
  return anyDay || anyWeekday ? byDay && byWeekday : byDay || byWeekday;
}

std::optional<std::int64_t> CronFields::firstIn(std::int64_t from, std::int64_t end) const {
  std::int64_t time = from - floorDay(from) * kSecondsOfDay;
  for (std::int64_t day = floorDay(from); day * kSecondsOfDay < end; time = 0) {
    const year_month_day date = dateOf(day);
    if (!holdsMonth(*this, date)) {
      day = dayOf(date.year() / date.month() / std::chrono::last) + 1;
      continue;
    }
    if (const std::int64_t at = holdsDay(day) ? timeFrom(*this, time) : -1; at >= 0) {
      const std::int64_t found = day * kSecondsOfDay + at;
      return found < end ? std::optional(found) : std::nullopt;
    }
    ++day;
  }
  return std::nullopt;
}

std::optional<std::int64_t> CronFields::lastIn(std::int64_t begin, std::int64_t to) const {
  std::int64_t time = to - floorDay(to) * kSecondsOfDay;
  for (std::int64_t day = floorDay(to); (day + 1) * kSecondsOfDay > begin; time = kSecondsOfDay - 1) {
    const year_month_day date = dateOf(day);
    if (!holdsMonth(*this, date)) {
      day = dayOf(date.year() / date.month() / 1) - 1;
      continue;
    }
    if (const std::int64_t at = holdsDay(day) ? timeUpTo(*this, time) : -1; at >= 0) {
      const std::int64_t found = day * kSecondsOfDay + at;
      return found >= begin ? std::optional(found) : std::nullopt;
    }
    --day;
  }
  return std::nullopt;
}

bool CronFields::everComes() const {
  // The calendar repeats after 400 years, days of the week included.
  for (std::int64_t day = 0; day < 146'097; ++day) {
    if (holdsDay(day)) return true;
  }
  return false;
}

}  // namespace tidegate::detail
