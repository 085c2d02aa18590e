#include <sqlite3.h>

#include <cstdlib>
#include <filesystem>

#include "bench/data.h"
#include "bench/harness.h"
#include "bench/poll_bench.h"
#include "tidegate/sqlite/gateway_store.h"
#include "tidegate/sqlite/query_fn.h"

namespace tidegate::bench {
namespace {

/// A folder that goes with the object. On the disk of the working directory, because /tmp may be memory.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::current_path() / "tidegate-bench-XXXXXX").string();
    if (!mkdtemp(pattern.data())) throw std::runtime_error("cannot make a temporary folder here");
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

QueryFn usersDatabase(const TemporaryFolder& folder) {
  const QueryFn query = sqlite::queryFn({.path = folder.file("users.db"), .readOnly = false, .create = true});
  execute(query,
          {"PRAGMA journal_mode=WAL",
           "CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT, email TEXT, score INTEGER, updated_at INTEGER)",
           "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) INSERT INTO users "
           "SELECT i, 'user-' || i, 'user-' || i || '@example.com', i % 1000, 1700000000000 + i FROM n",
           "CREATE INDEX users_updated_at ON users(updated_at, id)"});
  return query;
}

void cursorPollSqlite() {
  const TemporaryFolder folder;
  cursorPollBench("cursor_poll_sqlite", usersDatabase(folder));
}

void diffPoll() {
  const TemporaryFolder folder;
  const QueryFn query = usersDatabase(folder);
  GatewayOptions options;
  options.retention.maxLogBytes = 0;
  Gateway gateway(options);
  SourcePoller poller(usersSource(query, DiffStrategy{.warnRows = 2'000'000}), gateway);
  pollAllRows(poller);
  const auto limit = [&] { return readOnly(query, "SELECT id, name, email, score, updated_at FROM users"); };
  const Pair pair = measurePair(
      7, [&] { return secondsOf([&] { pollAllRows(poller); }); }, limit);
  report({"diff_poll", pair.ours / kPolledRows * 1e9, "ns/row", pair.limit / kPolledRows * 1e9, Better::lower, 2.0});
}

void check(int code, sqlite3* db) {
  if (code != SQLITE_OK && code != SQLITE_DONE && code != SQLITE_ROW) throw std::runtime_error(sqlite3_errmsg(db));
}

/// One delta's row through a prepared insert: row id, then its five values.
void insertRow(sqlite3* db, sqlite3_stmt* insert, const RowDelta& delta) {
  const auto text = [&](int at, const std::string& v) {
    check(sqlite3_bind_text(insert, at, v.data(), static_cast<int>(v.size()), SQLITE_STATIC), db);
  };
  text(1, delta.rowId);
  text(2, delta.columns[0].value.as<std::string>());
  text(3, delta.columns[1].value.as<std::string>());
  check(sqlite3_bind_int64(insert, 4, delta.columns[2].value.as<std::int64_t>()), db);
  check(sqlite3_bind_int(insert, 5, delta.columns[3].value.as<bool>()), db);
  check(sqlite3_bind_int64(insert, 6, delta.columns[4].value.as<std::int64_t>()), db);
  check(sqlite3_step(insert), db);
  check(sqlite3_reset(insert), db);
}

/// The limit: a plain prepared insert of the same rows, a transaction a batch, WAL, synchronous=FULL.
double plainInsert(const std::string& path, const std::vector<SyncPush>& pushes) {
  sqlite3* db = nullptr;
  check(sqlite3_open(path.c_str(), &db), db);
  check(sqlite3_exec(db,
                     "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE users(row_id TEXT PRIMARY KEY, "
                     "name TEXT, email TEXT, score INTEGER, active INTEGER, updated_at INTEGER)",
                     nullptr, nullptr, nullptr),
        db);
  sqlite3_stmt* insert = nullptr;
  check(sqlite3_prepare_v2(db, "INSERT INTO users VALUES(?,?,?,?,?,?)", -1, &insert, nullptr), db);
  const double seconds = secondsOf([&] {
    for (const SyncPush& push : pushes) {
      check(sqlite3_exec(db, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), db);
      for (const RowDelta& delta : push.deltas) insertRow(db, insert, delta);
      check(sqlite3_exec(db, "COMMIT", nullptr, nullptr, nullptr), db);
    }
  });
  sqlite3_finalize(insert);
  sqlite3_close(db);
  return seconds;
}

void storeBench() {
  constexpr std::size_t kCount = 500'000;
  const auto pushes = userPushes(kCount, 1'000);
  int round = 0;
  const auto durable = [&](PushContext context) {
    const TemporaryFolder folder;
    GatewayOptions options;
    options.store = sqlite::gatewayStore({.path = folder.file("gateway.db")});
    Gateway gateway(options);
    return secondsOf([&] {
      for (const SyncPush& push : pushes) gateway.handlePush(push, context);
    });
  };
  const auto limit = [&] {
    const TemporaryFolder folder;
    return plainInsert(folder.file("plain" + std::to_string(round++) + ".db"), pushes);
  };
  const Pair pair = measurePair(
      5, [&] { return durable({.trusted = true, .ingest = false}); }, limit);
  report({"store", kCount / pair.ours, "deltas/s", kCount / pair.limit, Better::higher, 0.5});
  reportFigure("store_untrusted_rate", kCount / durable({}), "deltas/s");
}

const Registration kCursor("cursor_poll_sqlite", "1,000,000 SQLite rows into a gateway / reading them",
                           cursorPollSqlite);
const Registration kDiff("diff_poll", "1,000,000 unchanged rows compared / reading them", diffPoll);
const Registration kStore("store", "durable pushes of 1,000 / a plain prepared insert of the same rows", storeBench);

}  // namespace
}  // namespace tidegate::bench
