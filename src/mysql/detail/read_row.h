/// Reading by query what the binlog left out or does not have: single rows, whole tables.
#pragma once

#include <string>
#include <vector>

#include "mysql/detail/binlog_tables.h"
#include "mysql/detail/c_link.h"
#include "mysql/detail/text_cells.h"

namespace tidegate::mysql::detail {

/// The columns of a table's rows as `text_cells.h` wants them, for a SELECT.
std::string selectList(const std::vector<CatalogueColumn>& columns);

/// Reads some columns of a row anew, by the key in `row`, as they are when all transactions that hold the row have
/// ended: the binlog shows a commit before other readers see it. A column that the table no longer has becomes null or,
/// where it may not be, the least that its kind has: what took it away follows in the binlog.
/// @return false: the row is gone, or its table, or the names of its key; what did that follows in the binlog.
/// @throws Error{queryFailed, Retry::later} where another transaction holds the row for long
bool readRowAgain(CLink& link, const TableBinding& table, std::vector<Value>& row,
                  const std::vector<std::uint32_t>& columns);

}  // namespace tidegate::mysql::detail
