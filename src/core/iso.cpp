#include "core/detail/iso.h"

#include <charconv>
#include <optional>
#include <string>

#include "core/detail/text_out.h"

#include "tidegate/core/value.h"

namespace tidegate {
namespace {

constexpr std::int64_t kMicrosPerSecond = 1'000'000;
constexpr std::int64_t kMicrosPerDay = 86'400 * kMicrosPerSecond;

struct CivilDay {
  std::int64_t year;
  unsigned month;
  unsigned day;
};

// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": days_from_civil and civil_from_days.
std::int64_t daysFromCivil(CivilDay c) {
  const std::int64_t y = c.year - (c.month <= 2 ? 1 : 0);
  const std::int64_t era = (y >= 0 ? y : y - 399) / 400;
  const auto yearOfEra = static_cast<unsigned>(y - era * 400);
  const unsigned dayOfYear = (153 * (c.month > 2 ? c.month - 3 : c.month + 9) + 2) / 5 + c.day - 1;
  const unsigned dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear;
  return era * 146097 + static_cast<std::int64_t>(dayOfEra) - 719468;
}

CivilDay civilFromDays(std::int64_t days) {
  const std::int64_t z = days + 719468;
  const std::int64_t era = (z >= 0 ? z : z - 146096) / 146097;
  const auto dayOfEra = static_cast<unsigned>(z - era * 146097);
  const unsigned yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146096) / 365;
  const unsigned dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
  const unsigned shifted = (5 * dayOfYear + 2) / 153;
  const unsigned day = dayOfYear - (153 * shifted + 2) / 5 + 1;
  const unsigned month = shifted < 10 ? shifted + 3 : shifted - 9;
  return {static_cast<std::int64_t>(yearOfEra) + era * 400 + (month <= 2 ? 1 : 0), month, day};
}

unsigned daysInMonth(std::int64_t year, unsigned month) {
  constexpr unsigned kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return month == 2 && leap ? 29 : kDays[month - 1];
}

template <class Out>
void appendPadded(std::uint64_t v, std::size_t width, Out& out) {
  char digits[24];
  const auto length = static_cast<std::size_t>(std::to_chars(digits, digits + sizeof digits, v).ptr - digits);
  if (length < width) out.append(width - length, '0');
  out.append(digits, length);
}

template <class Out>
void appendTwoDigits(std::uint64_t v, Out& out) {
  const char digits[2] = {static_cast<char>('0' + v / 10), static_cast<char>('0' + v % 10)};
  out.append(digits, 2);
}

template <class Out>
void appendDay(std::int64_t days, Out& out) {
  const CivilDay c = civilFromDays(days);
  if (c.year < 0) out.push_back('-');
  if (c.year > 9999) out.push_back('+');
  appendPadded(static_cast<std::uint64_t>(c.year < 0 ? -c.year : c.year), 4, out);
  out.push_back('-');
  appendTwoDigits(c.month, out);
  out.push_back('-');
  appendTwoDigits(c.day, out);
}

/// "HH:MM:SS[.ffffff]", as few fraction digits as are exact.
template <class Out>
void appendClock(std::uint64_t micros, Out& out) {
  const std::uint64_t seconds = micros / 1'000'000;
  appendPadded(seconds / 3600, 2, out);
  out.push_back(':');
  appendTwoDigits(seconds / 60 % 60, out);
  out.push_back(':');
  appendTwoDigits(seconds % 60, out);
  if (micros % 1'000'000 == 0) return;
  out.push_back('.');
  appendPadded(micros % 1'000'000, 6, out);
  while (out.back() == '0') out.pop_back();
}

/// Takes parts from the front of a text; once one fails the whole is refused.
class IsoReader {
 public:
  explicit IsoReader(std::string_view text) : text_(text) {}

  bool done() const { return text_.empty(); }
  bool take(char c) {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  std::optional<unsigned> twoDigits(unsigned max) {
    if (text_.size() < 2 || !isDigit(text_[0]) || !isDigit(text_[1])) return std::nullopt;
    const auto v = static_cast<unsigned>((text_[0] - '0') * 10 + (text_[1] - '0'));
    if (v > max) return std::nullopt;
    text_.remove_prefix(2);
    return v;
  }
  /// `min`..`max` digits; more than `min` may not start with 0.
  std::optional<std::int64_t> digits(std::size_t min, std::size_t max) {
    std::size_t n = 0;
    std::int64_t v = 0;
    for (; n < text_.size() && n <= max && isDigit(text_[n]); ++n) v = v * 10 + (text_[n] - '0');
    if (n < min || n > max || (n > min && text_[0] == '0')) return std::nullopt;
    text_.remove_prefix(n);
    return v;
  }
  /// Microseconds of ".f…"; digits beyond the sixth must be 0, since nothing is rounded.
  std::optional<std::int64_t> fraction() {
    if (!take('.')) return 0;
    std::int64_t v = 0;
    std::size_t n = 0;
    for (; n < text_.size() && isDigit(text_[n]); ++n) {
      if (n < 6)
        v = v * 10 + (text_[n] - '0');
      else if (text_[n] != '0')
        return std::nullopt;
    }
    if (n == 0) return std::nullopt;
    text_.remove_prefix(n);
    for (; n < 6; ++n) v *= 10;
    return v;
  }
  std::optional<std::int64_t> day() {
    const bool plus = take('+');
    const bool minus = !plus && take('-');
    const auto year = plus ? digits(5, 7) : minus ? digits(4, 7) : digits(4, 4);
    if (!year || (plus && *year < 10000) || (minus && *year == 0)) return std::nullopt;
    CivilDay c{minus ? -*year : *year, 0, 0};
    if (!take('-')) return std::nullopt;
    const auto month = twoDigits(12);
    if (!month || *month == 0 || !take('-')) return std::nullopt;
    c.month = *month;
    const auto dayOfMonth = twoDigits(daysInMonth(c.year, c.month));
    if (!dayOfMonth || *dayOfMonth == 0) return std::nullopt;
    c.day = *dayOfMonth;
    return daysFromCivil(c);
  }
  /// ":MM:SS[.f…]" in microseconds.
  std::optional<std::int64_t> minutesAndSeconds() {
    if (!take(':')) return std::nullopt;
    const auto minute = twoDigits(59);
    if (!minute || !take(':')) return std::nullopt;
    const auto second = twoDigits(59);
    if (!second) return std::nullopt;
    const auto micros = fraction();
    if (!micros) return std::nullopt;
    return (std::int64_t{*minute} * 60 + *second) * kMicrosPerSecond + *micros;
  }
  /// "", "Z" or "±hh[:mm]": whether there is a zone, and its offset in microseconds. False if neither.
  bool zone(bool& hasZone, std::int64_t& offset) {
    hasZone = !done();
    offset = 0;
    if (!hasZone || take('Z')) return true;
    const bool minus = take('-');
    if (!minus && !take('+')) return false;
    const auto hours = twoDigits(23);
    if (!hours) return false;
    unsigned minutes = 0;
    if (take(':')) {
      const auto m = twoDigits(59);
      if (!m) return false;
      minutes = *m;
    }
    offset = (std::int64_t{*hours} * 60 + minutes) * 60 * kMicrosPerSecond * (minus ? -1 : 1);
    return true;
  }

 private:
  static bool isDigit(char c) { return c >= '0' && c <= '9'; }
  std::string_view text_;
};

bool hexDigit(char c, unsigned& out) {
  if (c >= '0' && c <= '9')
    out = static_cast<unsigned>(c - '0');
  else if (c >= 'a' && c <= 'f')
    out = static_cast<unsigned>(c - 'a' + 10);
  else if (c >= 'A' && c <= 'F')
    out = static_cast<unsigned>(c - 'A' + 10);
  else
    return false;
  return true;
}

bool uuidHyphenAt(std::size_t i) { return i == 8 || i == 13 || i == 18 || i == 23; }

}  // namespace

template <class Out>
void detail::appendIso(Date d, Out& out) {
  if (d.days == Date::kInfinity)
    out.append("infinity");
  else if (d.days == Date::kMinusInfinity)
    out.append("-infinity");
  else
    appendDay(d.days, out);
}

template <class Out>
void detail::appendIso(Time t, Out& out) {
  if (t.micros < 0) out.push_back('-');
  const auto raw = static_cast<std::uint64_t>(t.micros);
  appendClock(t.micros < 0 ? 0 - raw : raw, out);
}

template <class Out>
void detail::appendIso(Timestamp t, Out& out) {
  if (t.micros == Timestamp::kInfinity || t.micros == Timestamp::kMinusInfinity) {
    out.append(t.micros < 0 ? "-infinity" : "infinity");
    return;
  }
  std::int64_t days = t.micros / kMicrosPerDay;
  std::int64_t ofDay = t.micros % kMicrosPerDay;
  if (ofDay < 0) {
    --days;
    ofDay += kMicrosPerDay;
  }
  appendDay(days, out);
  out.push_back('T');
  appendClock(static_cast<std::uint64_t>(ofDay), out);
  if (t.hasZone) out.push_back('Z');
}

template void detail::appendIso(Date, std::string&);
template void detail::appendIso(Time, std::string&);
template void detail::appendIso(Timestamp, std::string&);
template void detail::appendIso(Date, TextOut&);
template void detail::appendIso(Time, TextOut&);
template void detail::appendIso(Timestamp, TextOut&);

std::string toIso(Date d) {
  std::string out;
  detail::appendIso(d, out);
  return out;
}

std::string toIso(Time t) {
  std::string out;
  detail::appendIso(t, out);
  return out;
}

std::string toIso(Timestamp t) {
  std::string out;
  out.reserve(32);
  detail::appendIso(t, out);
  return out;
}

std::string toIso(const Uuid& u) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  out.reserve(36);
  for (const std::uint8_t octet : u.octets) {
    if (uuidHyphenAt(out.size())) out.push_back('-');
    out.push_back(kHex[octet >> 4]);
    out.push_back(kHex[octet & 15]);
  }
  return out;
}

bool parseDate(std::string_view text, Date& out) noexcept {
  if (text == "infinity") return out = {Date::kInfinity}, true;
  if (text == "-infinity") return out = {Date::kMinusInfinity}, true;
  IsoReader reader(text);
  const auto days = reader.day();
  if (!days || !reader.done() || *days >= Date::kInfinity || *days <= Date::kMinusInfinity) return false;
  out.days = static_cast<std::int32_t>(*days);
  return true;
}

bool parseTime(std::string_view text, Time& out) noexcept {
  IsoReader reader(text);
  const bool minus = reader.take('-');
  const auto hours = reader.digits(2, 10);
  if (!hours) return false;
  const auto rest = reader.minutesAndSeconds();
  if (!rest || !reader.done()) return false;
  std::int64_t micros = 0;
  if (__builtin_mul_overflow(*hours, 3600 * kMicrosPerSecond, &micros)) return false;
  if (__builtin_add_overflow(micros, *rest, &micros)) return false;
  out.micros = minus ? -micros : micros;
  return true;
}

bool parseTimestamp(std::string_view text, Timestamp& out) noexcept {
  // The two infinities have no zone of their own; `out` keeps the column's.
  if (text == "infinity") return out.micros = Timestamp::kInfinity, true;
  if (text == "-infinity") return out.micros = Timestamp::kMinusInfinity, true;
  IsoReader reader(text);
  const auto days = reader.day();
  if (!days || (!reader.take('T') && !reader.take(' '))) return false;
  const auto hours = reader.twoDigits(23);
  if (!hours) return false;
  const auto rest = reader.minutesAndSeconds();
  Timestamp parsed;
  std::int64_t offset = 0;
  if (!rest || !reader.zone(parsed.hasZone, offset) || !reader.done()) return false;
  const std::int64_t ofDay = std::int64_t{*hours} * 3600 * kMicrosPerSecond + *rest - offset;
  // Near the lower bound days * kMicrosPerDay alone does not fit though the sum does: carry one day over.
  const std::int64_t carry = *days < 0 ? 1 : 0;
  if (__builtin_mul_overflow(*days + carry, kMicrosPerDay, &parsed.micros)) return false;
  if (__builtin_add_overflow(parsed.micros, ofDay - carry * kMicrosPerDay, &parsed.micros)) return false;
  if (parsed.micros == Timestamp::kInfinity || parsed.micros == Timestamp::kMinusInfinity) return false;
  out = parsed;
  return true;
}

bool parseUuid(std::string_view text, Uuid& out) noexcept {
  if (text.size() != 36) return false;
  Uuid parsed;
  std::size_t nibble = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (uuidHyphenAt(i)) {
      if (text[i] != '-') return false;
      continue;
    }
    unsigned v = 0;
    if (!hexDigit(text[i], v)) return false;
    std::uint8_t& octet = parsed.octets[nibble / 2];
    octet = static_cast<std::uint8_t>(nibble % 2 == 0 ? v << 4 : octet | v);
    ++nibble;
  }
  out = parsed;
  return true;
}

bool isDecimal(std::string_view text) noexcept {
  if (text == "NaN" || text == "Infinity" || text == "-Infinity") return true;
  std::size_t at = !text.empty() && text[0] == '-' ? 1 : 0;
  const auto digits = [&] {
    const std::size_t from = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    return at > from;
  };
  if (!digits()) return false;
  if (at == text.size()) return true;
  return text[at++] == '.' && digits() && at == text.size();
}

}  // namespace tidegate
