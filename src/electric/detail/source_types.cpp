#include "electric/detail/source_types.h"

#include <array>
#include <charconv>

#include "core/detail/assign_value.h"
#include "core/detail/sql_time.h"

namespace tidegate::electric::reading {
namespace {

using tidegate::detail::assignText;
using tidegate::detail::CivilDate;
using tidegate::detail::SqlTimeReader;
using tidegate::detail::stringIn;

void readPlain(std::string_view text, Value& out) { assignText(out, text); }

void readBool(std::string_view text, Value& out) {
  if (text == "true" || text == "t") {
    out.variant() = true;
  } else if (text == "false" || text == "f") {
    out.variant() = false;
  } else {
    assignText(out, text);
  }
}

template <class Number>
bool readWhole(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

void readInteger(std::string_view text, Value& out) {
  std::int64_t number = 0;
  if (!readWhole(text, number)) return assignText(out, text);
  out.variant() = number;
}

/// PostgreSQL prints the shortest digits that read back as the same number; from_chars knows NaN and Infinity.
void readReal(std::string_view text, Value& out) {
  double number = 0;
  if (!readWhole(text, number)) return assignText(out, text);
  out.variant() = number;
}

void readNumeric(std::string_view text, Value& out) {
  if (!isDecimal(text)) return assignText(out, text);
  stringIn<Decimal>(out).assign(text);
}

void readDocument(std::string_view text, Value& out) { stringIn<Json>(out).assign(text); }

int hexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void readBytea(std::string_view text, Value& out) {
  if (text.size() < 2 || text.size() % 2 != 0 || text[0] != '\\' || text[1] != 'x') return assignText(out, text);
  std::string octets(text.size() / 2 - 1, '\0');
  for (std::size_t i = 0; i < octets.size(); ++i) {
    const int high = hexDigit(text[2 * i + 2]), low = hexDigit(text[2 * i + 3]);
    if (high < 0 || low < 0) return assignText(out, text);
    octets[i] = static_cast<char>(high * 16 + low);
  }
  stringIn<Bytes>(out) = std::move(octets);
}

/// PostgreSQL counts 1 BC before 1 AD; we have a year 0.
bool daysOf(CivilDate date, bool beforeChrist, std::int64_t& days) {
  if (beforeChrist) date.year = 1 - date.year;
  if (!isCivil(date)) return false;
  days = daysFromCivil(date);
  return true;
}

void readDate(std::string_view text, Value& out) {
  if (text == "infinity") return void(out.variant() = Date{Date::kInfinity});
  if (text == "-infinity") return void(out.variant() = Date{Date::kMinusInfinity});
  SqlTimeReader in(text);
  CivilDate date;
  std::int64_t days = 0;
  if (!in.date(date) || (!in.done() && in.rest() != " BC") || !daysOf(date, !in.done(), days) ||
      days >= Date::kInfinity || days <= Date::kMinusInfinity) {
    return assignText(out, text);
  }
  out.variant() = Date{static_cast<std::int32_t>(days)};
}

void readTime(std::string_view text, Value& out) {
  SqlTimeReader in(text);
  std::int64_t micros = 0;
  if (!in.clock(micros) || !in.done()) return assignText(out, text);
  out.variant() = Time{micros};
}

/// Where the text is not PostgreSQL's, ISO 8601 is taken too: other servers of shapes write it.
void readOtherMoment(std::string_view text, bool hasZone, Value& out) {
  Timestamp moment;
  if (!parseTimestamp(text, moment) || moment.hasZone != hasZone) return assignText(out, text);
  out.variant() = moment;
}

/// The server's TimeZone is UTC, so that a zone is always "+00".
void readMoment(std::string_view text, bool hasZone, Value& out) {
  if (text == "infinity") return void(out.variant() = Timestamp{Timestamp::kInfinity, hasZone});
  if (text == "-infinity") return void(out.variant() = Timestamp{Timestamp::kMinusInfinity, hasZone});
  SqlTimeReader in(text);
  CivilDate date;
  std::int64_t time = 0, days = 0, micros = 0;
  const bool read =
      in.date(date) && in.skip(' ') && in.clock(time) && (!hasZone || (in.skip('+') && in.skip('0') && in.skip('0')));
  if (!read || (!in.done() && in.rest() != " BC") || !daysOf(date, !in.done(), days) ||
      !tidegate::detail::joinMicros(days, time, micros)) {
    return readOtherMoment(text, hasZone, out);
  }
  out.variant() = Timestamp{micros, hasZone};
}

void readLocalMoment(std::string_view text, Value& out) { readMoment(text, false, out); }
void readZonedMoment(std::string_view text, Value& out) { readMoment(text, true, out); }

void readUuid(std::string_view text, Value& out) {
  Uuid uuid;
  if (!parseUuid(text, uuid)) return assignText(out, text);
  out.variant() = uuid;
}

struct NamedType {
  std::string_view name;
  ColumnType type;
};

constexpr std::array<NamedType, 16> kNamedTypes{{
    {"bool", {ValueKind::boolean, readBool}},
    {"int2", {ValueKind::int64, readInteger}},
    {"int4", {ValueKind::int64, readInteger}},
    {"int8", {ValueKind::int64, readInteger}},
    {"oid", {ValueKind::int64, readInteger}},
    {"float4", {ValueKind::real, readReal}},
    {"float8", {ValueKind::real, readReal}},
    {"numeric", {ValueKind::decimal, readNumeric}},
    {"bytea", {ValueKind::bytes, readBytea}},
    {"date", {ValueKind::date, readDate}},
    {"time", {ValueKind::time, readTime}},
    {"timestamp", {ValueKind::timestamp, readLocalMoment}},
    {"timestamptz", {ValueKind::timestamp, readZonedMoment}},
    {"uuid", {ValueKind::uuid, readUuid}},
    {"json", {ValueKind::json, readDocument}},
    {"jsonb", {ValueKind::json, readDocument}},
}};

}  // namespace

ColumnType columnTypeOf(std::string_view type, std::uint64_t dimensions) {
  if (dimensions == 0) {
    for (const NamedType& known : kNamedTypes) {
      if (known.name == type) return known.type;
    }
  }
  return {ValueKind::text, readPlain};
}

}  // namespace tidegate::electric::reading
