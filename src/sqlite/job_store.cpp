#include "tidegate/sqlite/job_store.h"

#include <cstdint>
#include <mutex>

#include "sqlite/detail/store_file.h"

namespace tidegate::sqlite {

namespace {

constexpr detail::StoreFormat kJobFormat{
    "job store", 0x54644A62 /* "TdJb" */, 1,
    "CREATE TABLE versions(last INTEGER NOT NULL); INSERT INTO versions VALUES (0);"
    "CREATE TABLE jobs(name TEXT PRIMARY KEY, version INTEGER NOT NULL, checksum INTEGER NOT NULL, record TEXT NOT "
    "NULL) WITHOUT ROWID;"
    "CREATE TABLE runs(job TEXT NOT NULL, id INTEGER NOT NULL, record TEXT NOT NULL, PRIMARY KEY(job, id)) WITHOUT "
    "ROWID"};

class SqliteJobStore final : public JobStore {
 public:
  explicit SqliteJobStore(const std::string& path)
      : file_(kJobFormat, {.path = path}),
        list_(statement("SELECT name, version, checksum, record FROM jobs ORDER BY name")),
        get_(statement("SELECT name, version, checksum, record FROM jobs WHERE name = ?")),
        there_(statement("SELECT version FROM jobs WHERE name = ?")),
        nextVersion_(statement("UPDATE versions SET last = last + 1 RETURNING last")),
        put_(
            statement("INSERT INTO jobs(name, version, checksum, record) VALUES (?, ?, ?, ?) ON CONFLICT(name) DO "
                      "UPDATE SET version = excluded.version, checksum = excluded.checksum, record = excluded.record")),
        putRun_(statement("INSERT INTO runs(job, id, record) VALUES (?, ?, ?) ON CONFLICT(job, id) DO UPDATE SET "
                          "record = excluded.record")),
        trim_(statement("DELETE FROM runs WHERE job = ?1 AND id <= (SELECT id FROM runs WHERE job = ?1 ORDER BY id "
                        "DESC LIMIT 1 OFFSET ?2)")),
        remove_(statement("DELETE FROM jobs WHERE name = ? AND version = ?")),
        removeRuns_(statement("DELETE FROM runs WHERE job = ?")),
        runs_(statement("SELECT id, record FROM runs WHERE job = ? AND id < ? ORDER BY id DESC LIMIT ?")) {}

  std::vector<StoredJob> list() override {
    const std::lock_guard lock(mutex_);
    return file_.run([&] {
      std::vector<StoredJob> out;
      list_.tryReset();
      while (list_.executeStep()) out.push_back(stored(list_));
      list_.tryReset();  // an unfinished read would keep the WAL from being reused
      return out;
    });
  }

  std::optional<StoredJob> get(std::string_view name) override {
    const std::lock_guard lock(mutex_);
    return file_.run([&]() -> std::optional<StoredJob> {
      get_.tryReset();
      bindName(get_, 1, name);
      if (!get_.executeStep()) return std::nullopt;
      StoredJob out = stored(get_);
      get_.tryReset();
      return out;
    });
  }

  std::optional<std::uint64_t> put(std::string_view name, std::uint64_t expected, std::string_view record,
                                   const StoredRun* run, std::size_t keepRuns) override {
    const std::lock_guard lock(mutex_);
    std::optional<std::uint64_t> version;
    file_.write([&] {
      version.reset();
      if (versionOf(name) != expected) return;
      nextVersion_.tryReset();
      nextVersion_.executeStep();
      version = static_cast<std::uint64_t>(nextVersion_.getColumn(0).getInt64());
      nextVersion_.tryReset();
      put_.tryReset();
      bindName(put_, 1, name);
      put_.bind(2, static_cast<std::int64_t>(*version));
      put_.bind(3, detail::storeChecksum(name, record));
      bindName(put_, 4, record);
      put_.exec();
      if (run != nullptr) noteRun(name, *run, keepRuns);
    });
    return version;
  }

  bool remove(std::string_view name, std::uint64_t expected) override {
    const std::lock_guard lock(mutex_);
    bool removed = false;
    file_.write([&] {
      remove_.tryReset();
      bindName(remove_, 1, name);
      remove_.bind(2, static_cast<std::int64_t>(expected));
      removed = remove_.exec() > 0;
      if (!removed) return;
      removeRuns_.tryReset();
      bindName(removeRuns_, 1, name);
      removeRuns_.exec();
    });
    return removed;
  }

  std::vector<StoredRun> runs(std::string_view name, std::uint64_t before, std::size_t limit) override {
    const std::lock_guard lock(mutex_);
    return file_.run([&] {
      std::vector<StoredRun> out;
      runs_.tryReset();
      bindName(runs_, 1, name);
      runs_.bind(2, before == 0 ? INT64_MAX : static_cast<std::int64_t>(before));
      runs_.bind(3, static_cast<std::int64_t>(limit));
      while (runs_.executeStep()) {
        out.push_back({static_cast<std::uint64_t>(runs_.getColumn(0).getInt64()), runs_.getColumn(1).getString()});
      }
      runs_.tryReset();
      return out;
    });
  }

 private:
  SQLite::Statement statement(const char* sql) {
    return file_.run([&] { return SQLite::Statement(file_.database(), sql); });
  }

  static void bindName(SQLite::Statement& to, int index, std::string_view text) { to.bind(index, std::string(text)); }

  StoredJob stored(SQLite::Statement& row) {
    StoredJob out{row.getColumn(0).getString(), static_cast<std::uint64_t>(row.getColumn(1).getInt64()),
                  row.getColumn(3).getString()};
    // A record that was changed by another hand is not a job's any more; its name is, so that it can be removed.
    if (detail::storeChecksum(out.name, out.record) != row.getColumn(2).getInt64()) out.record.clear();
    return out;
  }

  std::uint64_t versionOf(std::string_view name) {
    there_.tryReset();
    bindName(there_, 1, name);
    const std::uint64_t version = there_.executeStep() ? static_cast<std::uint64_t>(there_.getColumn(0).getInt64()) : 0;
    there_.tryReset();
    return version;
  }

  void noteRun(std::string_view name, const StoredRun& run, std::size_t keepRuns) {
    putRun_.tryReset();
    bindName(putRun_, 1, name);
    putRun_.bind(2, static_cast<std::int64_t>(run.id));
    bindName(putRun_, 3, run.record);
    putRun_.exec();
    trim_.tryReset();
    bindName(trim_, 1, name);
    trim_.bind(2, static_cast<std::int64_t>(keepRuns));
    trim_.exec();
  }

  std::mutex mutex_;  ///< guards everything below
  detail::StoreFile file_;
  SQLite::Statement list_, get_, there_, nextVersion_, put_, putRun_, trim_, remove_, removeRuns_, runs_;
};

}  // namespace

std::shared_ptr<JobStore> jobStore(const std::string& path) { return std::make_shared<SqliteJobStore>(path); }

}  // namespace tidegate::sqlite
