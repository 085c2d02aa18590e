/// `Value`s into and out of prepared statements (docs/types.md, section SQLite).
#pragma once

#include <sqlite3.h>

#include <string_view>

#include "tidegate/core/value.h"

namespace tidegate::sqlite::detail {

/// What a column's declared type may lift its values to, where they fit exactly.
enum class Lift : unsigned char { none, boolean, json };

/// Reads a declared type (`nullptr` for an expression): BOOL and BOOLEAN, JSON; any case, anything in parentheses
/// aside.
Lift liftOf(const char* declaredType);

/// Whether text may become a Json value: one valid document, nested no deeper than the wire form allows.
bool fitsJson(std::string_view text) noexcept;

/// Binds one value to a one-based parameter. Text and octets are not copied: `value` must stay where it is until the
/// statement is reset.
/// @return SQLite's result code. @throws Error{invalidArgument} for a NaN, which SQLite would turn into NULL.
int bindValue(sqlite3_stmt* statement, int index, const Value& value);
int bindValue(sqlite3_stmt* statement, int index, Value&& value) = delete;

/// Reads a cell of the current row into `out`, reusing its string's capacity.
void readValue(sqlite3_stmt* statement, int column, Lift lift, Value& out);

}  // namespace tidegate::sqlite::detail
