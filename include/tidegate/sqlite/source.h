/// A SQLite database that other programs write to, as a SyncSource: without polling queries, by triggers that keep a
/// change table in the database itself (docs/sqlite-source.md).
///
///     auto source = sqlite::source({.path = "/var/lib/shop/shop.db"});
///     Engine engine({.sources = {{.name = "shop", .source = source}}, .pipelines = {…}});
///
/// Whoever writes needs nothing of ours: any process, any language, any SQLite from 3.32 on. Order is total: by the
/// number that each change gets in the change table. Positions read "5f1c02aa:1042@9b3d0c11".
///
/// Origin: the change tables of SymmetricDS and Debezium's peers; differs in that rows removed by REPLACE are seen
/// without `recursive_triggers`, and that a gap of any kind (dropped triggers, a rebuilt table, another file) is found
/// and has a defined outcome.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "tidegate/source/backoff.h"
#include "tidegate/source/sync_source.h"

namespace tidegate::sqlite {

struct SourceOptions {
  std::string path{};  ///< of an existing database file. Not ":memory:"
  /// 1 to 32 lower-case letters, digits and underscores; part of the names of all that is made in the database. One
  /// replica, one name: two sources of one name would take each other's changes away.
  std::string name = "tidegate";
  /// How often the database is asked whether somebody committed (`PRAGMA data_version`: some microseconds). Changes are
  /// seen that much later; over 0.
  std::chrono::milliseconds wakeInterval{1};
  std::chrono::milliseconds busyTimeout{5'000};  ///< how long to wait for another connection's lock
  std::size_t batchEvents = 1'000;               ///< events in one call of the handler, at most
  /// What was acknowledged is removed from the change table this often, and at most `trimRows` rows in one transaction,
  /// so that no writer waits long.
  std::chrono::milliseconds trimInterval{1'000};
  std::size_t trimRows = 2'000;
  std::uint64_t keptRowsWarn = 1'000'000;  ///< warn when the change table holds more rows; 0: never
  /// Columns have the kind that their declared type says (INTEGER: int64), though SQLite lets them hold anything: a
  /// value of another kind still comes as it is, and a sink with typed columns may refuse it. False: columns of tables
  /// that are not STRICT hold any kind.
  bool kindsByDeclaration = true;
  /// Takes tables with a unique index over expressions or a part of the rows, although the row that an INSERT OR
  /// REPLACE removes through such an index is not told.
  bool allowUnseenReplaces = false;
  BackoffOptions backoff{};  ///< of opening the file again
};

/// A source for one file. Its triggers cost an insert about as much again, and a writer must allow for a lock that is
/// held for moments (`busy_timeout`). A baseline is one read transaction; with a rollback journal it first copies the
/// tables to temporary files, since writers wait for it.
/// @throws Error{invalidConfig} naming the option. Opens nothing.
std::shared_ptr<SyncSource> source(SourceOptions options);

/// The statement that a writer may run first in its transaction: changes before it and after it then never share a
/// unit of work. Without it, transactions that were committed within one `wakeInterval` may come as one.
/// @throws Error{invalidConfig} for a bad name.
std::string borderStatement(const std::string& name = "tidegate");

}  // namespace tidegate::sqlite
