/// A shape's columns as the server describes them, and how its messages become rows.
#pragma once

#include <string_view>
#include <vector>

#include "electric/detail/source_item.h"
#include "electric/detail/source_message.h"
#include "electric/detail/source_types.h"
#include "tidegate/electric/source.h"

namespace tidegate::electric::reading {

/// @thread Immutable once made: any.
class RowReader {
 public:
  /// Columns stand as the shape's `columns` lists them; else the key's first, then the others by name: the server's own
  /// order is that of a JSON object, which means nothing.
  /// @param schema  the field `electric-schema`
  /// @throws Error{parseError} naming the column.
  RowReader(const SourceShape& shape, std::string_view schema);

  const Shape& shape() const noexcept { return shape_; }
  /// Fills op, rows and the lists of columns that were not sent.
  /// @throws Error{parseError} for a column that the schema lacks, one that a whole row lacks, a null where there may
  /// be
  ///         none, a row without its key.
  void read(const WireMessage& message, ReadItem& out) const;

 private:
  std::size_t columnOf(const WireCell& cell, std::size_t hint) const;
  void fill(const std::vector<WireCell>& cells, std::vector<Value>& row, std::vector<bool>& seen) const;
  void needKey(const WireMessage& message, const std::vector<bool>& seen) const;
  void readInsert(const WireMessage& message, ReadItem& out) const;
  void readUpdate(const WireMessage& message, ReadItem& out) const;
  void readErase(const WireMessage& message, ReadItem& out) const;

  Shape shape_;
  std::vector<ColumnType> types_;
};

/// The name of a shape as a table of the source.
inline const std::string& nameOf(const SourceShape& shape) { return shape.name.empty() ? shape.table : shape.name; }

}  // namespace tidegate::electric::reading
