/// A gateway's tables as shapes, given or learned, and its deltas as rows of them.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/delta.h"
#include "tidegate/source/change_event.h"

namespace tidegate::detail {

/// @thread One at a time.
class GatewayShapes {
 public:
  /// @throws Error{invalidConfig}
  GatewayShapes(const std::vector<TableSchema>& schemas, std::string rowIdColumn);

  /// The table's shape as far as it is known; null if nothing is.
  Shape find(const std::string& table) const;
  /// The shape; a table of which nothing is known has its key column only.
  const Shape& shapeOf(const std::string& table);
  /// Takes in columns and kinds that the shape lacks. @return what changed, or null.
  std::shared_ptr<const SchemaChange> learn(const RowDelta& delta);
  /// Writes the delta's values in the shape's order. Columns that the delta lacks are listed in `absent`;
  /// what the shape lacks is left out.
  /// @throws Error{rowIdInvalid} if the row id is no key of this table.
  void values(const RowDelta& delta, std::vector<Value>& out, std::vector<std::uint32_t>& absent);

  /// Whether row ids of a key of these kinds can be read back.
  static bool readable(ValueKind kind) noexcept;

 private:
  struct Table {
    Shape shape;
    bool given = false;
    std::set<std::string, std::less<>> untyped{};  ///< columns in which only nulls were seen
  };
  Table& tableOf(const std::string& table);
  void readKey(const TableShape& shape, std::string_view rowId, std::vector<Value>& out) const;

  std::string rowIdColumn_;
  std::map<std::string, Table, std::less<>> tables_;
};

}  // namespace tidegate::detail
