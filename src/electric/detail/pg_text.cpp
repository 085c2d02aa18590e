#include "electric/detail/pg_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "core/detail/number.h"
#include "core/detail/sql_time.h"

namespace tidegate::electric::detail {
namespace {

using tidegate::detail::CivilDate;

void appendPadded(std::uint64_t number, std::size_t width, std::string& out) {
  const std::string digits = std::to_string(number);
  if (digits.size() < width) out.append(width - digits.size(), '0');
  out += digits;
}

/// "YYYY-MM-DD", and whether " BC" has to follow what comes after it.
bool appendCivil(std::int64_t days, std::string& out) {
  const CivilDate date = tidegate::detail::civilFromDays(days);
  const bool beforeChrist = date.year <= 0;
  appendPadded(static_cast<std::uint64_t>(beforeChrist ? 1 - date.year : date.year), 4, out);
  out += '-';
  appendPadded(date.month, 2, out);
  out += '-';
  appendPadded(date.day, 2, out);
  return beforeChrist;
}

void appendClock(std::int64_t micros, std::string& out) {
  const auto seconds = static_cast<std::uint64_t>(micros / tidegate::detail::kMicrosPerSecond);
  auto fraction = static_cast<std::uint64_t>(micros % tidegate::detail::kMicrosPerSecond);
  appendPadded(seconds / 3600, 2, out);
  out += ':';
  appendPadded(seconds / 60 % 60, 2, out);
  out += ':';
  appendPadded(seconds % 60, 2, out);
  if (fraction == 0) return;
  std::size_t width = 6;
  for (; fraction % 10 == 0; fraction /= 10) --width;
  out += '.';
  appendPadded(fraction, width, out);
}

void appendPgValue(Null, std::string&) {}
void appendPgValue(bool v, std::string& out) { out += v ? "true" : "false"; }
void appendPgValue(std::int64_t v, std::string& out) { out += std::to_string(v); }
void appendPgValue(std::uint64_t v, std::string& out) { out += std::to_string(v); }
void appendPgValue(const Decimal& v, std::string& out) { out += v.text; }
void appendPgValue(const std::string& v, std::string& out) { out += v; }
void appendPgValue(const Json& v, std::string& out) { out += v.text; }
void appendPgValue(const Uuid& v, std::string& out) { out += toIso(v); }

/// Shortest digits; a form with exponent below 1e-4 and from 1e15, as float8out has it.
void appendPgValue(double v, std::string& out) {
  if (std::isnan(v)) {
    out += "NaN";
  } else if (std::isinf(v)) {
    out += v < 0 ? "-Infinity" : "Infinity";
  } else {
    std::array<char, 64> text;
    const double size = std::fabs(v);
    const bool scientific = v != 0 && (size < 1e-4 || size >= 1e15);
    const auto end = std::to_chars(text.data(), text.data() + text.size(), v,
                                   scientific ? std::chars_format::scientific : std::chars_format::fixed);
    out.append(text.data(), static_cast<std::size_t>(end.ptr - text.data()));
  }
}

void appendPgValue(const Bytes& v, std::string& out) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out += "\\x";
  for (const char c : v.octets) {
    const auto octet = static_cast<unsigned char>(c);
    out += kHex[octet >> 4];
    out += kHex[octet & 15];
  }
}

void appendPgValue(Date v, std::string& out) {
  if (v.days == Date::kInfinity || v.days == Date::kMinusInfinity) {
    out += v.days == Date::kInfinity ? "infinity" : "-infinity";
  } else if (appendCivil(v.days, out)) {
    out += " BC";
  }
}

void appendPgValue(Time v, std::string& out) {
  if (v.micros < 0) out += '-';
  appendClock(v.micros < 0 ? -v.micros : v.micros, out);
}

void appendPgValue(Timestamp v, std::string& out) {
  if (v.micros == Timestamp::kInfinity || v.micros == Timestamp::kMinusInfinity) {
    out += v.micros == Timestamp::kInfinity ? "infinity" : "-infinity";
    return;
  }
  std::int64_t days = v.micros / tidegate::detail::kMicrosPerDay;
  std::int64_t micros = v.micros % tidegate::detail::kMicrosPerDay;
  if (micros < 0) {
    --days;
    micros += tidegate::detail::kMicrosPerDay;
  }
  const bool beforeChrist = appendCivil(days, out);
  out += ' ';
  appendClock(micros, out);
  if (v.hasZone) out += "+00";
  if (beforeChrist) out += " BC";
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\r\f\v";
  const std::size_t from = text.find_first_not_of(kSpace);
  if (from == text.npos) return {};
  return text.substr(from, text.find_last_not_of(kSpace) - from + 1);
}

std::string lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::optional<Value> readBoolean(std::string_view text) {
  const std::string word = lowered(text);
  if (word.empty()) return std::nullopt;
  for (const std::string_view yes : {"true", "yes", "on", "1"}) {
    if (yes.starts_with(word) && (yes != "on" || word.size() == 2)) return Value(true);
  }
  for (const std::string_view no : {"false", "no", "off", "0"}) {
    if (no.starts_with(word) && (no != "off" || word.size() >= 2)) return Value(false);
  }
  return std::nullopt;
}

std::optional<Value> readInteger(std::string_view text) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
    if (text.starts_with('-')) return std::nullopt;
  }
  std::int64_t number = 0;
  std::uint64_t large = 0;
  const char* end = text.data() + text.size();
  if (const auto r = std::from_chars(text.data(), end, number); r.ec == std::errc{} && r.ptr == end && !text.empty()) {
    return Value(number);
  }
  if (const auto r = std::from_chars(text.data(), end, large); r.ec == std::errc{} && r.ptr == end && !text.empty()) {
    return Value(large);
  }
  return std::nullopt;
}

/// "NaN", "Infinity" or "-Infinity" where the text is one of their spellings.
std::string_view specialNumber(std::string_view text) {
  const std::string word = lowered(text);
  if (word == "nan") return "NaN";
  if (word == "infinity" || word == "inf" || word == "+infinity" || word == "+inf") return "Infinity";
  if (word == "-infinity" || word == "-inf") return "-Infinity";
  return {};
}

/// "1.5e3" as "1500"; nullopt where that has over a thousand digits.
std::optional<std::string> withoutExponent(const tidegate::detail::NumberText& n) {
  std::string digits = std::string(n.whole) + std::string(n.fraction);
  std::int64_t point = static_cast<std::int64_t>(n.whole.size()) + n.exponent;
  if (point > 1'000 || point < -1'000) return std::nullopt;
  if (point <= 0) {
    digits.insert(0, static_cast<std::size_t>(1 - point), '0');
    point = 1;
  }
  const auto whole = static_cast<std::size_t>(point);
  if (digits.size() < whole) digits.append(whole - digits.size(), '0');
  std::string out = (n.negative ? "-" : "") + digits.substr(0, whole);
  if (digits.size() > whole) out += "." + digits.substr(whole);
  const std::size_t first = out.find_first_not_of("-0");
  const std::size_t units = out.find('.') == out.npos ? out.size() - 1 : out.find('.') - 1;
  const std::size_t start = n.negative ? 1 : 0;
  if (first != out.npos && first > start && units > start) out.erase(start, std::min(first, units) - start);
  if (first == out.npos || out[first] == '.') out.erase(start, units - start);
  // As in Postgres: no number is a negative zero.
  if (n.negative && out.find_first_of("123456789") == out.npos) out.erase(0, 1);
  return out;
}

std::optional<Value> readDecimal(std::string_view text) {
  if (const std::string_view special = specialNumber(text); !special.empty())
    return Value(Decimal{std::string(special)});
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  if (isDecimal(text)) return Value(Decimal{std::string(text)});
  // ".5" and "5." are numbers here.
  std::string padded(text);
  const std::size_t start = padded.starts_with('-') ? 1 : 0;
  if (padded.size() > start + 1 && padded[start] == '.') padded.insert(start, "0");
  if (const std::size_t point = padded.find('.');
      point != padded.npos && (point + 1 == padded.size() || padded[point + 1] == 'e' || padded[point + 1] == 'E')) {
    padded.erase(point, 1);
  }
  const auto number = tidegate::detail::NumberText::parse(padded);
  if (!number) return std::nullopt;
  const auto plain = withoutExponent(*number);
  if (!plain || !isDecimal(*plain)) return std::nullopt;
  return Value(Decimal{*plain});
}

std::optional<Value> readReal(std::string_view text) {
  if (const std::string_view special = specialNumber(text); !special.empty()) {
    if (special == "NaN") return Value(std::nan(""));
    return Value(special == "Infinity" ? HUGE_VAL : -HUGE_VAL);
  }
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  double number = 0;
  const char* end = text.data() + text.size();
  const auto r = std::from_chars(text.data(), end, number);
  if (r.ec != std::errc{} || r.ptr != end || text.empty() || !std::isfinite(number)) return std::nullopt;
  return Value(number);
}

std::optional<Value> readBytes(std::string_view text) {
  if (!text.starts_with("\\x") && !text.starts_with("\\X")) return std::nullopt;
  text.remove_prefix(2);
  if (text.size() % 2 != 0) return std::nullopt;
  Bytes out;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    unsigned octet = 0;
    const auto r = std::from_chars(text.data() + i, text.data() + i + 2, octet, 16);
    if (r.ec != std::errc{} || r.ptr != text.data() + i + 2) return std::nullopt;
    out.octets += static_cast<char>(octet);
  }
  return Value(std::move(out));
}

/// A year before Christ as ISO 8601 counts it: "0044-03-15 BC" is "-0043-03-15".
std::optional<std::string> isoYear(std::string_view text) {
  if (!text.ends_with(" BC") && !text.ends_with(" bc")) return std::string(text);
  text.remove_suffix(3);
  std::uint32_t year = 0;
  const auto r = std::from_chars(text.data(), text.data() + text.size(), year);
  if (r.ec != std::errc{} || year == 0 || r.ptr == text.data() + text.size() || *r.ptr != '-') return std::nullopt;
  std::string out = year == 1 ? "" : "-";
  appendPadded(year - 1, 4, out);
  return out.append(r.ptr, text.data() + text.size());
}

template <class T>
std::optional<T> readMoment(bool (*parse)(std::string_view, T&) noexcept, std::string_view text) {
  const auto iso = isoYear(text);
  T out;
  if (!iso || !parse(*iso, out)) return std::nullopt;
  return out;
}

std::optional<Value> readTimestamp(std::string_view text, bool zone) {
  if (const auto day = readMoment<Date>(parseDate, text)) {
    if (day->days == Date::kInfinity) return Value(Timestamp{Timestamp::kInfinity, zone});
    if (day->days == Date::kMinusInfinity) return Value(Timestamp{Timestamp::kMinusInfinity, zone});
    std::int64_t micros = 0;
    if (!tidegate::detail::joinMicros(day->days, 0, micros)) return std::nullopt;
    return Value(Timestamp{micros, zone});
  }
  auto moment = readMoment<Timestamp>(parseTimestamp, text);
  if (!moment) return std::nullopt;
  // A zone in a literal of a type without one would be dropped silently.
  if (moment->hasZone && !zone && moment->micros != Timestamp::kInfinity && moment->micros != Timestamp::kMinusInfinity)
    return std::nullopt;
  moment->hasZone = zone;
  return Value(*moment);
}

}  // namespace

void appendPgText(const Value& value, std::string& out) {
  std::visit([&](const auto& v) { appendPgValue(v, out); }, value.variant());
}

std::string pgText(const Value& value) {
  std::string out;
  appendPgText(value, out);
  return out;
}

std::optional<Value> readPgLiteral(SqlType type, std::string_view text) {
  if (type == SqlType::text) return Value(text);
  text = trimmed(text);
  switch (type) {
    case SqlType::boolean:
      return readBoolean(text);
    case SqlType::integer:
      return readInteger(text);
    case SqlType::decimal:
      return readDecimal(text);
    case SqlType::real:
      return readReal(text);
    case SqlType::bytes:
      return readBytes(text);
    case SqlType::date:
      if (const auto day = readMoment<Date>(parseDate, text)) return Value(*day);
      return std::nullopt;
    case SqlType::time: {
      Time out;
      if (!parseTime(text, out)) return std::nullopt;
      return Value(out);
    }
    case SqlType::timestamp:
    case SqlType::timestamptz:
      return readTimestamp(text, type == SqlType::timestamptz);
    case SqlType::uuid: {
      Uuid out;
      if (!parseUuid(text, out)) return std::nullopt;
      return Value(out);
    }
    default:
      return std::nullopt;
  }
}

}  // namespace tidegate::electric::detail
