#include <cstdlib>

#include "bench/poll_bench.h"
#include "tidegate/mysql/query_fn.h"
#include "tidegate/postgres/query_fn.h"

namespace tidegate::bench {
namespace {

std::string urlFrom(const char* variable) {
  const char* url = std::getenv(variable);
  if (!url) throw std::runtime_error(std::string(variable) + " is not set: run tests/bench/run.sh");
  return url;
}

void cursorPollPostgres() {
  const QueryFn query = postgres::queryFn({.url = urlFrom("TIDEGATE_POSTGRES_URL"), .readOnly = false});
  execute(query, {"DROP TABLE IF EXISTS users",
                  "CREATE TABLE users(id bigint, name text, email text, score integer, updated_at timestamptz)",
                  "INSERT INTO users SELECT i, 'user-' || i, 'user-' || i || '@example.com', i % 1000, "
                  "'2024-01-01Z'::timestamptz + i * interval '1 millisecond' FROM generate_series(1, 1000000) i",
                  "CREATE INDEX ON users(updated_at, id)", "ANALYZE users"});
  cursorPollBench("cursor_poll_postgres", query);
  execute(query, {"DROP TABLE users"});
}

void cursorPollMysql() {
  const QueryFn query = mysql::queryFn({.url = urlFrom("TIDEGATE_MYSQL_URL"), .readOnly = false});
  execute(query,
          {"DROP TABLE IF EXISTS users",
           "CREATE TABLE users(id bigint PRIMARY KEY, name varchar(40), email varchar(80), score int, updated_at "
           "datetime(6))",
           "INSERT INTO users SELECT seq, concat('user-', seq), concat('user-', seq, '@example.com'), seq % "
           "1000, '2024-01-01' + INTERVAL seq * 1000 MICROSECOND FROM seq_1_to_1000000",
           "CREATE INDEX users_updated_at ON users(updated_at, id)", "ANALYZE TABLE users"});
  cursorPollBench("cursor_poll_mysql", query);
  execute(query, {"DROP TABLE users"});
}

const Registration kPostgres("cursor_poll_postgres", "1,000,000 Postgres rows into a gateway / reading them",
                             cursorPollPostgres);
const Registration kMysql("cursor_poll_mysql", "1,000,000 MariaDB rows into a gateway / reading them", cursorPollMysql);

}  // namespace
}  // namespace tidegate::bench
