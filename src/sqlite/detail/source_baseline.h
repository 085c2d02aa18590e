/// Reading tables as they are at one place of the change table.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "sqlite/detail/source_core.h"
#include "tidegate/core/query.h"

namespace tidegate::sqlite::detail {

/// Makes the tables followed, and reads them in one read transaction. @return the place of that transaction.
/// @throws Error{queryCancelled} when stopped.
Position readBaseline(SourceCore& core, const std::vector<std::string>& tables, const ChangeHandler& handler,
                      const std::stop_token& stop);

/// The table's rows now, over a connection of its own.
std::unique_ptr<RowStream> readTableNow(const SourceOptions& options, const std::string& table, std::stop_token stop);

}  // namespace tidegate::sqlite::detail
