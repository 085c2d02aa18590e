#include "sqlite/detail/source_file.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <climits>

#include "sqlite/detail/errors.h"

namespace tidegate::sqlite::detail {

namespace {

/// For what may as well be done later.
constexpr int kBriefMillis = 20;

DatabasePtr openSource(const std::string& path) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  DatabasePtr database(raw);
  if (code != SQLITE_OK) {
    throw openError(code, raw != nullptr ? sqlite3_errmsg(raw) : sqlite3_errstr(code), path, false);
  }
  sqlite3_extended_result_codes(raw, 1);
  return database;
}

}  // namespace

SourceFile::SourceFile(const SourceOptions& options, std::stop_token stop)
    : path_(options.path),
      busyMillis_(static_cast<int>(std::min<std::int64_t>(options.busyTimeout.count(), INT_MAX))),
      stop_(std::move(stop)),
      database_(openSource(options.path)),
      file_(fileAt(options.path)) {
  beBrief(false);
  // sqlite3_interrupt is the one call that another thread may make.
  onStop_.emplace(stop_, [database = handle()] { sqlite3_interrupt(database); });
  exec("PRAGMA synchronous = NORMAL");      // what we write here may be lost with the power: it only says what was read
  exec("PRAGMA wal_autocheckpoint = 0");    // a checkpoint's fsyncs would delay changes; writers make them
  exec("PRAGMA temp_store = FILE");         // copies of a baseline are not held in memory
  exec("PRAGMA recursive_triggers = OFF");  // our own statements fire none
  exec("PRAGMA trusted_schema = OFF");      // the file is somebody else's
}

std::optional<SourceFile::FileId> SourceFile::fileAt(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return std::nullopt;
  return FileId{info.st_dev, info.st_ino};
}

bool SourceFile::replaced() const { return !file_ || fileAt(path_) != file_; }

bool SourceFile::wal() { return text("PRAGMA main.journal_mode") == "wal"; }

void SourceFile::beBrief(bool brief) { sqlite3_busy_timeout(handle(), brief ? kBriefMillis : busyMillis_); }

void SourceFile::exec(const std::string& sql) {
  const int code = sqlite3_exec(handle(), sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) throw error(code);
}

StatementPtr SourceFile::prepare(const std::string& sql) {
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v3(handle(), sql.c_str(), static_cast<int>(sql.size() + 1),
                                      SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  if (code != SQLITE_OK) throw error(code);
  return StatementPtr(raw);
}

bool SourceFile::row(sqlite3_stmt* statement) {
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

void SourceFile::run(sqlite3_stmt* statement) {
  while (row(statement)) continue;
}

std::optional<std::string> SourceFile::text(const std::string& sql) {
  const StatementPtr statement = prepare(sql);
  if (!row(statement.get()) || sqlite3_column_type(statement.get(), 0) == SQLITE_NULL) return std::nullopt;
  return textAt(statement.get(), 0);
}

std::optional<std::int64_t> SourceFile::number(const std::string& sql) {
  const StatementPtr statement = prepare(sql);
  if (!row(statement.get()) || sqlite3_column_type(statement.get(), 0) == SQLITE_NULL) return std::nullopt;
  return sqlite3_column_int64(statement.get(), 0);
}

Error SourceFile::error(int code) const {
  if (stop_.stop_requested() && (code & 0xFF) == SQLITE_INTERRUPT) {
    return {ErrorCode::queryCancelled, Retry::later, fmt::format("{}: stopped", path_)};
  }
  return queryError(code, sqlite3_errmsg(handle()), path_);
}

std::string sqlText(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    out += c;
    if (c == '\'') out += c;
  }
  return out + "'";
}

std::string textAt(sqlite3_stmt* statement, int column) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
  if (text == nullptr) return {};
  return std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(statement, column)));
}

}  // namespace tidegate::sqlite::detail
