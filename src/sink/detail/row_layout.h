/// A row as octets: its key's values packed first, in key order, then the others in column order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/source/change_event.h"

namespace tidegate::detail {

/// A row in memory that somebody lends.
struct PackedRow {
  std::string_view octets{};
  std::size_t keySize = 0;
  std::string_view key() const noexcept { return octets.substr(0, keySize); }
};

/// @thread Immutable: any.
class RowLayout {
 public:
  explicit RowLayout(Shape shape);

  const Shape& shape() const noexcept { return shape_; }
  std::size_t columns() const noexcept { return order_.size(); }
  /// Whether rows packed by the other are rows of this one.
  bool sameAs(const RowLayout& other) const noexcept;

  /// @param memory where the packed row will be; it only grows.
  PackedRow pack(const std::vector<Value>& row, std::string& memory) const;
  /// The packed key of a row, in the same way.
  std::string_view packKey(const std::vector<Value>& row, std::string& memory) const;
  /// Fills `row`, reusing its strings' capacity.
  void unpack(std::string_view packed, std::vector<Value>& row) const;
  void unpackKey(std::string_view packed, std::vector<Value>& key) const;
  /// The packed value of one column.
  std::string_view packedCell(std::string_view packed, std::size_t column) const;

  /// For each column of this layout its place in `other` by name, or -1.
  std::vector<int> mapFrom(const ColumnList& other) const;

 private:
  Shape shape_;
  std::vector<std::uint32_t> order_;  ///< columns as they are packed
  std::vector<std::uint32_t> place_;  ///< where a column is packed
};

}  // namespace tidegate::detail
