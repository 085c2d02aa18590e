/// A target table as information_schema knows it, and how a shape's columns go into it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "mysql/detail/sink_connection.h"
#include "tidegate/source/change_event.h"

namespace tidegate::mysql::detail {

/// "database.table" or "table", in parts and quoted.
struct TargetName {
  TargetName(std::string_view name, const std::string& database);
  std::string text;  ///< as given, for messages
  std::string database, table;
  std::string quotedName;
};

struct CatalogColumn {
  std::string dataType;  ///< "varchar"
  std::string type;      ///< "varchar(20)", "bigint(20) unsigned"
  std::string charset{}, collation{};
  bool notNull = false;
  bool hasDefault = false;  ///< or counts by itself
  bool generated = false;
  /// The column's definition, to be used for another column.
  std::string definition() const;
};

struct CatalogTable {
  bool exists = false;
  bool isInnoDb = true;
  std::map<std::string, CatalogColumn> columns{};
  std::map<std::string, std::vector<std::string>> uniqueKeys{};  ///< by name: columns, sorted
};
CatalogTable readCatalog(SinkConnection& connection, const TargetName& name);

/// How a value is bound.
enum class Put : std::uint8_t {
  boolean,
  integer,
  unsignedInteger,
  real,
  decimal,
  text,
  textForm,
  tagged,
  bytes,
  date,
  time,
  dateTime
};

struct ColumnPlan {
  std::string name, quotedName;
  ValueKind kind = ValueKind::null;
  Put put = Put::text;
  int zone = -1;              ///< of a timestamp: 1 with, 0 without, -1 unknown
  std::string keyMark = "?";  ///< the parameter where it is compared with the column
};

/// What the source says of a timestamp: 1 with a zone, 0 without, -1 nothing.
int zoneOf(std::string_view sourceType);
/// The definition of the column that the sink makes, without NULL or NOT NULL.
std::string definitionFor(const SinkConnection& connection, const Shape& shape, const ColumnSchema& column);
/// @return false if not every value of the column may go there.
bool planFor(const ColumnSchema& column, const CatalogColumn& there, ColumnPlan& plan);

std::string createTableSql(const SinkConnection& connection, const TargetName& name, const Shape& shape,
                           const std::string& softDeleteColumn);

/// Names that columns of older shapes have in the target now, and columns that were retyped since: a crash in the
/// middle of a schema change brings the older shape again.
using Moved = std::map<std::string, std::string>;

/// @throws Error{invalidConfig, Retry::afterOperator} naming the column that does not fit, with the remedy.
std::vector<ColumnPlan> matchColumns(const SinkConnection& connection, const TargetName& name, const Shape& shape,
                                     const CatalogTable& table, const std::string& softDeleteColumn,
                                     const Moved& moved);

}  // namespace tidegate::mysql::detail
