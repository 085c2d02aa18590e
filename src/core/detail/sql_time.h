/// Dates and times as SQL servers print them, straight from the result's characters: for drivers' decoders.
#pragma once

#include <charconv>
#include <cstdint>
#include <string_view>

namespace tidegate::detail {

/// A civil date in the proleptic Gregorian calendar; year 0 is 1 BC.
struct CivilDate {
  std::int64_t year = 0;
  unsigned month = 0, day = 0;
};

inline constexpr std::int64_t kMicrosPerSecond = 1'000'000;
inline constexpr std::int64_t kMicrosPerDay = 86'400 * kMicrosPerSecond;

/// Days since 1970-01-01 (H. Hinnant, "chrono-compatible low-level date algorithms").
inline constexpr std::int64_t daysFromCivil(CivilDate d) {
  const std::int64_t y = d.month <= 2 ? d.year - 1 : d.year;
  const std::int64_t era = (y >= 0 ? y : y - 399) / 400;
  const std::int64_t yearOfEra = y - era * 400;
  const std::int64_t monthFromMarch = d.month > 2 ? std::int64_t{d.month} - 3 : std::int64_t{d.month} + 9;
  const std::int64_t dayOfYear = (153 * monthFromMarch + 2) / 5 + d.day - 1;
  return era * 146'097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719'468;
}

inline constexpr CivilDate civilFromDays(std::int64_t days) {
  const std::int64_t z = days + 719'468;
  const std::int64_t era = (z >= 0 ? z : z - 146'096) / 146'097;
  const std::int64_t dayOfEra = z - era * 146'097;
  const std::int64_t yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36'524 - dayOfEra / 146'096) / 365;
  const std::int64_t dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
  const std::int64_t shifted = (5 * dayOfYear + 2) / 153;
  const auto month = static_cast<unsigned>(shifted < 10 ? shifted + 3 : shifted - 9);
  return {yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month,
          static_cast<unsigned>(dayOfYear - (153 * shifted + 2) / 5 + 1)};
}

inline constexpr bool isCivil(CivilDate d) {
  constexpr unsigned char kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (d.month < 1 || d.month > 12 || d.day < 1) return false;
  const bool leap = d.year % 4 == 0 && (d.year % 100 != 0 || d.year % 400 == 0);
  return d.day <= kDays[d.month - 1] + (d.month == 2 && leap ? 1U : 0U);
}

/// Reads forward through one text. Each function leaves `at` after what it read; false where the text is anything else.
class SqlTimeReader {
 public:
  explicit SqlTimeReader(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  bool done() const { return at_ == end_; }
  std::string_view rest() const { return {at_, static_cast<std::size_t>(end_ - at_)}; }
  bool skip(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  /// "YYYY-MM-DD", four year digits or more. Not checked against the calendar.
  bool date(CivilDate& out) {
    const char* begin = at_;
    std::uint64_t year = 0;
    const auto [next, error] = std::from_chars(at_, end_, year);
    if (error != std::errc{} || next - begin < 4 || next - begin > 7) return false;
    at_ = next;
    out.year = static_cast<std::int64_t>(year);
    return skip('-') && twoDigits(out.month) && skip('-') && twoDigits(out.day);
  }
  /// "HH:MM:SS[.f…]", two hour digits or more, at most six of a fraction: microseconds.
  bool clock(std::int64_t& micros) {
    std::uint32_t hours = 0;
    const char* begin = at_;
    const auto [next, error] = std::from_chars(at_, end_, hours);
    if (error != std::errc{} || next - begin < 2 || next - begin > 3) return false;
    at_ = next;
    unsigned minutes = 0, seconds = 0;
    if (!skip(':') || !twoDigits(minutes) || !skip(':') || !twoDigits(seconds) || minutes > 59 || seconds > 59)
      return false;
    micros = (std::int64_t{hours} * 3600 + minutes * 60 + seconds) * kMicrosPerSecond;
    return !skip('.') || fraction(micros);
  }

 private:
  static bool isDigit(char c) { return c >= '0' && c <= '9'; }
  bool twoDigits(unsigned& out) {
    if (end_ - at_ < 2 || !isDigit(at_[0]) || !isDigit(at_[1])) return false;
    out = static_cast<unsigned>(at_[0] - '0') * 10 + static_cast<unsigned>(at_[1] - '0');
    at_ += 2;
    return true;
  }
  bool fraction(std::int64_t& micros) {
    std::int64_t unit = kMicrosPerSecond;
    const char* begin = at_;
    for (; at_ != end_ && isDigit(*at_); ++at_) {
      if (unit == 1) return false;
      unit /= 10;
      micros += (*at_ - '0') * unit;
    }
    return at_ != begin;
  }

  const char* at_;
  const char* end_;
};

/// days * kMicrosPerDay + micros; false where that leaves int64, whose extreme values mean ±infinity.
inline bool joinMicros(std::int64_t days, std::int64_t micros, std::int64_t& out) {
  return !__builtin_mul_overflow(days, kMicrosPerDay, &out) && !__builtin_add_overflow(out, micros, &out) &&
         out != INT64_MAX && out != INT64_MIN;
}

}  // namespace tidegate::detail
