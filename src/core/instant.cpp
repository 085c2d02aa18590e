#include "core/detail/instant.h"

#include <algorithm>
#include <array>

#include "core/detail/sql_time.h"

namespace tidegate::detail {

Instant Instant::of(Date date) noexcept {
  if (date.days == Date::kInfinity) return {INT64_MAX, 0};
  if (date.days == Date::kMinusInfinity) return {INT64_MIN, 0};
  return {date.days, 0};
}

Instant Instant::of(Timestamp timestamp) noexcept {
  if (timestamp.micros == Timestamp::kInfinity) return {INT64_MAX, 0};
  if (timestamp.micros == Timestamp::kMinusInfinity) return {INT64_MIN, 0};
  // Rounds towards zero: before 1970 both parts are negative, which orders them just the same.
  return {timestamp.micros / kMicrosPerDay, timestamp.micros % kMicrosPerDay};
}

bool Instant::parse(std::string_view text, Instant& out) noexcept {
  constexpr std::size_t kWithoutSeconds = sizeof("YYYY-MM-DD HH:MM") - 1;
  std::array<char, kWithoutSeconds + 3> withSeconds;
  if (text.size() == kWithoutSeconds) {  // a form that SQLite and ISO 8601 allow; compareValues takes it too
    std::copy(text.begin(), text.end(), withSeconds.begin());
    std::copy_n(":00", 3, withSeconds.begin() + kWithoutSeconds);
    if (Timestamp timestamp; parseTimestamp({withSeconds.data(), withSeconds.size()}, timestamp)) {
      out = of(timestamp);
      return true;
    }
  }
  if (Date date; parseDate(text, date)) {
    out = of(date);
    return true;
  }
  if (Timestamp timestamp; parseTimestamp(text, timestamp)) {
    out = of(timestamp);
    return true;
  }
  return false;
}

}  // namespace tidegate::detail
