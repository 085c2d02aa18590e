/// What information_schema says of a table, and how its columns are read: from rows of the binlog and of queries.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mysql/detail/c_link.h"
#include "mysql/detail/cell_decoder.h"
#include "mysql/detail/table_map.h"
#include "tidegate/source/change_event.h"

namespace tidegate::mysql::detail {

/// "shop.users", or "users" in the connection's database.
struct TableName {
  std::string database{}, table{};
  /// What events call it: "shop.users".
  std::string full() const { return database + "." + table; }
  std::string quoted() const;
  auto operator<=>(const TableName&) const = default;
};
/// @throws Error{invalidArgument} for an empty name, or none of a database where the connection has none.
TableName tableNameOf(std::string_view text, const std::string& database);

struct CatalogueColumn {
  std::string name{};
  std::string dataType{};    ///< "int"
  std::string columnType{};  ///< "int(10) unsigned"
  std::string charset{};     ///< of text; empty: none
  bool nullable = true;
  bool filled = false;     ///< rows that were there before the column have a value in it: a default, or not null
  bool generated = false;  ///< its value is an expression
  std::string expression{};
  bool operator==(const CatalogueColumn&) const = default;

  bool isUnsigned() const { return columnType.find("unsigned") != std::string::npos; }
};

struct CatalogueTable {
  TableName name{};
  std::string type{};    ///< "BASE TABLE", "VIEW", …
  std::string engine{};  ///< "InnoDB"
  std::vector<CatalogueColumn> columns{};
  std::vector<std::string> key{};  ///< of the primary key, in its order
  std::uint64_t rows = 0;          ///< the server's guess

  /// MariaDB's WITH SYSTEM VERSIONING: the binlog has what was as rows of their own, and an erased row as changed.
  bool keepsHistory() const { return type == "SYSTEM VERSIONED"; }
};
/// Why such a table is not followed, and what helps.
std::string historyText(const TableName& name);

/// @return nullopt if there is no such table, or none that we may see. @throws Error
std::optional<CatalogueTable> readCatalogueTable(CLink& link, const TableName& name);

/// The same, of a table that is to be followed. @throws Error also where it keeps its history
std::optional<CatalogueTable> readFollowedTable(CLink& link, const TableName& name);

/// The kind that values of the column have (docs/types.md).
ValueKind kindOf(const CatalogueColumn& column);
/// The shape of the table's events, as it is now.
Shape shapeOf(const CatalogueTable& table);

/// Character sets by name and by the number of a collation, asked of the server once.
/// @thread One at a time.
class Charsets {
 public:
  using Ask = std::function<Cells(const std::string& sql)>;
  explicit Charsets(Ask ask) : ask_(std::move(ask)) {}
  /// @throws Error{typeUnsupported}, or what the question fails with.
  std::shared_ptr<const Charset> named(const std::string& name);
  /// "latin1" for 8. @throws Error{typeUnsupported}
  const std::string& nameOf(std::uint32_t collation);

 private:
  OctetTable tableOf(const std::string& name);
  LetterTable lettersOf(const std::string& name, const std::vector<std::string>& codes);

  Ask ask_;
  std::map<std::string, std::shared_ptr<const Charset>> byName_;
  std::map<std::uint32_t, std::string> names_;
};

/// Labels of "enum('a','it''s')" or "set(…)".
std::vector<std::string> labelsOf(std::string_view columnType);

}  // namespace tidegate::mysql::detail
