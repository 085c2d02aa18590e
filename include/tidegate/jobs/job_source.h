/// Where a replication job reads, and what a driver does for it. The host hands drivers in, so that `jobs` links none.
///
///     .drivers = {{Dialect::postgres, postgres::jobDriver()}, {Dialect::mysql, mysql::jobDriver()}}
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/query.h"
#include "tidegate/core/schema.h"
#include "tidegate/source/sync_source.h"

namespace tidegate {

/// What is demanded of a connection's encryption. Nothing falls back to plain text by itself.
enum class JobTls {
  off,               ///< plain text
  verifyFull,        ///< the certificate's chain and its host name are checked
  verifyCa,          ///< the chain is checked, the name is not (Postgres)
  requireUnverified  ///< encrypted, but with whoever answers
};
std::string_view toString(JobTls tls) noexcept;

/// A database to read from. A field left empty is taken from `dsn`, then from the driver's defaults.
struct JobSource {
  Dialect dialect = Dialect::postgres;
  std::string dsn{};   ///< "postgresql://…", "mysql://…"; kept encrypted, shown with its secrets as `***`
  std::string host{};  ///< name or address; a path that begins with '/' is a unix socket (Postgres: its folder)
  std::uint16_t port = 0;
  std::string user{};
  std::string password{};  ///< kept encrypted, shown as `***`
  std::string database{};  ///< SQLite: the file's path
  std::optional<JobTls> tls{};
  std::string caFile{}, certFile{}, keyFile{};  ///< PEM
  bool operator==(const JobSource&) const = default;
};

/// What a source's catalogue says of a table.
struct JobTable {
  TableSchema schema{};   ///< `table` is the full name; kinds are those of the driver's values
  std::string sqlName{};  ///< quoted, to be put after FROM
  std::vector<std::vector<std::string>> indexes{};  ///< their leading columns, the primary key's among them
  /// For change streams: the columns by which the database's log says which row is meant (Postgres: those of the
  /// replica identity). A stream of some columns has them and the primary key among its own.
  std::vector<std::string> identity{};
  bool identityIsWholeRow = false;  ///< all of them do: then there is no stream of some columns
};

/// A change stream asked for by a job in `JobMode::cdc`.
struct JobStream {
  std::string name{};   ///< of what is made in the database: lower-case letters, digits, underscores, at most 63
  std::string table{};  ///< as the job names it
  std::vector<std::string> columns{};  ///< with the key's among them; empty: all
};

/// One dialect's driver, as jobs need it. `sqlite::jobDriver()` and its like give it.
struct JobDriver {
  /// A connection of its own, for one run. Read only. Connects with the first query.
  std::function<QueryFn(const JobSource& source)> connect{};
  /// Reads the catalogue over such a connection. @throws Error{tableNotFound, permissionDenied, connectionFailed…}
  std::function<JobTable(const QueryFn& query, const std::string& table, std::stop_token stop)> describe{};
  /// Empty: the dialect has no change stream.
  std::function<std::shared_ptr<SyncSource>(const JobSource& source, const JobStream& stream)> stream{};
};

}  // namespace tidegate
