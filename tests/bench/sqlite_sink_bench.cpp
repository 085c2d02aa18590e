#include <sqlite3.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "bench/harness.h"
#include "bench/sink_bench.h"
#include "tidegate/sqlite/sink.h"

namespace tidegate::bench {
namespace {

constexpr std::size_t kSinkRows = 500'000, kSinkUnit = 10'000, kSinkBatch = 1'000;

/// On the disk of the working directory, because /tmp may be memory.
class SinkFolder {
 public:
  SinkFolder() {
    std::string pattern = (std::filesystem::current_path() / "tidegate-bench-XXXXXX").string();
    if (!mkdtemp(pattern.data())) throw std::runtime_error("cannot make a temporary folder here");
    path_ = pattern;
  }
  ~SinkFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  SinkFolder(const SinkFolder&) = delete;
  SinkFolder& operator=(const SinkFolder&) = delete;
  std::string file() const { return (path_ / "replica.db").string(); }

 private:
  std::filesystem::path path_;
};

void must(int code, sqlite3* db) {
  if (code != SQLITE_OK && code != SQLITE_DONE && code != SQLITE_ROW) throw std::runtime_error(sqlite3_errmsg(db));
}

void must(sqlite3* db, const char* sql) { must(sqlite3_exec(db, sql, nullptr, nullptr, nullptr), db); }

void plainRow(sqlite3* db, sqlite3_stmt* insert, const std::vector<Value>& row) {
  const auto text = [&](int at, const std::string& v) {
    sqlite3_bind_text(insert, at, v.data(), static_cast<int>(v.size()), SQLITE_STATIC);
  };
  sqlite3_bind_int64(insert, 1, row[0].as<std::int64_t>());
  text(2, row[1].as<std::string>());
  text(3, row[2].as<std::string>());
  sqlite3_bind_int64(insert, 4, row[3].as<std::int64_t>());
  sqlite3_bind_int64(insert, 5, row[4].as<std::int64_t>());
  must(sqlite3_step(insert), db);
  sqlite3_reset(insert);
}

/// The limit: one prepared statement over rows in memory, WAL, synchronous = FULL, the same transactions.
double plainLoop(const std::vector<ChangeBatch>& batches, const char* sql) {
  const SinkFolder folder;
  sqlite3* db = nullptr;
  must(sqlite3_open(folder.file().c_str(), &db), db);
  must(
      db,
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-65536; PRAGMA wal_autocheckpoint=4096; "
      "CREATE TABLE orders(id INTEGER NOT NULL PRIMARY KEY, name TEXT, email TEXT, score INTEGER, updated_at INTEGER)");
  sqlite3_stmt* insert = nullptr;
  must(sqlite3_prepare_v2(db, sql, -1, &insert, nullptr), db);
  const double seconds = secondsOf([&] {
    std::size_t inUnit = 0;
    must(db, "BEGIN IMMEDIATE");
    for (const ChangeBatch& batch : batches) {
      for (const ChangeEvent& event : batch) plainRow(db, insert, event.after);
      if ((inUnit += batch.size()) < kSinkUnit) continue;
      must(db, "COMMIT; BEGIN IMMEDIATE");
      inUnit = 0;
    }
    must(db, "COMMIT");
  });
  sqlite3_finalize(insert);
  sqlite3_close(db);
  return seconds;
}

double throughSink(const std::vector<ChangeBatch>& batches, bool baseline) {
  const SinkFolder folder;
  const auto sink = sqlite::sink({.path = folder.file()});
  sink->open({.pipeline = "bench"});
  sink->prepareTable(orderShape());
  sink->commit("made");
  return secondsOf([&] {
    std::size_t inUnit = 0;
    if (baseline) sink->apply(orderEvent(ChangeOp::baselineBegin));
    for (const ChangeBatch& batch : batches) {
      sink->apply(batch);
      if ((inUnit += batch.size()) < kSinkUnit) continue;
      sink->commit("so far");
      inUnit = 0;
    }
    if (baseline) sink->apply(orderEvent(ChangeOp::baselineEnd));
    sink->commit("done");
  });
}

void sqliteSink() {
  const auto reads = orderBatches(ChangeOp::read, kSinkRows, kSinkBatch);
  const Pair baseline = measurePair(
      5, [&] { return throughSink(reads, true); },
      [&] { return plainLoop(reads, "INSERT INTO orders VALUES(?,?,?,?,?)"); });
  report({"sqlite_sink_baseline", baseline.ours / kSinkRows * 1e9, "ns/row", baseline.limit / kSinkRows * 1e9,
          Better::lower, 1.3});
  const auto inserts = orderBatches(ChangeOp::insert, kSinkRows, kSinkBatch);
  const Pair stream = measurePair(
      5, [&] { return throughSink(inserts, false); },
      [&] {
        return plainLoop(inserts,
                         "INSERT INTO orders VALUES(?,?,?,?,?) ON CONFLICT(id) DO UPDATE SET name = excluded.name, "
                         "email = excluded.email, score = excluded.score, updated_at = excluded.updated_at");
      });
  report({"sqlite_sink_stream", kSinkRows / stream.ours, "upserts/s", kSinkRows / stream.limit, Better::higher, 0.77});
}

const Registration kSqliteSink("sqlite_sink", "rows and changes into a SQLite file / a plain prepared loop of the same",
                               sqliteSink);

}  // namespace
}  // namespace tidegate::bench
