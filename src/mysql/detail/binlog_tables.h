/// The tables of a stream: how the rows of each are read now, and what readers were told of its shape.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "mysql/detail/logged_statement.h"
#include "mysql/detail/name_fold.h"
#include "mysql/detail/table_catalogue.h"
#include "mysql/detail/table_map.h"

namespace tidegate::mysql::detail {

/// What readers were told of a table; outlives a stream.
struct ToldTable {
  Shape shape{};
  std::vector<CatalogueColumn> columns{};
  bool guessed = false;  ///< rows were read by these columns since, and the binlog did not name theirs
};
using ToldTables = std::map<TableName, ToldTable>;

/// What a statement may have done to a table.
struct Alteration {
  bool rowsChanged = false;   ///< rows came, went or changed without an event
  bool movesColumns = false;  ///< see LoggedStatement
  bool known = true;          ///< the table was there before
};

/// How the rows of one TABLE_MAP are read.
struct TableBinding {
  TableName name{};
  Shape shape{};
  std::vector<CellPlan> plans{};  ///< in the order of the shape
  std::vector<CatalogueColumn> columns{};
  std::shared_ptr<const SchemaChange> pending{};  ///< to be told before the next row
};

/// @thread The stream's.
class BinlogTables {
 public:
  using AskCatalogue = std::function<std::optional<CatalogueTable>(const TableName& name)>;
  BinlogTables(AskCatalogue catalogue, Charsets& charsets, ToldTables& told)
      : catalogue_(std::move(catalogue)), charsets_(charsets), told_(told) {}

  /// Events carry these names. @throws Error{invalidConfig} where two are one table to the server.
  void want(std::vector<TableName> tables);
  /// How the server compares names. @throws as `want`
  void fold(NameFold fold);
  /// Whether the server logs the names of columns by now.
  void logsNames(bool logs) noexcept { logsNames_ = logs; }
  /// As it was wanted; null: it is not.
  const TableName* wantedAs(const TableName& name);
  /// The same name for each spelling of a table: as it was wanted, or else folded.
  TableName known(const TableName& name);
  /// Whether the table lies in the database.
  bool isIn(const TableName& table, const std::string& database) { return fold_(table.database) == fold_(database); }
  const std::vector<TableName>& wanted() const noexcept { return wanted_; }
  /// A server's binlog begins: ids are those of one server's run.
  void restart(bool mariaDb) {
    forgetIds();
    mariaDb_ = mariaDb;
  }

  /// Takes a TABLE_MAP event. @throws Error{parseError, positionLost, typeUnsupported}
  void take(const BinlogEvent& event);
  /// How the table's rows are read; null: it is not wanted. @throws Error{parseError} for an id that was not said.
  TableBinding* find(std::uint64_t id);
  /// The pending change was told.
  void told(TableBinding& binding);

  /// After a statement that may have changed the table: looks at the catalogue.
  /// Where rows before it were read by columns that the catalogue had, and that may not have been theirs, an alteration
  /// that moves columns says that the rows changed: two of them, read late, would leave values in each other's places.
  /// What readers were told of the table by an earlier process is not known here: then the change has no `before`, and
  /// they compare with what they have.
  /// @return the change to tell of, with its shape in `shape`; null: none.
  std::shared_ptr<const SchemaChange> altered(const TableName& name, const Alteration& alteration, Shape& shape);
  /// The shape that readers know, or else the catalogue's; null: there is no such table.
  Shape toldShape(const TableName& name);
  /// Readers were told of another shape of the table than its rows have here: look again before the next ones.
  void forget(std::string_view fullName);

 private:
  void indexNames();
  struct Known {
    std::string description{};  ///< octets of the TABLE_MAP
    std::shared_ptr<TableBinding> binding{};
  };
  std::shared_ptr<TableBinding> bind(const TableMap& map, const TableName& name);
  void plan(const TableMap& map, const std::optional<CatalogueTable>& table, TableBinding& out);
  void planColumn(const WireColumn& wire, bool signs, const CatalogueColumn* column, CellPlan& plan);

  void forgetIds() {
    byId_.clear();
    last_ = nullptr;
  }

  AskCatalogue catalogue_;
  Charsets& charsets_;
  ToldTables& told_;
  std::vector<TableName> wanted_;
  NameFold fold_;
  bool logsNames_ = true;
  std::map<TableName, TableName> folded_;  ///< those wanted, by their folded names
  bool mariaDb_ = true;
  std::unordered_map<std::uint64_t, Known> byId_;
  Known* last_ = nullptr;  ///< the one looked for last, mostly the next too
  std::uint64_t lastId_ = 0;
};

/// What became of the columns between two descriptions of a table. `rowsChanged` unless it is certain that every row
/// reads as before, or null, in the new columns.
SchemaChange changeBetween(const ToldTable& before, const std::vector<CatalogueColumn>& after);

/// Whether a column that the catalogue describes so can stand so in the binlog.
bool suits(const WireColumn& wire, const CatalogueColumn& column);

}  // namespace tidegate::mysql::detail
