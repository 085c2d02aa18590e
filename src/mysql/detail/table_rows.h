/// A table as it is now, row by row.
#pragma once

#include <memory>
#include <stop_token>

#include "mysql/detail/source_core.h"
#include "tidegate/core/query.h"

namespace tidegate::mysql::detail {

/// On a connection of its own. @throws Error{tableNotFound, …}
std::unique_ptr<RowStream> readTableRows(const SourceCore& core, const TableName& name, std::stop_token stop);

}  // namespace tidegate::mysql::detail
