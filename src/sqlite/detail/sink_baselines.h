/// Which baselines of a pipeline are under way, kept in the file so that a crash forgets none of it.
#pragma once

#include <string>

#include "sqlite/detail/sink_file.h"
#include "sqlite/detail/sink_table.h"
#include "tidegate/source/change_event.h"

namespace tidegate::sqlite::detail {

/// One table's baseline.
struct Baseline {
  BaselineKind kind = BaselineKind::none;
  std::string seenTable{};  ///< of a tracked one
};

class SinkBaselines {
 public:
  SinkBaselines(SinkFile& file, std::string pipeline, std::string softDelete);
  /// The table that this class needs, as SQL.
  static const char* schema();

  Baseline find(const std::string& table);
  /// Begins one, or begins it anew.
  Baseline begin(const TableShape& shape);
  /// Takes away what was not named. @param deletedAt as `SinkTable::erase`.
  void end(const TableShape& shape, Timestamp deletedAt);
  /// Every row of the table is gone, and so what was named.
  void truncated(const std::string& table);

 private:
  void forget(const std::string& table);
  void bindTable(sqlite3_stmt* statement, const std::string& table);
  bool holdsRows(const std::string& table);

  SinkFile& file_;
  const std::string pipeline_, softDelete_;
};

}  // namespace tidegate::sqlite::detail
