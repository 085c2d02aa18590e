// Reading a table whole: psql's COPY against an engine's baseline.
#include <fmt/format.h>
#include <sqlite3.h>

#include <cstdio>
#include <cstdlib>

#include "bench/cdc_bench.h"
#include "bench/child_process.h"
#include "bench/harness.h"
#include "tidegate/postgres/sink.h"
#include "tidegate/sink/memory_sink.h"
#include "tidegate/sqlite/sink.h"

namespace tidegate::bench {
namespace {

constexpr std::uint64_t kRows = 1'000'000;

void makeTable() {
  clearBench();
  execute(
      sourceWriter(),
      {"CREATE TABLE bench(id bigint PRIMARY KEY, name text, amount integer, price double precision, at timestamptz)",
       fmt::format("INSERT INTO bench SELECT n, 'name ' || n, n % 1000, n / 3.0, now() FROM generate_series(1, {}) n",
                   kRows),
       "VACUUM ANALYZE bench"});
}

double baselineSeconds(std::shared_ptr<Sink> sink) {
  BenchEngine bench(std::move(sink));
  const double seconds = secondsOf([&] {
    bench.engine.start();
    bench.counter->await(kRows);
    bench.engine.awaitReady(std::chrono::minutes(5));
  });
  bench.engine.stop();
  execute(sourceWriter(), {"SELECT pg_drop_replication_slot('tidegate_bench')"});
  return seconds;
}

void intoMemory() {
  makeTable();
  const Pair pair = measurePair(
      5, [] { return baselineSeconds(std::make_shared<MemorySink>()); },
      [] {
        return secondsOf(
            [] { runCommand(fmt::format("psql -qX '{}' -c 'COPY bench TO STDOUT' >/dev/null", sourceUrl())); });
      });
  report({"pg_baseline_memory", pair.ours * 1e9 / kRows, "ns/row", pair.limit * 1e9 / kRows, Better::lower, 1.3});
  clearBench();
}

/// A database of its own beside the source's.
std::string replicaUrl() {
  const std::string url = sourceUrl();
  return url.substr(0, url.rfind('/')) + "/tidegate_bench_replica";
}

void intoPostgres() {
  makeTable();
  execute(sourceWriter(), {"DROP DATABASE IF EXISTS tidegate_bench_replica", "CREATE DATABASE tidegate_bench_replica"});
  const std::string out = sourceUrl(), in = replicaUrl();
  const QueryFn replica = postgres::queryFn({.url = in, .readOnly = false});
  const Pair pair = measurePair(
      5,
      [&] {
        execute(replica, {"DROP TABLE IF EXISTS bench", "DROP SCHEMA IF EXISTS _tidegate CASCADE"});
        return baselineSeconds(postgres::sink({.connect = {.url = in}}));
      },
      [&] {
        execute(replica, {"DROP TABLE IF EXISTS bench",
                          "CREATE TABLE bench(id bigint PRIMARY KEY, name text, amount integer, price double "
                          "precision, at timestamptz)"});
        return secondsOf([&] {
          runCommand(fmt::format("psql -qX '{}' -c 'COPY bench TO STDOUT' | psql -qX '{}' -c 'COPY bench FROM STDIN'",
                                 out, in));
        });
      });
  report({"pg_baseline_postgres", pair.ours * 1e9 / kRows, "ns/row", pair.limit * 1e9 / kRows, Better::lower, 1.3});
  clearBench();
}

void removeDatabase(const std::string& path) {
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) std::remove((path + suffix).c_str());
}

struct PlainRow {
  std::int64_t id;
  std::string name;
  std::int64_t amount;
  double price;
  std::string at;
};

void check(int code) {
  if (code != SQLITE_OK && code != SQLITE_DONE) throw std::runtime_error(sqlite3_errstr(code));
}

/// The limit: rows that are in memory already, one prepared insert, transactions of 10,000 as the engine's.
double plainInsertSeconds(const std::string& path, const std::vector<PlainRow>& rows) {
  removeDatabase(path);
  return secondsOf([&] {
    sqlite3* db = nullptr;
    check(sqlite3_open(path.c_str(), &db));
    check(
        sqlite3_exec(db,
                     "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE bench(id INTEGER PRIMARY KEY, "
                     "name TEXT, amount INTEGER, price REAL, at TEXT); BEGIN",
                     nullptr, nullptr, nullptr));
    sqlite3_stmt* insert = nullptr;
    check(sqlite3_prepare_v2(db, "INSERT INTO bench VALUES (?, ?, ?, ?, ?)", -1, &insert, nullptr));
    std::size_t count = 0;
    for (const PlainRow& row : rows) {
      sqlite3_bind_int64(insert, 1, row.id);
      sqlite3_bind_text(insert, 2, row.name.data(), static_cast<int>(row.name.size()), SQLITE_STATIC);
      sqlite3_bind_int64(insert, 3, row.amount);
      sqlite3_bind_double(insert, 4, row.price);
      sqlite3_bind_text(insert, 5, row.at.data(), static_cast<int>(row.at.size()), SQLITE_STATIC);
      check(sqlite3_step(insert));
      sqlite3_reset(insert);
      if (++count % 10'000 == 0) check(sqlite3_exec(db, "COMMIT; BEGIN", nullptr, nullptr, nullptr));
    }
    check(sqlite3_exec(db, "COMMIT", nullptr, nullptr, nullptr));
    sqlite3_finalize(insert);
    sqlite3_close(db);
  });
}

void intoSqlite() {
  makeTable();
  std::vector<PlainRow> rows;
  rows.reserve(kRows);
  for (std::uint64_t n = 1; n <= kRows; ++n) {
    rows.push_back({static_cast<std::int64_t>(n), fmt::format("name {}", n), static_cast<std::int64_t>(n % 1000),
                    static_cast<double>(n) / 3.0, "2026-01-01T00:00:00.123456Z"});
  }
  const std::string ours = "/tmp/tidegate-bench-baseline.db", plain = "/tmp/tidegate-bench-plain.db";
  const Pair pair = measurePair(
      5,
      [&] {
        removeDatabase(ours);
        return baselineSeconds(sqlite::sink({.path = ours}));
      },
      [&] { return plainInsertSeconds(plain, rows); });
  report({"pg_baseline_sqlite", pair.ours * 1e9 / kRows, "ns/row", pair.limit * 1e9 / kRows, Better::lower, 1.3});
  removeDatabase(ours);
  removeDatabase(plain);
  clearBench();
}

const Registration kMemory("pg_baseline_memory", "1,000,000 rows into MemorySink / psql COPY TO STDOUT", intoMemory);
const Registration kPostgres("pg_baseline_postgres", "1,000,000 rows into PostgresSink / psql COPY | psql COPY",
                             intoPostgres);
const Registration kSqlite("pg_baseline_sqlite", "1,000,000 rows into SqliteSink / a plain prepared insert",
                           intoSqlite);

}  // namespace
}  // namespace tidegate::bench
