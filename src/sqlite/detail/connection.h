/// One open database with its prepared statements, and how its running statement is interrupted.
#pragma once

#include <SQLiteCpp/Database.h>
#include <sqlite3.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "tidegate/core/error.h"
#include "tidegate/sqlite/query_fn.h"

namespace tidegate::sqlite::detail {

struct Finalizer {
  void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
};
using StatementPtr = std::unique_ptr<sqlite3_stmt, Finalizer>;

/// When a statement must end before its time.
struct Interrupt {
  std::stop_token stop;
  std::optional<std::chrono::steady_clock::time_point> deadline;

  bool stopped() const noexcept { return stop.stop_requested(); }
  bool expired() const noexcept { return deadline && std::chrono::steady_clock::now() >= *deadline; }
};

/// An open database. A result set keeps the one it reads from, even if the next query opens another.
/// @thread One at a time.
class Connection {
 public:
  /// @throws Error{connectionFailed, permissionDenied}
  explicit Connection(const QueryOptions& options);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// A reset statement for the SQL: a kept one, or a new one.
  /// @throws Error for SQL that does not prepare, is empty, or holds a second statement.
  StatementPtr take(const std::string& sql, const Interrupt& interrupt);
  /// Keeps a statement for the next query with the same SQL.
  void giveBack(const std::string& sql, StatementPtr statement) noexcept;

  /// sqlite3_step under `interrupt`.
  int step(sqlite3_stmt* statement, const Interrupt& interrupt);
  /// The last call's failure; marks the connection broken where the code says so.
  Error error(int code, const Interrupt& interrupt);

  /// Whether the next query should open another: a failure that says so, or another file in its place.
  bool stale() const;
  const QueryOptions& options() const noexcept { return options_; }

 private:
  struct FileId {
    std::uint64_t device = 0, inode = 0;
    bool operator==(const FileId&) const = default;
  };
  static int onProgress(void* self) noexcept;
  static int onBusy(void* self, int attempts) noexcept;
  static std::optional<FileId> fileAt(const std::string& path);
  StatementPtr prepare(const std::string& sql, const Interrupt& interrupt);

  const QueryOptions options_;
  std::unique_ptr<SQLite::Database> database_;
  std::optional<FileId> file_;
  std::vector<std::pair<std::string, StatementPtr>> kept_;  ///< least recently used first
  const Interrupt* running_ = nullptr;
  std::chrono::steady_clock::time_point busySince_{};
  bool broken_ = false;
};

}  // namespace tidegate::sqlite::detail
