/// Tables of which deltas are known, as shapes: given or learned; and deltas as rows of them. For sources that read
/// deltas: gateways and pollers.
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

/// What a value says of its column's type beyond its kind, as sinks know it: for a timestamp, whether it has a zone.
/// Without that a SQL sink has to keep timestamps as text.
std::string typeNameOf(const Value& value);
/// Whether the column holds such values, by its kind and by what `typeNameOf` said of it.
bool isOfType(const ColumnSchema& column, const Value& value);

/// @thread One at a time.
class DeltaShapes {
 public:
  /// @throws Error{invalidConfig}
  DeltaShapes(const std::vector<TableSchema>& schemas, std::string rowIdColumn);

  /// Columns in which only nulls were seen.
  const std::set<std::string, std::less<>>& untyped(const std::string& table) { return tableOf(table).untyped; }
  /// Gives a table these columns. @param untyped those whose kind is not known yet: the first value says it.
  void set(TableSchema schema, std::set<std::string, std::less<>> untyped);
  /// The key's kinds, where they are not known yet. @return what changed, or null.
  std::shared_ptr<const SchemaChange> learnKey(const std::string& table, const std::vector<ValueKind>& kinds);
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

  /// The same for a row that is not a delta: values by name, without the key.
  void values(const std::string& table, std::string_view rowId, const Row* row, std::vector<Value>& out,
              std::vector<std::uint32_t>& absent);

  /// Whether row ids of a key of these kinds can be read back.
  static bool readable(ValueKind kind) noexcept;

 private:
  struct Table {
    Shape shape;
    bool given = false;
    std::set<std::string, std::less<>> untyped{};  ///< columns in which only nulls were seen
  };
  Table& tableOf(const std::string& table);
  template <class Each>
  void fill(const std::string& table, std::string_view rowId, Each&& each, std::vector<Value>& out,
            std::vector<std::uint32_t>& absent);
  void readKey(const TableShape& shape, std::string_view rowId, std::vector<Value>& out) const;

  std::string rowIdColumn_;
  std::map<std::string, Table, std::less<>> tables_;
};

}  // namespace tidegate::detail
