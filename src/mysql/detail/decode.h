/// From Connector/C++'s result sets to Values (docs/types.md).
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "tidegate/core/row.h"
#include "tidegate/core/value.h"

namespace sql {
class ResultSet;
class ResultSetMetaData;
}  // namespace sql

namespace tidegate::mysql::detail {

/// How a column's cells are read.
enum class Reading : std::uint8_t {
  signedInteger,
  unsignedInteger,
  decimal,
  real,
  binaryReal,
  date,
  dateTime,
  timestamp,
  time,
  text,
  bytes,
  json
};

/// A result's columns.
struct ResultShape {
  Columns columns;
  std::vector<Reading> readings;
  std::vector<bool> isFloat;  ///< the text protocol prints FLOAT with six digits only
  bool hasGeometry = false;   ///< or another type that Connector/C++ cannot read from a prepared statement

  bool hasFloat() const { return std::find(isFloat.begin(), isFloat.end(), true) != isFloat.end(); }
};

/// @param binary whether the rows come from a prepared statement.
/// @throws Error{queryFailed} if two columns share a name.
ResultShape shapeOf(sql::ResultSetMetaData& metadata, bool binary);

/// The current row's cells.
void readRow(const sql::ResultSet& rows, const ResultShape& shape, std::vector<Value>& values);

}  // namespace tidegate::mysql::detail
