// Statements that change tables: what becomes of their rows and shapes.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "mysql/detail/binlog_reader.h"

namespace tidegate::mysql::detail {
namespace {

using Part = BinlogDelivery::Part;

}  // namespace

void BinlogReader::definition(const LoggedStatement& statement) {
  const auto nameOf = [&](const LoggedTable& table) { return tables_.known({table.database, table.table}); };
  switch (statement.kind) {
    case StatementKind::truncate:
      for (const LoggedTable& table : statement.tables) emptied(nameOf(table));
      return;
    case StatementKind::dropTable:
      for (const TableName& wanted : tables_.wanted()) {
        const bool dropped =
            std::any_of(statement.tables.begin(), statement.tables.end(), [&](const LoggedTable& table) {
              return statement.dropsDatabase ? tables_.isIn(wanted, table.database) : nameOf(table) == wanted;
            });
        if (!dropped) continue;
        gone(wanted);
      }
      return;
    case StatementKind::createTable:
      for (const LoggedTable& table : statement.tables) {
        if (statement.replaces) emptied(nameOf(table));
        announce(nameOf(table), {.known = false});
      }
      return;
    case StatementKind::alterTable:
    case StatementKind::renameTable:
      if (statement.tables.size() > 1) return renamed(statement);
      for (const LoggedTable& table : statement.tables) {
        announce(nameOf(table), {.rowsChanged = statement.movesRows, .movesColumns = statement.movesColumns});
      }
      if (!statement.other) return;
      if (statement.becomes == LoggedStatement::Other::gone) return gone(nameOf(*statement.other));
      return announce(nameOf(*statement.other), {.rowsChanged = true});
    case StatementKind::changesRows:
      throw Error(
          ErrorCode::positionLost, Retry::afterOperator,
          "changes were logged as a statement, which does not say which rows; a new baseline is needed. Mend it "
          "with: SET GLOBAL binlog_format = ROW, and let no session set another");
    default:
      return;
  }
}

/// One after the other, as the server does it: a name may be that of several tables in turn.
void BinlogReader::renamed(const LoggedStatement& statement) {
  std::map<TableName, bool> there;  // afterwards
  for (std::size_t i = 0; i + 1 < statement.tables.size(); i += 2) {
    there[tables_.known({statement.tables[i].database, statement.tables[i].table})] = false;
    there[tables_.known({statement.tables[i + 1].database, statement.tables[i + 1].table})] = true;
  }
  for (const auto& [name, is] : there) is ? announce(name, {.rowsChanged = true}) : emptied(name);
}

void BinlogReader::announce(const TableName& name, const Alteration& alteration) {
  if (tables_.wantedAs(name) == nullptr) return;
  delivery_.nextEvent();
  Shape shape;
  const auto change = tables_.altered(name, alteration, shape);
  if (!change || !delivery_.wants(Part::schema)) return;
  ChangeEvent& event = delivery_.add(ChangeOp::schemaChange, shape, Part::schema, 0);
  event.after.clear();
  event.schemaChange = change;
  delivery_.added();
}

void BinlogReader::gone(const TableName& name) {
  if (tables_.wantedAs(name) == nullptr) return;
  emptied(name);
  core_.warn(fmt::format("table {} was dropped", name.full()));
}

void BinlogReader::emptied(const TableName& name) {
  if (tables_.wantedAs(name) == nullptr) return;
  delivery_.nextEvent();
  const Shape shape = tables_.toldShape(name);
  if (!shape || !delivery_.wants(Part::row)) return;
  delivery_.add(ChangeOp::truncate, shape, Part::row, 0).after.clear();
  delivery_.added();
}

}  // namespace tidegate::mysql::detail
