#include "source/detail/cursor_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string_view>

namespace tidegate::detail {
namespace cursor_detail {

constexpr std::int64_t kMicrosPerSecond = 1'000'000;
constexpr std::int64_t kMicrosPerDay = 86'400 * kMicrosPerSecond;
constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

/// Flags of a text's form; the zone's minutes + 1000 stand in the upper half.
enum : std::uint32_t { kHasT = 1, kHasTime = 2, kHasSeconds = 4, kZulu = 8, kOffset = 16, kOffsetColon = 32 };

struct TextTime {
  std::uint32_t flags = 0;
  std::int64_t micros = 0;  ///< as written, no zone applied
  int fractionDigits = 0;
  int offsetMinutes = 0;
  std::string_view suffix;  ///< zone as written
};

/// Two or four digits at `at`; -1 if they are not digits.
int digitsAt(std::string_view s, std::size_t at, std::size_t count) {
  if (at + count > s.size()) return -1;
  int n = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    if (s[i] < '0' || s[i] > '9') return -1;
    n = n * 10 + (s[i] - '0');
  }
  return n;
}

bool within(int n, int low, int high) { return n >= low && n <= high; }

bool parseDay(std::string_view s, std::int64_t& days) {
  if (s.size() < 10 || s[4] != '-' || s[7] != '-') return false;
  const int y = digitsAt(s, 0, 4), m = digitsAt(s, 5, 2), d = digitsAt(s, 8, 2);
  if (y < 0 || m < 0 || d < 0) return false;
  const std::chrono::year_month_day ymd{std::chrono::year{y}, std::chrono::month{static_cast<unsigned>(m)},
                                        std::chrono::day{static_cast<unsigned>(d)}};
  if (!ymd.ok()) return false;
  days = std::chrono::sys_days{ymd}.time_since_epoch().count();
  return true;
}

/// "Z", "+hh", "+hhmm", "+hh:mm" or nothing.
bool parseSuffix(std::string_view s, TextTime& out) {
  out.suffix = s;
  if (s.empty()) return true;
  if (s == "Z") {
    out.flags |= kZulu;
    return true;
  }
  if (s[0] != '+' && s[0] != '-') return false;
  const bool colon = s.size() == 6 && s[3] == ':';
  const int hours = digitsAt(s, 1, 2);
  const int minutes = s.size() == 3 ? 0 : digitsAt(s, colon ? 4 : 3, 2);
  if (!within(hours, 0, 18) || !within(minutes, 0, 59) || (s.size() != 3 && s.size() != 5 && !colon)) return false;
  out.offsetMinutes = (s[0] == '-' ? -1 : 1) * (hours * 60 + minutes);
  out.flags |= kOffset | (colon ? kOffsetColon : 0u) | (static_cast<std::uint32_t>(out.offsetMinutes + 2'000) << 16);
  return true;
}

/// The part after "hh:mm".
bool parseSeconds(std::string_view s, std::size_t& at, TextTime& out) {
  if (at >= s.size() || s[at] != ':') return true;
  const int seconds = digitsAt(s, at + 1, 2);
  if (!within(seconds, 0, 60)) return false;
  out.flags |= kHasSeconds;
  out.micros += seconds * kMicrosPerSecond;
  at += 3;
  if (at >= s.size() || s[at] != '.') return true;
  std::int64_t unit = kMicrosPerSecond / 10;
  for (++at; at < s.size() && s[at] >= '0' && s[at] <= '9'; ++at, unit /= 10) {
    out.micros += (s[at] - '0') * unit;
    if (++out.fractionDigits > 9) return false;
  }
  return out.fractionDigits > 0;
}

bool parseText(std::string_view s, TextTime& out) {
  std::int64_t days = 0;
  if (!parseDay(s, days)) return false;
  out.micros = days * kMicrosPerDay;
  if (s.size() == 10) return true;
  if (s[10] != ' ' && s[10] != 'T') return false;
  const int hours = digitsAt(s, 11, 2), minutes = digitsAt(s, 14, 2);
  if (!within(hours, 0, 24) || !within(minutes, 0, 59) || s[13] != ':') return false;
  out.flags |= kHasTime | (s[10] == 'T' ? kHasT : 0u);
  out.micros += (hours * 60 + minutes) * 60 * kMicrosPerSecond;
  std::size_t at = 16;
  return parseSeconds(s, at, out) && parseSuffix(s.substr(at), out);
}

std::int64_t minus(std::int64_t micros, std::int64_t back) {
  if (micros == kMin || micros == kMax) return micros;
  return micros < kMin + 1 + back ? kMin + 1 : micros - back;
}

std::int64_t floorTo(std::int64_t micros, std::int64_t unit) {
  const std::int64_t rest = micros % unit;
  return micros - (rest < 0 ? rest + unit : rest);
}

/// Writes `micros` as `form` was written, cut to its precision.
std::string writeLike(const TextTime& form, std::int64_t micros) {
  constexpr std::int64_t kYearZero = -719'528 * kMicrosPerDay;
  micros = std::max(micros, kYearZero);
  const std::int64_t days = floorTo(micros, kMicrosPerDay) / kMicrosPerDay;
  const std::chrono::year_month_day ymd{std::chrono::sys_days{std::chrono::days{days}}};
  std::string out = fmt::format("{:04}-{:02}-{:02}", static_cast<int>(ymd.year()), static_cast<unsigned>(ymd.month()),
                                static_cast<unsigned>(ymd.day()));
  if ((form.flags & kHasTime) == 0) return out;
  const std::int64_t inDay = micros - days * kMicrosPerDay;
  const std::int64_t seconds = inDay / kMicrosPerSecond;
  out += (form.flags & kHasT) != 0 ? 'T' : ' ';
  out += fmt::format("{:02}:{:02}", seconds / 3'600, seconds / 60 % 60);
  if ((form.flags & kHasSeconds) != 0) out += fmt::format(":{:02}", seconds % 60);
  if (form.fractionDigits > 0) {
    const std::string nanos = fmt::format("{:06}000", inDay % kMicrosPerSecond);
    out += '.' + nanos.substr(0, static_cast<std::size_t>(form.fractionDigits));
  }
  return out += form.suffix;
}

}  // namespace cursor_detail

using namespace cursor_detail;

CursorForm cursorFormOf(const Value& v) noexcept {
  switch (v.kind()) {
    case ValueKind::timestamp:
      return {v.as<Timestamp>().hasZone ? CursorKind::timestampUtc : CursorKind::timestampLocal, 0};
    case ValueKind::date:
      return {CursorKind::date, 0};
    case ValueKind::int64:
    case ValueKind::uint64:
      return {CursorKind::number, 0};
    case ValueKind::decimal:
      return v.as<Decimal>().text == "NaN" ? CursorForm{} : CursorForm{CursorKind::number, 0};
    case ValueKind::real:
      return std::isnan(v.as<double>()) ? CursorForm{} : CursorForm{CursorKind::number, 0};
    case ValueKind::text: {
      TextTime t;
      if (parseText(v.as<std::string>(), t)) return {CursorKind::timeText, t.flags};
      return {CursorKind::other, static_cast<std::uint32_t>(ValueKind::text)};
    }
    case ValueKind::bytes:
    case ValueKind::time:
    case ValueKind::uuid:
      return {CursorKind::other, static_cast<std::uint32_t>(v.kind())};
    default:
      return {};
  }
}

std::string describe(CursorForm form) {
  switch (form.kind) {
    case CursorKind::timestampUtc:
      return "timestamp with zone";
    case CursorKind::timestampLocal:
      return "timestamp without zone";
    case CursorKind::date:
      return "date";
    case CursorKind::number:
      return "number";
    case CursorKind::other:
      return std::string(toString(static_cast<ValueKind>(form.detail)));
    case CursorKind::none:
      break;
    case CursorKind::timeText: {
      if ((form.detail & kHasTime) == 0) return "text as YYYY-MM-DD";
      const int offset = (form.detail & kOffset) != 0 ? static_cast<int>(form.detail >> 16) - 2'000 : 0;
      return fmt::format("text as YYYY-MM-DD{}HH:MM{}{}", (form.detail & kHasT) != 0 ? 'T' : ' ',
                         (form.detail & kHasSeconds) != 0 ? ":SS" : "",
                         (form.detail & kZulu) != 0 ? "Z"
                         : (form.detail & kOffset) != 0
                             ? fmt::format("{:+03}{}{:02}", offset / 60, (form.detail & kOffsetColon) != 0 ? ":" : "",
                                           std::abs(offset % 60))
                             : "");
    }
  }
  return "no cursor";
}

std::int64_t timeKey(const Value& v) noexcept {
  if (const auto* t = v.getIf<Timestamp>()) return t->micros;
  if (const auto* d = v.getIf<Date>()) {
    if (d->days == Date::kInfinity) return kMax;
    if (d->days == Date::kMinusInfinity) return kMin;
    // A day outside the range of microseconds (beyond the year 294,000) orders at its edge.
    constexpr std::int64_t kEdge = kMax / kMicrosPerDay - 1;
    return std::min<std::int64_t>(std::max<std::int64_t>(d->days, -kEdge), kEdge) * kMicrosPerDay;
  }
  TextTime t;
  if (const auto* text = v.getIf<std::string>(); text != nullptr && parseText(*text, t)) return t.micros;
  return kMin;
}

std::optional<std::int64_t> instantOf(const Value& v, bool zonelessTextIsUtc) noexcept {
  const CursorForm form = cursorFormOf(v);
  const std::int64_t key = timeKey(v);
  if (key == kMin || key == kMax) return std::nullopt;
  if (form.kind == CursorKind::timestampUtc) return key;
  if (form.kind != CursorKind::timeText || (form.detail & kHasTime) == 0) return std::nullopt;
  if ((form.detail & kOffset) != 0) {
    return key - (static_cast<std::int64_t>(form.detail >> 16) - 2'000) * 60 * kMicrosPerSecond;
  }
  if ((form.detail & kZulu) != 0 || zonelessTextIsUtc) return key;
  return std::nullopt;
}

Value earlier(const Value& v, std::chrono::microseconds back) {
  if (const auto* t = v.getIf<Timestamp>()) return Timestamp{minus(t->micros, back.count()), t->hasZone};
  if (const auto* d = v.getIf<Date>()) {
    if (d->days == Date::kInfinity || d->days == Date::kMinusInfinity) return v;
    const std::int64_t days = (back.count() + kMicrosPerDay - 1) / kMicrosPerDay;
    return Date{static_cast<std::int32_t>(std::max<std::int64_t>(d->days - days, Date::kMinusInfinity + 1))};
  }
  const auto& text = v.as<std::string>();
  TextTime form;
  if (!parseText(text, form)) return v;
  return writeLike(form, minus(form.micros, back.count()));
}

bool isNewer(const Value& a, const Value& b, CursorForm form) noexcept {
  if (form.isTime()) return timeKey(a) > timeKey(b);
  if (form.kind == CursorKind::number) return compareValues(a, b) == std::partial_ordering::greater;
  return true;
}

}  // namespace tidegate::detail
