/// What became of a table's columns between two of its shapes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tidegate/source/change_event.h"

namespace tidegate::postgres::detail {

/// A column as the stream or the catalogue described it.
struct ColumnVersion {
  std::string name{};
  int number = 0;  ///< pg_attribute.attnum; 0: not known
  unsigned typeOid = 0;
  std::int32_t typeModifier = -1;
  /// Rows that were there before the column have values in it: it was added with a default. True where nobody knows.
  bool filled = true;
  bool operator==(const ColumnVersion&) const = default;
};

/// A table's columns at some time.
struct TableVersion {
  std::vector<ColumnVersion> columns{};
  int highestNumber = 0;  ///< of all its columns ever, dropped ones included; 0: not known
  std::int64_t file = 0;  ///< its relfilenode, another one after a rewrite; 0: not known
  /// Some column's description may be younger than the oldest place that the slot can be read from.
  bool recent = false;
};

/// Columns renamed: the same number, another name; where numbers are not known, none.
/// `rowsChanged`: unless it is certain that every row reads as before, or null, in the new columns.
SchemaChange schemaChangeBetween(const Shape& beforeShape, const TableVersion& before, const TableVersion& after);

}  // namespace tidegate::postgres::detail
