/// Which rows hold which value of a column, for queries.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/value.h"

namespace tidegate::detail {

/// @thread One writer, or readers: the owner's lock.
class ColumnIndex {
 public:
  /// Row numbers in an order of the index's; false ends it.
  using Visitor = std::function<bool(std::uint32_t row)>;

  virtual ~ColumnIndex() = default;
  /// @param packed the row's value, as `packValue` writes it.
  virtual void add(std::string_view packed, std::uint32_t row) = 0;
  virtual void remove(std::string_view packed, std::uint32_t row) = 0;
  virtual void clear() noexcept = 0;
  /// Rows that may hold the value: the caller looks at each.
  virtual void equals(const Value& value, const Visitor& visit) const = 0;
  virtual bool ordered() const noexcept { return false; }
  /// Rows in the column's order. Null bounds: none. @pre `ordered()`
  virtual void range(const Value* from, const Value* to, bool includeTo, bool descending, const Visitor& visit) const;
  virtual std::size_t bytes() const noexcept = 0;
};

std::unique_ptr<ColumnIndex> makeHashIndex();
std::unique_ptr<ColumnIndex> makeOrderedIndex();

}  // namespace tidegate::detail
