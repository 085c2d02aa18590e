/// A target table as it stands in the server's catalogue, and how a shape's columns go into it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "postgres/detail/sink_connection.h"
#include "postgres/detail/wire.h"
#include "tidegate/core/query.h"
#include "tidegate/source/change_event.h"

namespace tidegate::postgres::detail {

inline std::string quoted(std::string_view identifier) { return quoteIdentifier(Dialect::postgres, identifier); }

/// "schema.table" or "table", in parts and quoted.
struct TargetName {
  explicit TargetName(std::string_view name);
  std::string text;    ///< as given, for messages
  std::string schema;  ///< empty: found by search_path
  std::string table;
  std::string quoted;
};

struct CatalogColumn {
  std::string type;  ///< as format_type prints it: "numeric(10,2)"
  bool notNull = false;
  bool hasDefault = false;   ///< or is an identity column
  bool generated = false;    ///< always computed: cannot be written
  bool mergesTexts = false;  ///< its collation, or citext, finds texts equal that are not the same
  bool isEnum = false;
};

/// What the catalogue says.
struct CatalogTable {
  bool exists = false;
  char kind = 'r';
  std::map<std::string, CatalogColumn> columns{};
  std::vector<std::vector<std::string>> uniqueKeys{};  ///< column names, sorted; of indexes that ON CONFLICT can use
};
CatalogTable readCatalog(SinkConnection& connection, const TargetName& name);

/// How one column of a shape is written to and read from the target.
struct ColumnPlan {
  std::string name, quoted;
  ValueKind kind = ValueKind::null;
  Wire wire = Wire::text;
  std::string cast{};  ///< "::type" from the wire's type to the column's; empty where the server does it by itself
  bool exact = true;   ///< the column's type is the wire's, so that rows may be copied straight into it
};

/// How a column is written where the sink makes it.
Wire wireFor(const ColumnSchema& column);
/// The type that the sink gives it there.
std::string_view typeNameFor(const Shape& shape, const ColumnSchema& column);

/// How a column goes into one that is there.
/// @return false, with a type that would do in `remedy`, if not every value of it may.
bool planFor(const ColumnSchema& column, const CatalogColumn& there, ColumnPlan& plan, std::string& remedy);

/// `CREATE TABLE` from a shape.
std::string createTableSql(const TargetName& name, const Shape& shape, const std::string& softDeleteColumn);

/// Plans all columns of the shape, in its order.
/// @throws Error{invalidConfig, Retry::afterOperator} naming the column that does not fit, with the remedy.
std::vector<ColumnPlan> matchColumns(const TargetName& name, const Shape& shape, const CatalogTable& table,
                                     const std::string& softDeleteColumn);

}  // namespace tidegate::postgres::detail
