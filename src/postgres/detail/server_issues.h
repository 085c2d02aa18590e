/// What a server's settings may do to a source, with the statement that mends it.
#pragma once

#include <libpq-fe.h>

#include <vector>

#include "tidegate/postgres/source.h"

namespace tidegate::postgres::detail {

/// Settings under which a slot is given up unseen, or a failover loses what was delivered. None of them is fatal.
std::vector<TableIssue> issuesOfSettings(PGconn* connection, const SourceOptions& options);

}  // namespace tidegate::postgres::detail
