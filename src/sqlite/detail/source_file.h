/// The connection of a source: the file of somebody else, opened to read it and to keep a change table in it.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "sqlite/detail/connection.h"
#include "sqlite/detail/sink_file.h"
#include "tidegate/core/error.h"
#include "tidegate/sqlite/source.h"

namespace tidegate::sqlite::detail {

/// @thread One at a time. A stop interrupts the statement that runs.
class SourceFile {
 public:
  /// @throws Error{connectionFailed, permissionDenied}
  SourceFile(const SourceOptions& options, std::stop_token stop);
  SourceFile(const SourceFile&) = delete;
  SourceFile& operator=(const SourceFile&) = delete;

  sqlite3* handle() const noexcept { return database_.get(); }
  const std::string& path() const noexcept { return path_; }
  bool readOnly() const noexcept { return sqlite3_db_readonly(handle(), "main") == 1; }
  bool wal();
  /// Whether another file stands at the path by now, or none.
  bool replaced() const;

  void exec(const std::string& sql);
  StatementPtr prepare(const std::string& sql);
  /// Steps to the next row. @return false at the end; the statement is then reset.
  bool row(sqlite3_stmt* statement);
  /// Runs a statement that gives no rows.
  void run(sqlite3_stmt* statement);
  /// The first column of the first row; nullopt without one, or for NULL.
  std::optional<std::string> text(const std::string& sql);
  std::optional<std::int64_t> number(const std::string& sql);
  /// How long statements wait for a lock from now on; false: as the options say.
  void beBrief(bool brief);

  /// The last call's failure.
  Error error(int code) const;

 private:
  struct FileId {
    std::uint64_t device = 0, inode = 0;
    bool operator==(const FileId&) const = default;
  };
  static std::optional<FileId> fileAt(const std::string& path);

  const std::string path_;
  const int busyMillis_;
  const std::stop_token stop_;
  DatabasePtr database_;
  std::optional<FileId> file_;
  /// Goes before the database does.
  std::optional<std::stop_callback<std::function<void()>>> onStop_;
};

/// A transaction that is rolled back unless it was committed.
class SourceTransaction {
 public:
  enum class Kind { read, write };
  SourceTransaction(SourceFile& file, Kind kind) : file_(file) {
    file_.exec(kind == Kind::read ? "BEGIN" : "BEGIN IMMEDIATE");
  }
  ~SourceTransaction() {
    // Many failures have rolled back already.
    if (sqlite3_get_autocommit(file_.handle()) == 0) {
      sqlite3_exec(file_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
    }
  }
  SourceTransaction(const SourceTransaction&) = delete;
  SourceTransaction& operator=(const SourceTransaction&) = delete;
  void commit() { file_.exec("COMMIT"); }

 private:
  SourceFile& file_;
};

/// A text as a SQL literal.
std::string sqlText(std::string_view text);
/// A column of the current row as text; empty for NULL.
std::string textAt(sqlite3_stmt* statement, int column);

}  // namespace tidegate::sqlite::detail
