/// Writes the rows of one target table: prepared statements for each shape that its events come in.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sqlite/detail/sink_columns.h"
#include "sqlite/detail/sink_file.h"
#include "tidegate/source/change_event.h"

namespace tidegate::sqlite::detail {

/// Whether a baseline of the table is under way, and how its rows are known.
enum class BaselineKind {
  none,
  fresh,   ///< the target was empty at its begin, so every row was named since
  tracked  ///< the keys named since are in a table of their own
};

/// @thread As its file.
class SinkTable {
 public:
  /// @param softDelete empty: erased rows go.
  SinkTable(SinkFile& file, Shape shape, std::string_view softDelete);

  /// Tells what a baseline of the table is; `seenTable` is where a tracked one notes keys.
  void setBaseline(BaselineKind kind, const std::string& seenTable);

  /// @throws Error{rowIdInvalid} for a key that is null; Error{invalidArgument} for a row of another length.
  void write(const ChangeEvent& event);
  void update(const ChangeEvent& event);
  /// @param deletedAt when, for a soft delete.
  void erase(const ChangeEvent& event, Timestamp deletedAt);

 private:
  using Unchanged = std::vector<std::uint32_t>;

  std::string keyTest() const;
  std::string insertSql() const;
  std::string upsertSql() const;
  std::string updateSql(const Unchanged& unchanged) const;
  std::string eraseSql() const;
  sqlite3_stmt* prepared(StatementPtr& statement, std::string (SinkTable::*sql)() const);
  sqlite3_stmt* updateFor(const Unchanged& unchanged);

  void check(const std::vector<Value>& row, std::string_view of) const;
  void bind(sqlite3_stmt* statement, int index, const Value& value);
  void bindRow(sqlite3_stmt* statement, const std::vector<Value>& row);
  int bindKey(sqlite3_stmt* statement, int first, const std::vector<Value>& row);
  void note(const std::vector<Value>& row);
  bool insertFresh(const std::vector<Value>& row);

  SinkFile& file_;
  const Shape shape_;
  const std::string table_, softDelete_;  ///< quoted; `softDelete_` may be empty
  BaselineKind baseline_ = BaselineKind::none;
  std::string seenTable_;
  StatementPtr insert_, upsert_, erase_, seen_;
  std::vector<std::pair<Unchanged, StatementPtr>> updates_;
  std::vector<TextSlot> slots_;  ///< one for each parameter
};

}  // namespace tidegate::sqlite::detail
