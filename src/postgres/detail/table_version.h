/// What pg_attribute tells of a table's past: numbers, and which columns were filled when they were added.
#pragma once

#include <libpq-fe.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "postgres/detail/catalogue.h"
#include "postgres/detail/schema_diff.h"

namespace tidegate::postgres::detail {

/// Columns with number and `filled`; empty if there is no such table.
/// @param slot for `recent`. @throws Error
TableVersion readTableVersion(PGconn* connection, unsigned oid, const std::string& slot);

/// Facts and version of a table at one moment; the version is empty where there is no such table. @throws Error
struct TableSeen {
  std::optional<TableFacts> facts;
  TableVersion version;
};
TableSeen seeTable(PGconn* connection, const std::string& table, const std::string& publication,
                   const std::string& slot);

/// Something short for each table that differs once its columns do; tables that are gone are left out. @throws Error
std::map<unsigned, std::string> readFingerprints(PGconn* connection, const std::vector<unsigned>& oids);

/// Looks up the row that `event.after` names by its key, and fills what `event.unchanged` names. A row that is gone
/// leaves the event as it is. @throws Error
void fillUnchanged(PGconn* connection, bool trustedEncoding, ChangeEvent& event);

}  // namespace tidegate::postgres::detail
