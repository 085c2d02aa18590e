/// Whether a pushed column fits the table's schema, where the gateway has one.
#pragma once

#include <string>

#include "tidegate/core/delta.h"
#include "tidegate/core/schema.h"

namespace tidegate::detail {

/// What is wrong, naming column and remedy; empty if nothing is. A kind that the wire form cannot tell apart from the
/// column's (text that reads as its date, a whole number for a double) fits.
std::string schemaProblem(const TableSchema& schema, const ColumnValue& column);

}  // namespace tidegate::detail
