/// Rows copied straight into a target, in pieces that can be taken back.
#pragma once

#include <string>
#include <vector>

#include "postgres/detail/target.h"

namespace tidegate::postgres::detail {

/// Each piece is a COPY within a savepoint and stays in memory until the server has taken it. If it holds a key that is
/// there already, the piece goes another way: by a temporary table and an upsert, the last row of a key winning.
class DirectCopy {
 public:
  DirectCopy(const TargetName& name, const Shape& shape, const std::vector<ColumnPlan>& plans, std::string onConflict);

  /// Whether every column's type is one that COPY can write as it is.
  bool possible() const { return possible_; }
  bool open() const { return !rows_.empty(); }
  /// Begins a row: its fields follow in the string returned, then `rowDone`.
  std::string& beginRow();
  void rowDone(SinkConnection& connection);
  /// Ends the piece under way, if there is one. @return whether all keys were new.
  bool finish(SinkConnection& connection);
  void discard() { rows_.clear(), sent_ = 0, sending_ = false; }

 private:
  void send(SinkConnection& connection);
  void upsertRows(SinkConnection& connection);

  std::string copySql_, stageSql_, stageCopySql_, upsertSql_;
  bool possible_ = true;
  std::uint16_t columnCount_;
  std::string rows_;  ///< the piece, with COPY's header
  std::size_t sent_ = 0;
  bool sending_ = false;
  bool allNew_ = true;
};

}  // namespace tidegate::postgres::detail
