/// The connection of a sink: how its file is opened, written in units of work, and how its failures read.
#pragma once

#include <sqlite3.h>

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "sqlite/detail/connection.h"
#include "tidegate/core/error.h"
#include "tidegate/sqlite/sink.h"

namespace tidegate::sqlite::detail {

struct DatabaseCloser {
  void operator()(sqlite3* database) const noexcept { sqlite3_close_v2(database); }
};
using DatabasePtr = std::unique_ptr<sqlite3, DatabaseCloser>;

/// "a""b". @throws Error{invalidArgument} for a name that cannot be one.
std::string sqlName(std::string_view name);

/// @thread One at a time.
class SinkFile {
 public:
  /// @throws Error{connectionFailed, permissionDenied, storeCorrupt, storeUnavailable}
  SinkFile(const SinkOptions& options, std::stop_token stop);

  sqlite3* handle() const noexcept { return database_.get(); }
  const std::string& path() const noexcept { return path_; }
  bool stopped() const noexcept { return stop_.stop_requested(); }

  void exec(const std::string& sql);
  StatementPtr prepare(const std::string& sql);
  /// Runs a statement that gives no rows (or whose rows do not matter), and resets it. @return rows changed.
  std::uint64_t run(sqlite3_stmt* statement);
  /// Steps to the next row. @return false at the end; the statement is then reset.
  bool row(sqlite3_stmt* statement);
  /// The first column of the first row as text; nullopt without a row, or for NULL.
  std::optional<std::string> value(const std::string& sql);

  /// Takes the file's write lock.
  void begin();
  /// @throws Error with Retry::outcomeUnknown where only opening the file again can tell; else nothing was changed.
  void commit();
  void rollback() noexcept;
  bool inTransaction() const noexcept { return sqlite3_get_autocommit(handle()) == 0; }
  /// Whether a failure made this connection useless.
  bool broken() const noexcept { return broken_; }

  /// The last call's failure.
  Error error(int code);

 private:
  void configure(const SinkOptions& options);

  const std::string path_;
  const std::stop_token stop_;
  DatabasePtr database_;
  bool broken_ = false;
  /// Interrupts a long statement; goes before the database does.
  std::optional<std::stop_callback<std::function<void()>>> onStop_;
};

/// A read-only connection to the file, for `readTable`. @throws Error{connectionFailed, permissionDenied}
DatabasePtr openForReading(const SinkOptions& options);
/// What a failure means to whoever writes or reads a sink's file.
Error sinkError(int code, std::string_view message, const std::string& path);

}  // namespace tidegate::sqlite::detail
