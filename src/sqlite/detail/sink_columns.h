/// How the SQLite sink keeps values (docs/types.md, section "SQLite sink"): which type a column is declared with, what
/// a declared type may hold without changing it, and values in and out.
#pragma once

#include <sqlite3.h>

#include <array>
#include <string>
#include <string_view>

#include "tidegate/core/schema.h"

namespace tidegate::sqlite::detail {

/// What SQLite does to values that it stores in a column (its "type affinity").
enum class Affinity { none, text, integer, real, numeric };

/// By SQLite's own rules, from a column's declared type.
Affinity affinityOf(std::string_view declaredType);
/// The type that a column of this kind is declared with; empty: none.
std::string_view declaredType(ValueKind kind) noexcept;
/// Whether every value of the kind comes out of such a column as it went in.
bool fits(ValueKind kind, Affinity affinity) noexcept;

/// Room for a value that is written as a text of its own.
using TextSlot = std::array<char, 48>;

/// Binds one value to a one-based parameter. Nothing is copied: `value` and `slot` must stay as they are until the
/// statement is reset. @return SQLite's result code.
int bindCell(sqlite3_stmt* statement, int index, const Value& value, TextSlot& slot);

/// What a cell is read as.
struct CellKind {
  ValueKind kind = ValueKind::null;
  bool wallTime = false;  ///< of a timestamp that the text does not tell: of the infinite ones
};
CellKind cellKindOf(const ColumnSchema& column);

/// Reads a cell of the current row into `out`; a value that is not of its column's kind comes in the kind that its
/// storage class says. Reuses `out`'s string capacity.
void readCell(sqlite3_stmt* statement, int column, CellKind as, Value& out);

}  // namespace tidegate::sqlite::detail
