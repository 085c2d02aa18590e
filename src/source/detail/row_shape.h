/// Which of a result's columns make the row id and which are data.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/row.h"

namespace tidegate::detail {

/// Appends the row id of one or more key values (see `rowIdOf`).
/// @param names of the values, for the message. @throws Error{rowIdInvalid} naming the column that is null or empty.
void appendRowId(const std::vector<const Value*>& key, const std::vector<std::string>& names, std::string& out);

/// A result's columns, resolved once for all its rows.
class RowShape {
 public:
  /// @throws Error{columnNotFound} naming a row id column that the result lacks, and those it has.
  RowShape(Columns columns, const std::vector<std::string>& rowIdColumns);

  const Columns& columns() const noexcept { return columns_; }
  /// The data columns' positions in the result.
  const std::vector<std::size_t>& data() const noexcept { return data_; }
  /// The row id columns' positions in the result, in key order.
  const std::vector<std::size_t>& ids() const noexcept { return ids_; }
  const std::vector<std::string>& dataNames() const noexcept { return dataNames_; }
  /// A hash of the data columns' names in order.
  std::uint64_t hash() const noexcept { return hash_; }
  /// Position of a column. @throws Error{columnNotFound}
  std::size_t require(std::string_view column, std::string_view role) const;
  /// Writes the row's id to `out`. @throws Error{rowIdInvalid}
  void rowId(const std::vector<Value>& row, std::string& out);

 private:
  Columns columns_;
  std::vector<std::string> idNames_;
  std::vector<std::size_t> ids_, data_;
  std::vector<std::string> dataNames_;
  std::vector<const Value*> key_;
  std::uint64_t hash_ = 0;
};

}  // namespace tidegate::detail
