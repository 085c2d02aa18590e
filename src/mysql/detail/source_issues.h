/// Why tables cannot be streamed, each with the SQL that mends it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "mysql/detail/c_link.h"
#include "mysql/detail/source_core.h"
#include "tidegate/source/sync_source.h"

namespace tidegate::mysql::detail {

/// Of the server and the account.
std::vector<TableIssue> issuesOfServer(CLink& link, const SourceOptions& options);
/// Of names that are one table to the server. @param asked as the user wrote them, and what they name.
std::vector<TableIssue> issuesOfNames(CLink& link, const std::vector<std::pair<std::string, TableName>>& asked);
/// Of one table. @param asked as the user wrote it.
std::vector<TableIssue> issuesOfTable(CLink& link, const std::string& asked, const TableName& name);

}  // namespace tidegate::mysql::detail
