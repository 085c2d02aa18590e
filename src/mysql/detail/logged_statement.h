/// Statements in the binlog: borders of transactions, and what changes tables without row events.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::mysql::detail {

enum class StatementKind : std::uint8_t {
  begin,
  commit,
  rollback,
  xaStart,
  xaEnd,
  xaCommit,
  xaRollback,
  inTransaction,  ///< SAVEPOINT, RELEASE: nothing to do
  truncate,
  dropTable,
  renameTable,
  alterTable,
  createTable,
  changesRows,  ///< INSERT, UPDATE, … that was logged as a statement: which rows, nobody can tell
  other         ///< what changes no row and no table of ours: CREATE USER, GRANT, …
};

struct LoggedTable {
  std::string database{}, table{};
  bool operator==(const LoggedTable&) const = default;
};

struct LoggedStatement {
  StatementKind kind = StatementKind::other;
  /// Of a rename: {from, to, from, to, …}. Of an ALTER … RENAME TO: {from, to}. Else those that are named.
  std::vector<LoggedTable> tables{};
  /// Of an ALTER: another table whose rows it changes, and what becomes of it.
  std::optional<LoggedTable> other{};
  enum class Other : std::uint8_t { rowsChanged, gone, made } becomes = Other::rowsChanged;
  /// Rows came, went or changed that no event tells of: partitions, another tablespace, duplicates passed over.
  bool movesRows = false;
  bool movesColumns = false;   ///< an ALTER that may add, drop, reorder, rename or retype columns
  bool replaces = false;       ///< CREATE OR REPLACE: what was there is gone
  bool dropsDatabase = false;  ///< then `tables` holds the database alone
  std::string xid{};           ///< of XA: "X'61',X'',1"
};

/// @param database the session's, for names without one.
LoggedStatement readStatement(std::string_view text, std::string_view database);

}  // namespace tidegate::mysql::detail
