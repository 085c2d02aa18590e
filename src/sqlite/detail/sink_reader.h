/// Reading a sink's target back, and telling which of its rows are old.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "sqlite/detail/sink_file.h"
#include "tidegate/core/query.h"
#include "tidegate/source/change_event.h"

namespace tidegate::sqlite::detail {

/// The committed rows of the table, over a connection of its own. @throws Error{tableNotFound, connectionFailed}
std::unique_ptr<RowStream> readRows(const SinkOptions& options, const Shape& shape, std::stop_token stop);

/// A statement that takes rows before ?1 (the cutoff) out of a table.
struct ExpirySql {
  std::string text;
  bool bindsNow = false;  ///< ?2 is the time of a soft delete
};
ExpirySql expirySql(const TableShape& shape, std::string_view column, const Value& cutoff, std::string_view softDelete);

/// Makes `tidegate_before(cell, cutoff)` known, which `expirySql` uses: true where both are times of one form and the
/// first is earlier.
void addExpiryFunction(sqlite3* database);

}  // namespace tidegate::sqlite::detail
