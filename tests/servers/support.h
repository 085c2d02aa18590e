/// What the tests against real servers share. The servers come from tests/servers/with_servers.sh.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/error.h"
#include "tidegate/core/query.h"

namespace tidegate::servers {

/// A variable that with_servers.sh sets. @throws std::runtime_error that names the script.
std::string environment(const char* name);

using Rows = std::vector<std::vector<Value>>;

/// All rows of a query.
Rows readAll(const QueryFn& query, const Query& what);
inline Rows readAll(const QueryFn& query, const std::string& sql) { return readAll(query, Query{sql}); }
/// Runs statements that return nothing, one after the other.
void execute(const QueryFn& query, const std::vector<std::string>& statements);

/// The Error that `action` throws. @throws std::runtime_error if it throws none.
Error errorOf(const std::function<void()>& action);

/// Calls `condition` until it holds; false after a deadline that only a broken system reaches.
bool eventually(const std::function<bool()>& condition, std::chrono::seconds deadline = std::chrono::seconds{30});

/// Whether the server called "mysql" is MariaDB, and not MySQL (TIDEGATE_MYSQL_SERVER).
bool isMariaDb();
/// A table expression with the numbers from 1 to `last` in a column `seq`, on the server called "mysql".
std::string numbersTo(std::size_t last);

/// Runs server_control.sh for "postgres", "mysql" or "replica": start, stop, kill9, freeze, thaw. "replica" is made by
/// `follow`, a standby of "postgres", and can `promote` and `remove`.
/// @throws std::runtime_error if it fails.
void control(std::string_view server, std::string_view action);

}  // namespace tidegate::servers
