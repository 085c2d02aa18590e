/// Values as PostgreSQL prints them, which is how Electric sends them: DateStyle ISO, TimeZone UTC, bytea in hex,
/// floats in their shortest form.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "electric/detail/where_node.h"
#include "tidegate/core/value.h"

namespace tidegate::electric::detail {

/// Appends a value that is not null.
void appendPgText(const Value& value, std::string& out);
std::string pgText(const Value& value);

/// Reads a literal of a type as PostgreSQL's input functions do, white space around it included; nullopt where it is
/// none. @pre `type` is neither `unknown` nor `any`.
std::optional<Value> readPgLiteral(SqlType type, std::string_view text);

}  // namespace tidegate::electric::detail
