#include "postgres/detail/server_issues.h"

#include <fmt/format.h>

#include "postgres/detail/server_versions.h"
#include "postgres/detail/sql.h"

namespace tidegate::postgres::detail {
namespace {

/// As the server prints it; empty where it has no such setting.
std::string settingOf(PGconn* connection, const std::string& name) {
  const OwnedResult rows = runSql(connection, "SELECT pg_catalog.current_setting($1, true)", {name});
  return std::string(cell(rows.get(), 0, 0));
}

}  // namespace

std::vector<TableIssue> issuesOfSettings(PGconn* connection, const SourceOptions& options) {
  std::vector<TableIssue> issues;
  const auto warn = [&](std::string message) {
    issues.push_back({"", ErrorCode::slotInvalid, std::move(message), false});
  };
  if (options.mode == SlotMode::ephemeral) return issues;
  const std::string idle = settingOf(connection, "idle_replication_slot_timeout");
  if (!idle.empty() && idle != "0") {
    warn(
        fmt::format("the server gives up a slot that nobody used for {} (idle_replication_slot_timeout); where this "
                    "source may be away for longer: ALTER SYSTEM SET idle_replication_slot_timeout = 0",
                    idle));
  }
  if (!options.failover) return issues;
  if (PQserverVersion(connection) < kFailoverSince) {
    warn(
        "SourceOptions::failover needs PostgreSQL 17: this server takes no slots along, and after a failover the "
        "tables "
        "are read anew");
  } else if (settingOf(connection, "synchronized_standby_slots").empty()) {
    warn(
        "changes may come here before any standby has them, and after a failover that loses them the tables are read "
        "anew; mend it with: ALTER SYSTEM SET synchronized_standby_slots = '<the physical slot of each standby>'");
  }
  return issues;
}

}  // namespace tidegate::postgres::detail
