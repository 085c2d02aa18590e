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

/// Reads the columns listed in `event.unchanged` by the row's key, and takes them off that list. A row that is gone by
/// now leaves them: its erase follows in the binlog.
void readRowAgain(CLink& link, const TableBinding& table, ChangeEvent& event);

}  // namespace tidegate::mysql::detail
