/// A row: values beside one shared, immutable column list; never a map per row.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/value.h"

namespace tidegate {

/// The names of a result set's or table's columns, in order, made once and shared by every row.
/// @thread Immutable: any.
class ColumnList {
 public:
  /// @throws Error{invalidArgument} if a name is empty or appears twice.
  explicit ColumnList(std::vector<std::string> names);

  std::size_t size() const noexcept { return names_.size(); }
  const std::string& operator[](std::size_t i) const { return names_[i]; }
  const std::vector<std::string>& names() const noexcept { return names_; }
  /// Position of a name (case-sensitive), or nullopt. Linear for short lists, hashed for long ones.
  std::optional<std::size_t> find(std::string_view name) const noexcept;

 private:
  std::vector<std::string> names_;
  std::vector<std::size_t> sorted_;  ///< indices by name; empty for short lists
};

using Columns = std::shared_ptr<const ColumnList>;

/// Makes a shared column list.
inline Columns makeColumns(std::vector<std::string> names) {
  return std::make_shared<const ColumnList>(std::move(names));
}

/// One row. `values.size() == columns->size()`; a column that the list lacks is absent (which is not null).
struct Row {
  Columns columns;
  std::vector<Value> values;

  /// The value of a column, or nullptr where the row has no such column.
  const Value* find(std::string_view column) const noexcept;
  /// Same columns in the same order with `==` values.
  bool operator==(const Row& other) const noexcept;
};

}  // namespace tidegate
