/// What a source must know of a table before it can follow it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sqlite/detail/source_file.h"
#include "sqlite/detail/values.h"
#include "tidegate/source/sync_source.h"

namespace tidegate::sqlite::detail {

struct SourceColumn {
  std::string name;
  std::string declared;
  bool notNull = false;
};

/// Columns of which no two rows may have the same values.
struct UniqueKey {
  std::vector<std::string> columns;
  std::vector<std::string> collations;  ///< empty: numbers only (a rowid)
};

struct SourceTable {
  enum class Kind { table, view, virtualTable };
  std::string name{};
  Kind kind = Kind::table;
  bool strict = false, withoutRowid = false;
  std::vector<SourceColumn> columns{};  ///< generated ones among them
  std::vector<std::string> key{};       ///< empty: none
  bool keyMayBeNull = false;
  /// Rows that the key's constraint takes for one have the same octets as key.
  bool keyIsExact = false;
  bool rowidKey = false;              ///< the key is INTEGER PRIMARY KEY
  std::vector<UniqueKey> uniques{};   ///< the key's among them
  std::vector<std::string> unseen{};  ///< unique indexes over expressions or a part of the rows
  /// Triggers of others on this table: their names and texts, summed up; 0: none.
  std::int64_t foreignTriggers = 0;
};

/// nullopt: there is no such table. In the transaction that is open, if one is.
std::optional<SourceTable> readSourceTable(SourceFile& file, const std::string& name);

/// As events have it.
Shape shapeOfTable(const SourceTable& table, bool kindsByDeclaration);
/// What each column's values may be lifted to.
std::vector<Lift> liftsOf(const TableShape& shape);
/// The reasons why the table cannot be followed, or not well.
std::vector<TableIssue> issuesOfTable(const SourceTable& table, const SourceOptions& options);
/// Names that no table of a user's has.
bool isReserved(const std::string& table);
/// Of a table that is not there.
TableIssue missingTable(SourceFile& file, const std::string& name);

}  // namespace tidegate::sqlite::detail
