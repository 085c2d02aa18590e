#include "electric/detail/source_types.h"

#include <array>

#include "core/detail/assign_value.h"
#include "core/detail/pg_read.h"

namespace tidegate::electric::reading {
namespace {

using tidegate::detail::assignText;
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

void readNumeric(std::string_view text, Value& out) {
  if (!isDecimal(text)) return assignText(out, text);
  stringIn<Decimal>(out).assign(text);
}

void readDocument(std::string_view text, Value& out) { stringIn<Json>(out).assign(text); }

/// Where the text is not PostgreSQL's, ISO 8601 is taken too: other servers of shapes write it.
void readOtherMoment(std::string_view text, bool hasZone, Value& out) {
  Timestamp moment;
  if (!parseTimestamp(text, moment) || moment.hasZone != hasZone) return assignText(out, text);
  out.variant() = moment;
}

void readLocalMoment(std::string_view text, Value& out) {
  tidegate::detail::readPgTimestamp(text, out);
  if (out.kind() == ValueKind::text) readOtherMoment(text, false, out);
}
void readZonedMoment(std::string_view text, Value& out) {
  tidegate::detail::readPgTimestamptz(text, out);
  if (out.kind() == ValueKind::text) readOtherMoment(text, true, out);
}

struct NamedType {
  std::string_view name;
  ColumnType type;
};

constexpr std::array<NamedType, 16> kNamedTypes{{
    {"bool", {ValueKind::boolean, readBool}},
    {"int2", {ValueKind::int64, tidegate::detail::readPgInteger}},
    {"int4", {ValueKind::int64, tidegate::detail::readPgInteger}},
    {"int8", {ValueKind::int64, tidegate::detail::readPgInteger}},
    {"oid", {ValueKind::int64, tidegate::detail::readPgInteger}},
    {"float4", {ValueKind::real, tidegate::detail::readPgReal}},
    {"float8", {ValueKind::real, tidegate::detail::readPgReal}},
    {"numeric", {ValueKind::decimal, readNumeric}},
    {"bytea", {ValueKind::bytes, tidegate::detail::readPgBytea}},
    {"date", {ValueKind::date, tidegate::detail::readPgDate}},
    {"time", {ValueKind::time, tidegate::detail::readPgTime}},
    {"timestamp", {ValueKind::timestamp, readLocalMoment}},
    {"timestamptz", {ValueKind::timestamp, readZonedMoment}},
    {"uuid", {ValueKind::uuid, tidegate::detail::readPgUuid}},
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
