#include <cppconn/connection.h>
#include <cppconn/driver.h>
#include <cppconn/prepared_statement.h>
#include <cppconn/statement.h>
#include <libpq-fe.h>

#include <cstdlib>
#include <memory>
#include <stdexcept>

#include "bench/harness.h"
#include "bench/sink_bench.h"
#include "tidegate/mysql/sink.h"
#include "tidegate/postgres/sink.h"

namespace tidegate::bench {
namespace {

constexpr std::size_t kServerRows = 500'000, kServerUnit = 10'000, kServerBatch = 1'000, kStatementRows = 500;

std::string serverUrl(const char* variable) {
  const char* url = std::getenv(variable);
  if (!url) throw std::runtime_error(std::string(variable) + " is not set: run tests/bench/run.sh");
  return url;
}

void throughServerSink(Sink& sink, const std::vector<ChangeBatch>& batches, bool baseline) {
  std::size_t inUnit = 0;
  if (baseline) sink.apply(orderEvent(ChangeOp::baselineBegin));
  for (const ChangeBatch& batch : batches) {
    sink.apply(batch);
    if ((inUnit += batch.size()) < kServerUnit) continue;
    sink.commit("so far");
    inUnit = 0;
  }
  if (baseline) sink.apply(orderEvent(ChangeOp::baselineEnd));
  sink.commit("done");
}

/// "(…), (…)": marks for `kStatementRows` rows of five columns.
std::string manyMarks(bool numbered) {
  std::string text;
  for (std::size_t i = 0; i < kStatementRows * 5; ++i) {
    text += (i == 0 ? "(" : i % 5 == 0 ? ", (" : ", ") + (numbered ? "$" + std::to_string(i + 1) : "?");
    if (i % 5 == 4) text += ")";
  }
  return text;
}

using Link = std::unique_ptr<PGconn, void (*)(PGconn*)>;

Link linkToPostgres() {
  Link link(PQconnectdb(serverUrl("TIDEGATE_POSTGRES_URL").c_str()), PQfinish);
  PQsetNoticeProcessor(
      link.get(), [](void*, const char*) {}, nullptr);
  if (PQstatus(link.get()) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(link.get()));
  return link;
}

void check(const Link& link, PGresult* result) {
  const std::unique_ptr<PGresult, void (*)(PGresult*)> owned(result, PQclear);
  const ExecStatusType status = PQresultStatus(result);
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) throw std::runtime_error(PQerrorMessage(link.get()));
}
void run(const Link& link, const std::string& sql) { check(link, PQexec(link.get(), sql.c_str())); }

constexpr const char* kPostgresTable =
    "(id bigint PRIMARY KEY, name text, email text, score bigint, updated_at bigint)";

double postgresThroughSink(const std::vector<ChangeBatch>& batches, bool baseline) {
  const Link admin = linkToPostgres();
  run(admin, "DROP TABLE IF EXISTS orders; DROP SCHEMA IF EXISTS _tidegate CASCADE");
  const auto sink = postgres::sink({.connect = {.url = serverUrl("TIDEGATE_POSTGRES_URL")}});
  sink->open({.pipeline = "bench"});
  sink->prepareTable(orderShape());
  sink->commit("made");
  return secondsOf([&] { throughServerSink(*sink, batches, baseline); });
}

/// The limit of a baseline: psql copies the same rows from one table into another like it.
double psqlCopies() {
  const Link admin = linkToPostgres();
  run(admin, std::string("DROP TABLE IF EXISTS plain; CREATE TABLE plain ") + kPostgresTable);
  const std::string psql = "psql -qX \"$TIDEGATE_POSTGRES_URL\" -c ";
  const std::string command = psql + "'COPY orders TO STDOUT' | " + psql + "'COPY plain FROM STDIN'";
  return secondsOf([&] {
    if (std::system(command.c_str()) != 0) throw std::runtime_error("psql failed");
  });
}

/// The limit of a stream: a prepared statement of 500 rows, values as text, transactions of the same size.
double postgresPlainUpserts(const std::vector<ChangeBatch>& batches) {
  const Link link = linkToPostgres();
  run(link, std::string("DROP TABLE IF EXISTS plain; CREATE TABLE plain ") + kPostgresTable);
  const std::string sql = "INSERT INTO plain VALUES " + manyMarks(true) +
                          " ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, email = EXCLUDED.email, score = "
                          "EXCLUDED.score, updated_at = EXCLUDED.updated_at";
  check(link, PQprepare(link.get(), "upsert", sql.c_str(), 0, nullptr));
  return secondsOf([&] {
    std::vector<std::string> texts(kStatementRows * 5);
    std::vector<const char*> values(texts.size());
    std::size_t at = 0, inUnit = 0;
    run(link, "BEGIN");
    for (const ChangeBatch& batch : batches) {
      for (const ChangeEvent& event : batch) {
        for (const Value& v : event.after) {
          const auto* whole = v.getIf<std::int64_t>();
          texts[at] = whole != nullptr ? std::to_string(*whole) : v.as<std::string>();
          values[at] = texts[at].c_str();
          ++at;
        }
        if (at < texts.size()) continue;
        check(link, PQexecPrepared(link.get(), "upsert", static_cast<int>(at), values.data(), nullptr, nullptr, 0));
        at = 0;
      }
      if ((inUnit += batch.size()) < kServerUnit) continue;
      run(link, "COMMIT; BEGIN");
      inUnit = 0;
    }
    run(link, "COMMIT");
  });
}

void postgresSink() {
  const auto reads = orderBatches(ChangeOp::read, kServerRows, kServerBatch);
  postgresThroughSink(reads, true);  // leaves the table that psql copies
  const Pair baseline = measurePair(
      5, [&] { return postgresThroughSink(reads, true); }, psqlCopies);
  report({"postgres_sink_baseline", baseline.ours / kServerRows * 1e9, "ns/row", baseline.limit / kServerRows * 1e9,
          Better::lower, 1.3});
  const auto inserts = orderBatches(ChangeOp::insert, kServerRows, kServerBatch);
  const Pair stream = measurePair(
      5, [&] { return postgresThroughSink(inserts, false); }, [&] { return postgresPlainUpserts(inserts); });
  report({"postgres_sink_stream", kServerRows / stream.ours, "upserts/s", kServerRows / stream.limit, Better::higher,
          0.8});
}

std::unique_ptr<sql::Connection> linkToMysql() {
  // The url of with_servers.sh: mysql://user:password@localhost:port/database?socket=…; the port is TCP's.
  const std::string url = serverUrl("TIDEGATE_MYSQL_URL");
  const auto colon = url.find(':', 8), at = url.find('@');
  sql::ConnectOptionsMap map;
  map["hostName"] = sql::SQLString("unix://" + serverUrl("TIDEGATE_SERVERS_DIR") + "/run/mysql.sock");
  map["userName"] = sql::SQLString(url.substr(8, colon - 8));
  map["password"] = sql::SQLString(url.substr(colon + 1, at - colon - 1));
  map["schema"] = sql::SQLString("tidegate");
  return std::unique_ptr<sql::Connection>(get_driver_instance()->connect(map));
}

void run(sql::Connection& link, const std::string& sql) {
  const std::unique_ptr<sql::Statement> statement(link.createStatement());
  statement->execute(sql);
}

double mysqlThroughSink(const std::vector<ChangeBatch>& batches, bool baseline) {
  const auto admin = linkToMysql();
  run(*admin, "DROP TABLE IF EXISTS orders");
  const auto sink = mysql::sink({.connect = {.url = serverUrl("TIDEGATE_MYSQL_URL")}});
  sink->open({.pipeline = "bench"});
  sink->prepareTable(orderShape());
  sink->commit("made");
  return secondsOf([&] { throughServerSink(*sink, batches, baseline); });
}

/// The limit: Connector/C++, a prepared statement of 500 rows, transactions of the same size, the same table.
double mysqlPlainUpserts(const std::vector<ChangeBatch>& batches) {
  const auto link = linkToMysql();
  run(*link, "DROP TABLE IF EXISTS plain");
  run(*link, "CREATE TABLE plain LIKE orders");
  const std::unique_ptr<sql::PreparedStatement> upsert(
      link->prepareStatement("INSERT INTO plain VALUES " + manyMarks(false) +
                             " ON DUPLICATE KEY UPDATE name = VALUES(name), email = VALUES(email), score = "
                             "VALUES(score), updated_at = VALUES(updated_at)"));
  return secondsOf([&] {
    unsigned at = 0;
    std::size_t inUnit = 0;
    run(*link, "START TRANSACTION");
    for (const ChangeBatch& batch : batches) {
      for (const ChangeEvent& event : batch) {
        for (const Value& v : event.after) {
          if (const auto* whole = v.getIf<std::int64_t>())
            upsert->setInt64(++at, *whole);
          else
            upsert->setString(++at, v.as<std::string>());
        }
        if (at < kStatementRows * 5) continue;
        upsert->executeUpdate();
        at = 0;
      }
      if ((inUnit += batch.size()) < kServerUnit) continue;
      run(*link, "COMMIT");
      run(*link, "START TRANSACTION");
      inUnit = 0;
    }
    run(*link, "COMMIT");
  });
}

void mysqlSink() {
  for (const bool baseline : {true, false}) {
    const auto batches = orderBatches(baseline ? ChangeOp::read : ChangeOp::insert, kServerRows, kServerBatch);
    mysqlThroughSink(batches, baseline);  // leaves the table that the plain loop's is like
    const Pair pair = measurePair(
        3, [&] { return mysqlThroughSink(batches, baseline); }, [&] { return mysqlPlainUpserts(batches); });
    report({baseline ? "mysql_sink_baseline" : "mysql_sink_stream", kServerRows / pair.ours, "rows/s",
            kServerRows / pair.limit, Better::higher, 0.8});
  }
}

const Registration kPostgresSink("postgres_sink",
                                 "500,000 rows into Postgres / psql's COPY out | COPY in; plain upserts", postgresSink);
const Registration kMysqlSink("mysql_sink", "500,000 rows into MariaDB / plain prepared upserts of 500 rows",
                              mysqlSink);

}  // namespace
}  // namespace tidegate::bench
