#include "sqlite/detail/store_file.h"

#define XXH_INLINE_ALL
#include <SQLiteCpp/Transaction.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <xxhash.h>

#include <algorithm>
#include <climits>

#include "sqlite/detail/errors.h"
#include "sqlite/detail/wal_mode.h"

namespace tidegate::sqlite::detail {

std::int64_t storeChecksum(std::string_view name, std::string_view octets) noexcept {
  const XXH64_hash_t seed = XXH3_64bits(name.data(), name.size());
  return static_cast<std::int64_t>(XXH3_64bits_withSeed(octets.data(), octets.size(), seed));
}

StoreFile::StoreFile(const StoreFormat& format, StoreFileOptions options)
    : format_(format), options_(std::move(options)) {
  if (options_.path.empty() || options_.path.find('\0') != std::string::npos) {
    throw Error(ErrorCode::invalidConfig, Retry::never,
                fmt::format("the {}'s path is empty or holds a NUL; name a file", format_.what));
  }
  if (options_.oneOwner) owner_.emplace(format_.what, options_.path, options_.lockTimeout);
  run([&] { open(); });
}

Error StoreFile::error(const SQLite::Exception& e) const {
  const int code = e.getExtendedErrorCode() > 0 ? e.getExtendedErrorCode() : e.getErrorCode();
  return storeError(code, e.what(), format_.what, options_.path);
}

void StoreFile::open() {
  database_ = std::make_unique<SQLite::Database>(
      options_.path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
      static_cast<int>(std::min<std::int64_t>(options_.lockTimeout.count(), INT_MAX)));
  sqlite3_extended_result_codes(database_->getHandle(), 1);
  recognise();
  configure();
  write([&] {
    if (pragma("application_id") != 0) return;
    database_->exec(format_.schema);
    database_->exec(
        fmt::format("PRAGMA user_version = {}; PRAGMA application_id = {}", format_.version, format_.applicationId));
  });
}

std::int64_t StoreFile::pragma(const std::string& name) { return database_->execAndGet("PRAGMA " + name).getInt64(); }

void StoreFile::recognise() {
  const auto refuse = [&](std::string_view why) {
    return Error(ErrorCode::invalidConfig, Retry::never,
                 fmt::format("{}: {}; give the {} a file of its own", options_.path, why, format_.what));
  };
  SQLite::Transaction moment(*database_);  // another process may be making the file
  const std::int64_t id = pragma("application_id");
  if (id == 0 && database_->execAndGet("SELECT count(*) FROM sqlite_master").getInt64() != 0) {
    throw refuse("a database of another application");
  }
  if (id != 0 && id != format_.applicationId) throw refuse(fmt::format("a database with application id {}", id));
  if (id != 0 && pragma("user_version") > format_.version) {
    throw refuse("written by a newer version of Tidegate");
  }
}

void StoreFile::configure() {
  database_->exec(fmt::format("PRAGMA page_size = {}", options_.pageSize));
  bool wal = false;
  if (const int code = enterWal(handle(), options_.lockTimeout, wal); code != SQLITE_OK) {
    throw SQLite::Exception(handle(), code);
  }
  if (!wal) {
    throw Error(
        ErrorCode::storeUnavailable, Retry::afterOperator,
        fmt::format("{} {}: this file system does not do WAL mode; use a local one", format_.what, options_.path));
  }
  database_->exec(options_.syncCommits ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
  database_->exec("PRAGMA journal_size_limit = 33554432");
}

void StoreFile::begin() {
  if (inDoubt_) {
    throw Error(ErrorCode::storeUnavailable, Retry::afterOperator,
                fmt::format("{} {}: an earlier commit may or may not have happened; open it again", format_.what,
                            options_.path));
  }
  rollback();
  run([&] { database_->exec("BEGIN IMMEDIATE"); });
}

void StoreFile::commit() {
  try {
    database_->exec("COMMIT");
  } catch (const SQLite::Exception& e) {
    // SQLite writes the commit's mark last: without space, or without the lock, the mark was not written. After any
    // other failure (a failed fsync above all) a crash might still find it in the WAL.
    const int basic = e.getErrorCode() & 0xFF;
    inDoubt_ = basic != SQLITE_FULL && basic != SQLITE_BUSY;
    rollback();
    if (!inDoubt_) throw error(e);
    throw Error(ErrorCode::storeUnavailable, Retry::outcomeUnknown,
                fmt::format("{} {}: the commit failed ({}) and may or may not have happened; open it again",
                            format_.what, options_.path, e.what()));
  }
}

void StoreFile::rollback() noexcept {
  // Many failures have rolled back already; asking again would fail.
  if (sqlite3_get_autocommit(database_->getHandle()) == 0) {
    sqlite3_exec(database_->getHandle(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
}

}  // namespace tidegate::sqlite::detail
