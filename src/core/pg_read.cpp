#include "core/detail/pg_read.h"

#include <charconv>

#include "core/detail/assign_value.h"
#include "core/detail/sql_time.h"

namespace tidegate::detail {
namespace {

int pgHexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// The date's days with a trailing " BC" taken into account: the server counts 1 BC before 1 AD, we have a year 0.
bool pgDaysOf(CivilDate date, bool beforeChrist, std::int64_t& days) {
  if (beforeChrist) date.year = 1 - date.year;
  if (!isCivil(date)) return false;
  days = daysFromCivil(date);
  return true;
}

/// The session's TimeZone is UTC, so that a zone is always printed as "+00".
void pgMoment(std::string_view text, bool hasZone, Value& out) {
  if (text == "infinity") return void(out.variant() = Timestamp{Timestamp::kInfinity, hasZone});
  if (text == "-infinity") return void(out.variant() = Timestamp{Timestamp::kMinusInfinity, hasZone});
  SqlTimeReader in(text);
  CivilDate date;
  std::int64_t time = 0, days = 0, micros = 0;
  const bool read =
      in.date(date) && in.skip(' ') && in.clock(time) && (!hasZone || (in.skip('+') && in.skip('0') && in.skip('0')));
  if (!read || (!in.done() && in.rest() != " BC") || !pgDaysOf(date, !in.done(), days) ||
      !joinMicros(days, time, micros)) {
    return assignText(out, text);
  }
  out.variant() = Timestamp{micros, hasZone};
}

}  // namespace

void readPgInteger(std::string_view text, Value& out) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return assignText(out, text);
  out.variant() = number;
}

/// The server prints the shortest digits that read back as the same float4 or float8; from_chars knows NaN and
/// Infinity.
void readPgReal(std::string_view text, Value& out) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return assignText(out, text);
  out.variant() = number;
}

/// bytea_output is hex: "\x" and two digits an octet.
void readPgBytea(std::string_view text, Value& out) {
  if (text.size() < 2 || text.size() % 2 != 0 || text[0] != '\\' || text[1] != 'x') return assignText(out, text);
  std::string& octets = stringIn<Bytes>(out);
  octets.resize(text.size() / 2 - 1);
  for (std::size_t i = 0; i < octets.size(); ++i) {
    const int high = pgHexDigit(text[2 * i + 2]), low = pgHexDigit(text[2 * i + 3]);
    if (high < 0 || low < 0) return assignText(out, text);
    octets[i] = static_cast<char>(high * 16 + low);
  }
}

void readPgDate(std::string_view text, Value& out) {
  if (text == "infinity") return void(out.variant() = Date{Date::kInfinity});
  if (text == "-infinity") return void(out.variant() = Date{Date::kMinusInfinity});
  SqlTimeReader in(text);
  CivilDate date;
  std::int64_t days = 0;
  if (!in.date(date) || (!in.done() && in.rest() != " BC") || !pgDaysOf(date, !in.done(), days) ||
      days >= Date::kInfinity || days <= Date::kMinusInfinity) {
    return assignText(out, text);
  }
  out.variant() = Date{static_cast<std::int32_t>(days)};
}

void readPgTime(std::string_view text, Value& out) {
  SqlTimeReader in(text);
  std::int64_t micros = 0;
  if (!in.clock(micros) || !in.done()) return assignText(out, text);
  out.variant() = Time{micros};
}

void readPgTimestamp(std::string_view text, Value& out) { pgMoment(text, false, out); }
void readPgTimestamptz(std::string_view text, Value& out) { pgMoment(text, true, out); }

void readPgUuid(std::string_view text, Value& out) {
  Uuid uuid;
  if (!parseUuid(text, uuid)) return assignText(out, text);
  out.variant() = uuid;
}

}  // namespace tidegate::detail
