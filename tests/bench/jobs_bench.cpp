#include <sqlite3.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>

#include "bench/poll_bench.h"
#include "tidegate/jobs/replication_jobs.h"
#include "tidegate/mysql/job_driver.h"
#include "tidegate/mysql/query_fn.h"
#include "tidegate/postgres/job_driver.h"
#include "tidegate/postgres/query_fn.h"
#include "tidegate/sqlite/job_store.h"
#include "tidegate/sqlite/sink.h"

namespace tidegate::bench {
namespace {

constexpr std::size_t kJobRows = 1'000'000, kJobPage = 10'000;

std::string variable(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr) throw std::runtime_error(std::string(name) + " is not set: run tests/bench/run.sh");
  return text;
}

std::string freshFile(const std::string& name) {
  const std::string path = (std::filesystem::temp_directory_path() / name).string();
  for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(path + end);
  return path;
}

void require(int code, int wanted) {
  if (code != wanted) throw std::runtime_error(sqlite3_errstr(code));
}

/// The limit: the same driver reads, a prepared statement inserts, transactions of the same size, the same safety.
double plainLoop(const QueryFn& query) {
  const std::string path = freshFile("tidegate-bench-plain.db");
  sqlite3* raw = nullptr;
  require(sqlite3_open(path.c_str(), &raw), SQLITE_OK);
  const std::unique_ptr<sqlite3, int (*)(sqlite3*)> database(raw, sqlite3_close);
  const auto run = [&](const char* sql) { require(sqlite3_exec(raw, sql, nullptr, nullptr, nullptr), SQLITE_OK); };
  run("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
  run("CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT, email TEXT, score INTEGER, updated_at TEXT)");
  sqlite3_stmt* insert = nullptr;
  require(sqlite3_prepare_v2(raw, "INSERT INTO users VALUES (?, ?, ?, ?, ?)", -1, &insert, nullptr), SQLITE_OK);
  const double seconds = secondsOf([&] {
    ResultSet rows = query({.sql = "SELECT id, name, email, score, updated_at FROM users", .wholeResult = true});
    std::vector<Value> row;
    std::size_t inPage = 0;
    run("BEGIN");
    while (rows.next(row)) {
      const std::string at = toIso(row[4].as<Timestamp>());
      sqlite3_bind_int64(insert, 1, row[0].as<std::int64_t>());
      for (int i : {1, 2}) {
        const std::string& text = row[static_cast<std::size_t>(i)].as<std::string>();
        sqlite3_bind_text(insert, i + 1, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
      }
      sqlite3_bind_int64(insert, 4, row[3].as<std::int64_t>());
      sqlite3_bind_text(insert, 5, at.data(), static_cast<int>(at.size()), SQLITE_STATIC);
      require(sqlite3_step(insert), SQLITE_DONE);
      sqlite3_reset(insert);
      if (++inPage % kJobPage == 0) run("COMMIT; BEGIN");
    }
    run("COMMIT");
    if (inPage != kJobRows) throw std::runtime_error("the plain loop lost rows");
  });
  sqlite3_finalize(insert);
  return seconds;
}

double jobRun(const JobSource& source, Dialect dialect, const JobDriver& driver) {
  const std::string replica = freshFile("tidegate-bench-replica.db");
  ReplicationJobs jobs({.store = sqlite::jobStore(freshFile("tidegate-bench-jobs.db")),
                        .key = JobKey::fromBytes(std::string(32, 'k')),
                        .drivers = {{dialect, driver}},
                        .replica = [replica] { return sqlite::sink({.path = replica}); }});
  jobs.create({.name = "users",
               .source = source,
               .table = "users",
               .trackingColumn = "updated_at",
               .cron = "@yearly",
               .batchSize = kJobPage,
               .pageCap = 1'000'000});
  return secondsOf([&] {
    const JobRun run = jobs.run("users");
    if (run.outcome != RunOutcome::ok || run.rowsSynced != kJobRows) {
      throw std::runtime_error("the run: " + run.error.value_or(std::to_string(run.rowsSynced) + " rows"));
    }
  });
}

void jobRunPostgres() {
  const std::string url = variable("TIDEGATE_POSTGRES_URL");
  const QueryFn query = postgres::queryFn({.url = url, .readOnly = false});
  execute(query, {"DROP TABLE IF EXISTS users",
                  "CREATE TABLE users(id bigint PRIMARY KEY, name text, email text, score integer, updated_at "
                  "timestamptz)",
                  "INSERT INTO users SELECT i, 'user-' || i, 'user-' || i || '@example.com', i % 1000, "
                  "'2024-01-01Z'::timestamptz + i * interval '1 millisecond' FROM generate_series(1, 1000000) i",
                  "CREATE INDEX ON users(updated_at, id)", "ANALYZE users"});
  const Pair pair = measurePair(
      3, [&] { return jobRun({.dialect = Dialect::postgres, .dsn = url}, Dialect::postgres, postgres::jobDriver()); },
      [&] { return plainLoop(query); });
  report({"job_run_postgres", kJobRows / pair.ours, "rows/s", kJobRows / pair.limit, Better::higher, 0.6});
  execute(query, {"DROP TABLE users"});
}

void jobRunMysql() {
  const std::string url = variable("TIDEGATE_MYSQL_URL");
  const QueryFn query = mysql::queryFn({.url = url, .readOnly = false});
  execute(query,
          {"DROP TABLE IF EXISTS users",
           "CREATE TABLE users(id bigint PRIMARY KEY, name varchar(40), email varchar(80), score int, updated_at "
           "datetime(6))",
           "INSERT INTO users SELECT seq, concat('user-', seq), concat('user-', seq, '@example.com'), seq % "
           "1000, '2024-01-01' + INTERVAL seq * 1000 MICROSECOND FROM seq_1_to_1000000",
           "CREATE INDEX users_updated_at ON users(updated_at, id)", "ANALYZE TABLE users"});
  const Pair pair = measurePair(
      3, [&] { return jobRun({.dialect = Dialect::mysql, .dsn = url}, Dialect::mysql, mysql::jobDriver()); },
      [&] { return plainLoop(query); });
  report({"job_run_mysql", kJobRows / pair.ours, "rows/s", kJobRows / pair.limit, Better::higher, 0.6});
  execute(query, {"DROP TABLE users"});
}

const Registration kJobsPostgres("job_run_postgres", "1,000,000 Postgres rows by a job into SQLite / a plain loop",
                                 jobRunPostgres);
const Registration kJobsMysql("job_run_mysql", "1,000,000 MariaDB rows by a job into SQLite / a plain loop",
                              jobRunMysql);

}  // namespace
}  // namespace tidegate::bench
