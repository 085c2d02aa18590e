#include "tidegate/sqlite/state_store.h"

#include <fmt/format.h>

#include <climits>
#include <mutex>

#include "sqlite/detail/store_file.h"

namespace tidegate::sqlite {

namespace {

constexpr detail::StoreFormat kStateFormat{
    "state store", 0x54645374 /* "TdSt" */, 1,
    "CREATE TABLE state(key BLOB PRIMARY KEY, checksum INTEGER NOT NULL, octets BLOB NOT NULL) WITHOUT ROWID"};

void bindOctets(SQLite::Statement& statement, int index, std::string_view octets) {
  if (octets.size() > INT_MAX) {
    throw Error(ErrorCode::invalidArgument, Retry::never,
                fmt::format("a state of {} octets is over what SQLite holds", octets.size()));
  }
  statement.bindNoCopy(index, octets.empty() ? "" : octets.data(), static_cast<int>(octets.size()));
}

class SqliteStateStore final : public StateStore {
 public:
  explicit SqliteStateStore(const std::string& path)
      : file_(kStateFormat, {.path = path}),
        get_(statement("SELECT checksum, octets FROM state WHERE key = ?")),
        put_(statement("INSERT INTO state(key, checksum, octets) VALUES (?, ?, ?) ON CONFLICT(key) DO UPDATE SET "
                       "checksum = excluded.checksum, octets = excluded.octets")),
        remove_(statement("DELETE FROM state WHERE key = ?")),
        putNew_(statement("INSERT INTO state(key, checksum, octets) VALUES (?, ?, ?) ON CONFLICT(key) DO NOTHING")),
        replace_(statement("UPDATE state SET checksum = ?2, octets = ?3 WHERE key = ?1 AND octets = ?4")) {}

  std::optional<std::string> get(std::string_view key) override {
    const std::lock_guard lock(mutex_);
    return file_.run([&]() -> std::optional<std::string> {
      get_.tryReset();
      bindOctets(get_, 1, key);
      if (!get_.executeStep()) return std::nullopt;
      std::optional<std::string> octets = get_.getColumn(1).getString();
      const std::int64_t checksum = get_.getColumn(0).getInt64();
      get_.tryReset();  // an unfinished read would keep the WAL from being reused
      if (detail::storeChecksum(key, *octets) == checksum) return octets;
      throw Error(ErrorCode::storeCorrupt, Retry::afterOperator,
                  fmt::format("state store {}: the entry '{}' fails its checksum; restore the file from a backup, or "
                              "remove the entry to read its table anew",
                              file_.path(), key));
    });
  }

  void put(std::string_view key, std::string_view octets) override {
    const std::lock_guard lock(mutex_);
    file_.write([&] {
      put_.tryReset();
      bindOctets(put_, 1, key);
      put_.bind(2, detail::storeChecksum(key, octets));
      bindOctets(put_, 3, octets);
      put_.exec();
    });
  }

  void remove(std::string_view key) override {
    const std::lock_guard lock(mutex_);
    file_.write([&] {
      remove_.tryReset();
      bindOctets(remove_, 1, key);
      remove_.exec();
    });
  }

  bool putIf(std::string_view key, std::optional<std::string_view> expected, std::string_view octets) override {
    const std::lock_guard lock(mutex_);
    SQLite::Statement& write = expected ? replace_ : putNew_;
    int rows = 0;
    file_.write([&] {
      write.tryReset();
      bindOctets(write, 1, key);
      write.bind(2, detail::storeChecksum(key, octets));
      bindOctets(write, 3, octets);
      if (expected) bindOctets(write, 4, *expected);
      rows = write.exec();
    });
    return rows == 1;
  }

 private:
  SQLite::Statement statement(const char* sql) {
    return file_.run([&] { return SQLite::Statement(file_.database(), sql); });
  }

  std::mutex mutex_;  ///< guards everything below
  detail::StoreFile file_;
  SQLite::Statement get_;
  SQLite::Statement put_;
  SQLite::Statement remove_;
  SQLite::Statement putNew_;
  SQLite::Statement replace_;
};

}  // namespace

std::shared_ptr<StateStore> stateStore(const std::string& path) { return std::make_shared<SqliteStateStore>(path); }

}  // namespace tidegate::sqlite
