/// SQLite as a source: a streaming QueryFn on one connection.
///
///     QueryFn shop = sqlite::queryFn({.path = "shop.db"});
///     ResultSet users = shop({.sql = "SELECT * FROM users WHERE id > ?", .params = {std::int64_t{100}}});
///     std::vector<Value> row;
///     while (users.next(row)) use(row);
///
/// SQLite types values, not columns; how they become `Value`s is in docs/types.md, section SQLite.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "tidegate/core/query.h"

namespace tidegate::sqlite {

/// Which file to ask, and for how long.
struct QueryOptions {
  std::string path;                              ///< an existing database file, or ":memory:"
  bool readOnly = true;                          ///< false: statements that write are allowed too
  bool create = false;                           ///< make the file where there is none (needs `readOnly = false`)
  std::chrono::milliseconds busyTimeout{5'000};  ///< how long to wait for another connection's lock
  /// From the start of a statement to its last row, the reader's own time between rows included; 0: no bound.
  /// `Query::timeout` takes its place where set.
  std::chrono::milliseconds statementTimeout{60'000};
  std::size_t cachedStatements = 16;  ///< prepared statements kept for the same SQL
};

/// Asks a SQLite database. The file is opened by the first query, and opened anew by the next query after a failure, or
/// when another file has taken its path. Rows are streamed: memory holds one of them, and SQLite's page cache.
///
/// A result set that is not read to its end holds a read lock until it is destroyed.
/// @throws Error{invalidConfig} for an empty path, a negative time, or `create` with `readOnly`.
/// Its queries throw Error{connectionFailed, permissionDenied, queryFailed, queryCancelled, tableNotFound,
/// columnNotFound, invalidArgument}.
/// @thread One call at a time, result sets included; copies share the connection.
QueryFn queryFn(QueryOptions options);

}  // namespace tidegate::sqlite
