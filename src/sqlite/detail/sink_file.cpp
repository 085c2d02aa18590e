#include "sqlite/detail/sink_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <climits>

#include "sqlite/detail/errors.h"
#include "sqlite/detail/wal_mode.h"
#include "tidegate/core/query.h"

namespace tidegate::sqlite::detail {

namespace {

DatabasePtr openDatabase(const SinkOptions& options, int flags) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(options.path.c_str(), &raw, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  DatabasePtr database(raw);
  if (code != SQLITE_OK) {
    const std::string message = raw != nullptr ? sqlite3_errmsg(raw) : sqlite3_errstr(code);
    if ((flags & SQLITE_OPEN_CREATE) == 0) throw openError(code, message, options.path, true);
    throw Error(ErrorCode::connectionFailed, Retry::afterOperator,
                fmt::format("sink {}: {}; its folder must exist and be writable", options.path, message));
  }
  sqlite3_extended_result_codes(raw, 1);
  sqlite3_busy_timeout(raw, static_cast<int>(std::min<std::int64_t>(options.busyTimeout.count(), INT_MAX)));
  return database;
}

}  // namespace

std::string sqlName(std::string_view name) { return quoteIdentifier(Dialect::sqlite, name); }

DatabasePtr openForReading(const SinkOptions& options) { return openDatabase(options, SQLITE_OPEN_READONLY); }

Error sinkError(int code, std::string_view message, const std::string& path) {
  switch (code & 0xFF) {
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
      return {ErrorCode::queryFailed, Retry::never,
              fmt::format("sink {}: {}; change the row, or the constraint of the target", path, message)};
    case SQLITE_ERROR:
      return {ErrorCode::queryFailed, Retry::afterOperator,
              fmt::format("sink {}: {}; make the target fit, or drop it so that it is made anew", path, message)};
    case SQLITE_INTERRUPT:
      return {ErrorCode::queryCancelled, Retry::later, fmt::format("sink {}: stopped by its caller", path)};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {ErrorCode::storeUnavailable, Retry::later,
              fmt::format("sink {}: another connection wrote for longer than busyTimeout ({})", path, message)};
    default:
      return storeError(code, message, "sink", path);
  }
}

SinkFile::SinkFile(const SinkOptions& options, std::stop_token stop)
    : path_(options.path),
      stop_(std::move(stop)),
      database_(openDatabase(options, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)) {
  configure(options);
  // sqlite3_interrupt is the one call that another thread may make.
  onStop_.emplace(stop_, [database = handle()] { sqlite3_interrupt(database); });
}

void SinkFile::configure(const SinkOptions& options) {
  bool wal = false;
  if (const int code = enterWal(handle(), options.busyTimeout, wal); code != SQLITE_OK) throw error(code);
  if (!wal) {
    throw Error(ErrorCode::connectionFailed, Retry::afterOperator,
                fmt::format("sink {}: this file system does not do WAL mode; use a local one", path_));
  }
  exec(options.synchronous == Synchronous::full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
  exec(fmt::format("PRAGMA cache_size = -{}", std::max<std::size_t>(options.cacheBytes >> 10, 1)));
  const auto pageSize = std::stoull(value("PRAGMA page_size").value_or("4096"));
  exec(fmt::format("PRAGMA wal_autocheckpoint = {}", std::max<std::size_t>(options.walBytes / pageSize, 1)));
  exec(fmt::format("PRAGMA journal_size_limit = {}", 2 * options.walBytes));
  exec("PRAGMA foreign_keys = OFF");  // tables of one transaction are written in the source's order, which need not fit
  exec("PRAGMA legacy_alter_table = OFF");
  exec("PRAGMA temp_store = MEMORY");
}

void SinkFile::exec(const std::string& sql) {
  const int code = sqlite3_exec(handle(), sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) throw error(code);
}

StatementPtr SinkFile::prepare(const std::string& sql) {
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v3(handle(), sql.c_str(), static_cast<int>(sql.size() + 1),
                                      SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  if (code != SQLITE_OK) throw error(code);
  return StatementPtr(raw);
}

std::uint64_t SinkFile::run(sqlite3_stmt* statement) {
  while (row(statement)) continue;
  return static_cast<std::uint64_t>(sqlite3_changes64(handle()));
}

bool SinkFile::row(sqlite3_stmt* statement) {
  const int code = sqlite3_step(statement);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    sqlite3_reset(statement);
    return false;
  }
  const Error failure = error(code);
  sqlite3_reset(statement);
  throw failure;
}

std::optional<std::string> SinkFile::value(const std::string& sql) {
  const StatementPtr statement = prepare(sql);
  if (!row(statement.get())) return std::nullopt;
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement.get(), 0));
  if (text == nullptr) return std::nullopt;
  return std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(statement.get(), 0)));
}

void SinkFile::begin() { exec("BEGIN IMMEDIATE"); }

void SinkFile::commit() {
  const int code = sqlite3_exec(handle(), "COMMIT", nullptr, nullptr, nullptr);
  if (code == SQLITE_OK) return;
  const Error failure = error(code);
  // SQLite writes the commit's mark last: without space, or without the lock, the mark was not written. After any
  // other failure (a failed fsync above all) a crash might still find it in the WAL.
  const int basic = code & 0xFF;
  rollback();
  if (basic == SQLITE_FULL || basic == SQLITE_BUSY) throw failure;
  broken_ = true;
  throw Error(ErrorCode::storeUnavailable, Retry::outcomeUnknown,
              fmt::format("sink {}: the commit failed ({}) and may or may not have happened; opening it again tells",
                          path_, failure.message()));
}

void SinkFile::rollback() noexcept {
  // Many failures have rolled back already; asking again would fail.
  if (inTransaction()) sqlite3_exec(handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

Error SinkFile::error(int code) {
  if (breaksConnection(code) && (code & 0xFF) != SQLITE_FULL) broken_ = true;
  return sinkError(code, sqlite3_errmsg(handle()), path_);
}

}  // namespace tidegate::sqlite::detail
