#include "sqlite/detail/errors.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace tidegate::sqlite::detail {

namespace {

Error make(ErrorCode code, Retry retry, const std::string& message) { return {code, retry, redactSecrets(message)}; }

bool startsWith(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

/// SQLITE_ERROR stands for many things; its text is the only way to tell them apart.
Error statementError(std::string_view message, const std::string& path) {
  if (startsWith(message, "no such table")) {
    return make(ErrorCode::tableNotFound, Retry::afterOperator,
                fmt::format("{}: {}; create it or change the query", path, message));
  }
  if (startsWith(message, "no such column")) {
    return make(ErrorCode::columnNotFound, Retry::afterOperator,
                fmt::format("{}: {}; add it or change the query", path, message));
  }
  return make(ErrorCode::queryFailed, Retry::never, fmt::format("{}: {}; change the query", path, message));
}

}  // namespace

bool breaksConnection(int code) noexcept {
  switch (code & 0xFF) {
    case SQLITE_IOERR:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CANTOPEN:
    case SQLITE_FULL:
    case SQLITE_PROTOCOL:
    case SQLITE_NOMEM:
    case SQLITE_MISUSE:
      return true;
    default:
      return code == SQLITE_READONLY_DBMOVED;
  }
}

Error queryError(int code, std::string_view message, const std::string& path) {
  switch (code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return make(ErrorCode::queryFailed, Retry::later,
                  fmt::format("{}: locked by another connection for longer than busyTimeout ({})", path, message));
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY:
      return make(ErrorCode::permissionDenied, Retry::afterOperator,
                  fmt::format("{}: {}; open it with readOnly = false, or make it writable", path, message));
    case SQLITE_NOTADB:
      return make(ErrorCode::connectionFailed, Retry::afterOperator,
                  fmt::format("{}: not a SQLite database (or an encrypted one); check the path", path));
    case SQLITE_CORRUPT:
      return make(ErrorCode::connectionFailed, Retry::afterOperator,
                  fmt::format("{}: the database file is damaged ({}); restore or .recover it", path, message));
    case SQLITE_CANTOPEN:
      return openError(code, message, path, true);
    case SQLITE_IOERR:
    case SQLITE_FULL:
    case SQLITE_PROTOCOL:
    case SQLITE_NOMEM:
      return make(ErrorCode::connectionFailed, Retry::later, fmt::format("{}: {} (code {})", path, message, code));
    case SQLITE_INTERRUPT:
      return make(ErrorCode::queryCancelled, Retry::later, fmt::format("{}: the query was interrupted", path));
    case SQLITE_ERROR:
      return statementError(message, path);
    default:
      return make(ErrorCode::queryFailed, Retry::never, fmt::format("{}: {} (code {})", path, message, code));
  }
}

Error storeError(int code, std::string_view message, std::string_view what, const std::string& path) {
  switch (code & 0xFF) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return make(
          ErrorCode::storeCorrupt, Retry::afterOperator,
          fmt::format("{} {}: {}; restore the file from a backup, or move it away to start anew", what, path, message));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return make(ErrorCode::storeUnavailable, Retry::later,
                  fmt::format("{} {}: in use by another process or connection; one file has one owner", what, path));
    case SQLITE_FULL:
      return make(ErrorCode::storeUnavailable, Retry::later,
                  fmt::format("{} {}: no space left ({}); free some", what, path, message));
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
      return make(ErrorCode::storeUnavailable, Retry::afterOperator,
                  fmt::format("{} {}: {}; its folder must exist and be writable", what, path, message));
    default:
      return make(ErrorCode::storeUnavailable, Retry::later,
                  fmt::format("{} {}: {} (code {})", what, path, message, code));
  }
}

Error openError(int code, std::string_view message, const std::string& path, bool readOnly) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == EACCES) {
      return make(ErrorCode::permissionDenied, Retry::afterOperator,
                  fmt::format("{}: no permission to reach the file; grant search on its folders", path));
    }
    return make(ErrorCode::connectionFailed, Retry::later,
                fmt::format("{}: no such file; check the path (a source database is never created)", path));
  }
  if (S_ISDIR(info.st_mode)) {
    return make(ErrorCode::connectionFailed, Retry::afterOperator,
                fmt::format("{}: a directory, not a database file", path));
  }
  // eaccess asks for the effective user, as open does.
  if (::eaccess(path.c_str(), readOnly ? R_OK : R_OK | W_OK) != 0) {
    return make(ErrorCode::permissionDenied, Retry::afterOperator,
                fmt::format("{}: no permission to {} the file; grant it to this process's user", path,
                            readOnly ? "read" : "write"));
  }
  return make(ErrorCode::connectionFailed, Retry::later,
              fmt::format("{}: {} (code {}); a database in WAL mode also needs its -wal and -shm files, or a writable "
                          "folder to make them in",
                          path, message, code));
}

}  // namespace tidegate::sqlite::detail
