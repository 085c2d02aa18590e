/// From PostgreSQL's texts, as shapes carry them, to values (docs/types.md, "Electric").
#pragma once

#include <string_view>

#include "tidegate/core/value.h"

namespace tidegate::electric::reading {

/// Writes the value that a text means. Text that is no such value stays text: nothing is guessed.
using CellReader = void (*)(std::string_view text, Value& out);

struct ColumnType {
  ValueKind kind = ValueKind::text;
  CellReader read = nullptr;
};

/// @param type        `type` of a column in `electric-schema`, e.g. "int8"
/// @param dimensions  its `dims`; arrays are text, in PostgreSQL's notation
ColumnType columnTypeOf(std::string_view type, std::uint64_t dimensions);

}  // namespace tidegate::electric::reading
