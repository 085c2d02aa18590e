#include "tidegate/sqlite/snapshot_store.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <climits>
#include <memory>
#include <utility>

#include "sqlite/detail/slot_set.h"
#include "sqlite/detail/store_file.h"

namespace tidegate::sqlite {

namespace {

using detail::StoreFile;

constexpr detail::StoreFormat kSnapshotFormat{
    "snapshot store", 0x5464536E /* "TdSn" */, 1,
    "CREATE TABLE tables(number INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE)"};

constexpr const char* kSnapshotCache = "PRAGMA cache_size = -16384";  // KiB

void bindPart(SQLite::Statement& statement, int index, std::string_view octets) {
  if (octets.size() > INT_MAX) {
    throw Error(ErrorCode::invalidArgument, Retry::never,
                fmt::format("a snapshot row of {} octets is over what SQLite holds", octets.size()));
  }
  statement.bindNoCopy(index, octets.empty() ? "" : octets.data(), static_cast<int>(octets.size()));
}

std::string_view partAt(SQLite::Statement& statement, int index) {
  const SQLite::Column column = statement.getColumn(index);
  const auto* data = static_cast<const char*>(column.getBlob());
  return {data != nullptr ? data : "", static_cast<std::size_t>(column.getBytes())};
}

/// Finds or makes the table that holds a key's rows.
std::string tableFor(StoreFile& file, std::string_view key) {
  std::int64_t number = 0;
  file.write([&] {
    SQLite::Database& db = file.database();
    SQLite::Statement add(db, "INSERT OR IGNORE INTO tables(key) VALUES (?)");
    bindPart(add, 1, key);
    add.exec();
    SQLite::Statement find(db, "SELECT number FROM tables WHERE key = ?");
    bindPart(find, 1, key);
    find.executeStep();
    number = find.getColumn(0).getInt64();
    db.exec(
        fmt::format("CREATE TABLE IF NOT EXISTS rows_{}(slot INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, "
                    "packed BLOB NOT NULL)",
                    number));
  });
  return fmt::format("rows_{}", number);
}

/// The ids of this poll that the snapshot does not hold, in a private temporary file that SQLite deletes by itself: a
/// first poll of a table larger than memory has all of them here.
class FreshIds {
 public:
  FreshIds()
      : database_("", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX),
        schema_(database_.exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE; "
                               "CREATE TABLE fresh(id BLOB PRIMARY KEY) WITHOUT ROWID; BEGIN")),
        add_(database_, "INSERT OR IGNORE INTO fresh VALUES (?)"),
        find_(database_, "SELECT 1 FROM fresh WHERE id = ?") {
    database_.exec(kSnapshotCache);
  }
  bool empty() const noexcept { return count_ == 0; }
  /// @return false if it was there.
  bool add(std::string_view id) {
    add_.tryReset();
    bindPart(add_, 1, id);
    if (add_.exec() == 0) return false;
    ++count_;
    return true;
  }
  bool contains(std::string_view id) {
    if (count_ == 0) return false;
    find_.tryReset();
    bindPart(find_, 1, id);
    const bool found = find_.executeStep();
    find_.tryReset();
    return found;
  }
  sqlite3* handle() const { return database_.getHandle(); }

 private:
  SQLite::Database database_;
  int schema_;
  SQLite::Statement add_, find_;
  std::size_t count_ = 0;
};

class SqliteTableSnapshot final : public TableSnapshot {
 public:
  SqliteTableSnapshot(const std::string& path, std::string_view key)
      : file_(kSnapshotFormat, {.path = path}),
        table_(tableFor(file_, key)),
        find_(statement("SELECT slot, packed FROM {} WHERE id = ?")),
        slotOf_(statement("SELECT slot FROM {} WHERE id = ?")),
        rowAt_(statement("SELECT id, packed FROM {} WHERE slot = ?")),
        insert_(statement("INSERT INTO {}(slot, id, packed) VALUES (?, ?, ?)")),
        update_(statement("UPDATE {} SET packed = ? WHERE slot = ?")),
        delete_(statement("DELETE FROM {} WHERE slot = ?")) {
    file_.run([&] {
      file_.database().exec(kSnapshotCache);
      knowSlots();
      fresh_ = std::make_unique<FreshIds>();
    });
  }

  void beginPoll() override {
    commit();
    endReading();
    file_.run([&] {
      knowSlots();
      slots_.clearMarks();
      if (!fresh_->empty()) fresh_ = std::make_unique<FreshIds>();
      // One read transaction for the whole poll: else every mark would lock and unlock the file.
      file_.database().exec("BEGIN");
    });
    transaction_ = Transaction::reading;
  }

  Found mark(std::string_view rowId, std::string_view packed, std::string& before) override {
    return file_.run([&] {
      find_.tryReset();
      bindPart(find_, 1, rowId);
      if (!find_.executeStep()) return fresh_->add(rowId) ? Found::missing : Found::repeated;
      const std::int64_t slot = find_.getColumn(0).getInt64();
      if (!slots_.has(slot)) throw lost(slot);
      if (slots_.marked(slot)) return Found::repeated;
      slots_.mark(slot);
      const std::string_view held = partAt(find_, 1);
      if (held == packed) return Found::same;
      before.assign(held);
      return Found::differs;
    });
  }

  void visitUnmarked(const Visitor& visit) override {
    find_.tryReset();
    std::string id, packed;
    if (slots_.allMarked()) return;
    for (std::int64_t slot = 0; (slot = slots_.nextUnmarked(slot)) != 0;) {
      file_.run([&] {
        rowAt_.tryReset();
        rowAt_.bind(1, slot);
        if (!rowAt_.executeStep()) throw lost(slot);
        id.assign(partAt(rowAt_, 0));
        packed.assign(partAt(rowAt_, 1));
        rowAt_.tryReset();
      });
      visit(id, packed);  // may call put and erase
    }
  }

  void put(std::string_view rowId, std::string_view packed) override {
    change([&] {
      const std::int64_t held = slotOf(rowId);
      if (held != 0) {
        update_.tryReset();
        bindPart(update_, 1, packed);
        update_.bind(2, held);
        update_.exec();
        return;
      }
      const std::int64_t slot = slots_.takeFree();
      insert_.tryReset();
      insert_.bind(1, slot);
      bindPart(insert_, 2, rowId);
      bindPart(insert_, 3, packed);
      insert_.exec();
      if (fresh_->contains(rowId)) slots_.mark(slot);
    });
  }

  void erase(std::string_view rowId) override {
    change([&] {
      const std::int64_t slot = slotOf(rowId);
      if (slot == 0) return;
      delete_.tryReset();
      delete_.bind(1, slot);
      delete_.exec();
      // Named by this poll, it stays named.
      if (slots_.release(slot)) fresh_->add(rowId);
    });
  }

  void commit() override {
    if (transaction_ != Transaction::writing) return;
    transaction_ = Transaction::none;
    try {
      file_.commit();
    } catch (...) {
      forget();
      throw;
    }
  }

  std::size_t rows() const override { return slots_.used(); }

  std::size_t bytes() const override {
    return sizeof(*this) + slots_.bytes() + heldBy(file_.handle()) + heldBy(fresh_->handle());
  }

 private:
  enum class Transaction { none, reading, writing };

  SQLite::Statement statement(fmt::string_view sql) {
    return file_.run([&] { return SQLite::Statement(file_.database(), fmt::format(fmt::runtime(sql), table_)); });
  }

  void knowSlots() {
    if (slotsKnown_) return;
    slots_.clear();
    SQLite::Statement all(file_.database(), fmt::format("SELECT slot FROM {}", table_));
    while (all.executeStep()) {
      const std::int64_t slot = all.getColumn(0).getInt64();
      if (slot < 1) throw lost(slot);
      slots_.take(slot);
    }
    slotsKnown_ = true;
  }

  Error lost(std::int64_t slot) const {
    return {ErrorCode::storeCorrupt, Retry::afterOperator,
            fmt::format("snapshot store {}: row {} of {} is not what it was; move the file away to read the table anew",
                        file_.path(), slot, table_)};
  }

  std::int64_t slotOf(std::string_view rowId) {
    slotOf_.tryReset();
    bindPart(slotOf_, 1, rowId);
    const std::int64_t slot = slotOf_.executeStep() ? slotOf_.getColumn(0).getInt64() : 0;
    slotOf_.tryReset();
    return slot;
  }

  void endReading() {
    find_.tryReset();
    if (transaction_ != Transaction::reading) return;
    file_.rollback();
    transaction_ = Transaction::none;
  }

  /// Runs a change in the transaction that the next `commit` ends. A failure undoes all since the last one.
  template <class Work>
  void change(Work&& work) {
    endReading();
    try {
      if (transaction_ != Transaction::writing) {
        file_.begin();
        transaction_ = Transaction::writing;
      }
      file_.run([&] {
        knowSlots();
        work();
      });
    } catch (...) {
      transaction_ = Transaction::none;
      forget();
      throw;
    }
  }

  /// After a failed change: what memory knows of the file is read again, and this poll's marks mean nothing any more.
  void forget() noexcept {
    file_.rollback();
    slotsKnown_ = false;
    slots_.clear();
  }

  static std::size_t heldBy(sqlite3* db) {
    std::size_t bytes = 0;
    for (const int what : {SQLITE_DBSTATUS_CACHE_USED, SQLITE_DBSTATUS_SCHEMA_USED, SQLITE_DBSTATUS_STMT_USED}) {
      int now = 0, highest = 0;
      sqlite3_db_status(db, what, &now, &highest, 0);
      bytes += static_cast<std::size_t>(now);
    }
    return bytes;
  }

  StoreFile file_;
  const std::string table_;
  SQLite::Statement find_, slotOf_, rowAt_, insert_, update_, delete_;
  std::unique_ptr<FreshIds> fresh_;
  detail::SlotSet slots_;
  bool slotsKnown_ = false;
  Transaction transaction_ = Transaction::none;
};

class SqliteSnapshotStore final : public SnapshotStore {
 public:
  explicit SqliteSnapshotStore(std::string path) : path_(std::move(path)) {
    StoreFile made(kSnapshotFormat, {.path = path_});  // refuses a wrong file now rather than at the first poll
  }
  std::unique_ptr<TableSnapshot> open(std::string_view key) override {
    return std::make_unique<SqliteTableSnapshot>(path_, key);
  }

 private:
  const std::string path_;
};

}  // namespace

std::shared_ptr<SnapshotStore> snapshotStore(const std::string& path) {
  return std::make_shared<SqliteSnapshotStore>(path);
}

}  // namespace tidegate::sqlite
