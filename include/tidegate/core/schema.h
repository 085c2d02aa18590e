/// What is known of a table's columns.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/value.h"

namespace tidegate {

/// One column of a table.
struct ColumnSchema {
  std::string name{};
  ValueKind kind = ValueKind::text;  ///< what its non-null values are; `null` means any kind
  bool nullable = true;
  std::string sourceType{};  ///< the source's own name for the type, e.g. "numeric(10,2)"; for messages
  bool operator==(const ColumnSchema&) const = default;
};

/// A table's columns and key.
struct TableSchema {
  std::string table{};
  std::vector<ColumnSchema> columns{};
  std::vector<std::string> primaryKey{};  ///< column names in key order; empty where there is none

  const ColumnSchema* find(std::string_view column) const noexcept;
  bool operator==(const TableSchema&) const = default;
};

}  // namespace tidegate
