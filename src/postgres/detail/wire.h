/// Values in Postgres's binary forms, for COPY and for array parameters.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tidegate/core/value.h"

namespace tidegate::postgres::detail {

/// The types in which a sink sends values. A target column of another type takes them by a cast.
enum class Wire : std::uint8_t {
  boolean,
  int8,
  numeric,
  float8,
  text,
  bytea,
  date,
  interval,
  time,
  timestamp,
  timestamptz,
  uuid,
  json,
  jsonb
};

/// A wire type's name as `format_type` prints it, its OID and that of its array.
struct WireType {
  std::string_view name;
  unsigned oid, arrayOid;
};
const WireType& typeOf(Wire wire);

/// Why a value cannot be written.
enum class Misfit : std::uint8_t { none, otherKind, outOfRange, holdsNul, notANumber, zone };

/// Appends the value as a field: its length and its octets; null is a length of -1.
/// @param kind the column's. With Wire::text and another kind than text, the value's text form is written; a column of
///             kind null (any) gets a JSON scalar that keeps the kind.
/// @return what is wrong with the value; `out` may then hold part of a field.
Misfit appendField(const Value& v, Wire wire, ValueKind kind, std::string& out);

/// Appends the field to a key under which equal values of the type are equal octets.
void appendKeyField(Wire wire, std::string_view field, std::string& key);

/// The reason in words, e.g. "holds a NUL octet, which no Postgres text can".
std::string_view describe(Misfit misfit);

}  // namespace tidegate::postgres::detail
