// The binlog into MemorySink against libmariadb's own fetch loop, and a baseline against an unbuffered read.
#include <mysql.h>
// Needs mysql.h before it.
#include <mariadb_rpl.h>

#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>

#include "bench/cdc_bench.h"
#include "bench/harness.h"
#include "bench/kept_memory.h"
#include "mysql/detail/options.h"
#include "tidegate/mysql/query_fn.h"
#include "tidegate/mysql/source.h"
#include "tidegate/sink/memory_sink.h"

namespace tidegate::bench {
namespace {

constexpr std::uint64_t kRows = 1'000'000;
constexpr int kRounds = 7;
constexpr const char* kTable =
    "CREATE TABLE bench(id BIGINT PRIMARY KEY, name VARCHAR(40), amount INT, price DECIMAL(10,2), at DATETIME(6))";

mysql::ConnectOptions serverOptions() {
  const char* url = std::getenv("TIDEGATE_MYSQL_URL");
  if (url == nullptr) throw std::runtime_error("TIDEGATE_MYSQL_URL is not set: run tests/bench/run.sh");
  return {.url = url, .statementTimeout = std::chrono::minutes(10), .readOnly = false};
}

QueryFn makeTable() {
  QueryFn writer = mysql::queryFn(serverOptions());
  execute(writer,
          {"CREATE DATABASE IF NOT EXISTS tidegate_bench", "USE tidegate_bench", "DROP TABLE IF EXISTS bench", kTable});
  return writer;
}

/// 1,000 transactions of 1,000 rows. Statement by statement each row is an event of its own, with a TABLE_MAP before
/// it; by INSERT … SELECT as many rows share an event as fit 8 KiB.
void insertRows(const QueryFn& writer, bool together) {
  const std::string row = "t * 1000 + n, CONCAT('name ', n), n, n / 100.0, NOW(6)";
  execute(
      writer,
      {together
           ? "BEGIN NOT ATOMIC FOR t IN 0..999 DO INSERT INTO bench SELECT t * 1000 + seq, CONCAT('name ', seq), seq, "
             "seq / 100.0, NOW(6) FROM seq_1_to_1000; END FOR; END"
           : "BEGIN NOT ATOMIC FOR t IN 0..999 DO START TRANSACTION; FOR n IN 1..1000 DO INSERT INTO bench VALUES (" +
                 row + "); END FOR; COMMIT; END FOR; END"});
}

using Handle = std::unique_ptr<MYSQL, decltype(&mysql_close)>;

Handle connectBare() {
  const mysql::ConnectOptions options = mysql::detail::resolve(serverOptions());
  Handle handle(mysql_init(nullptr), &mysql_close);
  if (mysql_real_connect(handle.get(), nullptr, options.user.c_str(), options.password.c_str(), "tidegate_bench", 0,
                         options.unixSocket.c_str(), 0) == nullptr) {
    throw std::runtime_error(mysql_error(handle.get()));
  }
  return handle;
}

void bare(MYSQL* handle, const std::string& sql) {
  if (mysql_query(handle, sql.c_str()) != 0) throw std::runtime_error(mysql_error(handle));
}

/// The library's own loop: it fetches and frees, and nobody looks at the events.
double fetchSeconds(const std::string& from, std::uint64_t transactions) {
  const Handle handle = connectBare();
  bare(handle.get(), "SET @mariadb_slave_capability = 4, @master_binlog_checksum = 'CRC32'");
  bare(handle.get(), "SET @slave_connect_state = '" + from + "'");
  const std::unique_ptr<MARIADB_RPL, decltype(&mariadb_rpl_close)> binlog(mariadb_rpl_init(handle.get()),
                                                                          &mariadb_rpl_close);
  // A server that meets an id again waits for the reader it was sending to first.
  static unsigned int id = 4'711;
  mariadb_rpl_optionsv(binlog.get(), MARIADB_RPL_SERVER_ID, ++id);
  mariadb_rpl_optionsv(binlog.get(), MARIADB_RPL_START, 4UL);
  if (mariadb_rpl_open(binlog.get()) != 0) throw std::runtime_error(mysql_error(handle.get()));
  return secondsOf([&] {
    MARIADB_RPL_EVENT* event = nullptr;
    for (std::uint64_t seen = 0; seen < transactions;) {
      event = mariadb_rpl_fetch(binlog.get(), event);
      if (event == nullptr) throw std::runtime_error(mysql_error(handle.get()));
      if (event->event_type == XID_EVENT) ++seen;
    }
    mariadb_free_rpl_event(event);
  });
}

struct MysqlEngine {
  explicit MysqlEngine(std::shared_ptr<Sink> sink, std::uint64_t chunkedFromRows = UINT64_MAX)
      : engine({.sources = {{.name = "mysql",
                             .source = mysql::source(
                                 {.connect = serverOptions(), .baseline = {.chunkedFromRows = chunkedFromRows}})}},
                .pipelines = {{.name = "bench",
                               .source = "mysql",
                               .tables = {{.table = "tidegate_bench.bench"}},
                               .sink = std::move(sink)}},
                .observer = counter}) {}
  std::shared_ptr<CommitCounter> counter = std::make_shared<CommitCounter>();
  Engine engine;
};

/// The sink's checkpoint is behind all that is in the binlog.
void passOver(const QueryFn& writer, const std::shared_ptr<MemorySink>& sink) {
  MysqlEngine reader(sink);
  reader.engine.start();
  execute(writer, {"TRUNCATE TABLE bench"});
  reader.counter->await(kRows + 1);
  reader.engine.stop();
}

/// @param before rows that the file holds before the place where the stream begins: servers search it from its begin.
/// @param bar 0: none, only the figures.
void stream(const std::string& name, bool together, std::uint64_t before, double bar) {
  // Else the host's price for pages is what shows, to our reader and to the server that sends (docs/performance.md).
  const KeptMemory kept;
  const QueryFn writer = makeTable();
  const auto sink = std::make_shared<MemorySink>();
  {  // makes the checkpoint
    MysqlEngine first(sink);
    first.engine.start();
    first.engine.awaitReady(std::chrono::minutes(1));
    first.engine.stop();
  }
  std::vector<double> ours, limit;
  for (int round = 0; round < kRounds; ++round) {
    // A file of the round's own: the server searches no more than `before`, which else would be half of both figures.
    execute(writer, {"FLUSH BINARY LOGS"});
    if (before > 0) insertRows(writer, together);
    if (before > 0) passOver(writer, sink);
    const std::string from = askText(writer, "SELECT @@gtid_binlog_pos");
    insertRows(writer, together);
    fetchSeconds(from, 1'000);  // whoever reads first beside the server's writing of what was inserted is slower
    const auto fetch = [&] { limit.push_back(fetchSeconds(from, 1'000)); };
    if (round % 2 == 0) fetch();
    {
      MysqlEngine drain(sink);
      ours.push_back(secondsOf([&] {
        drain.engine.start();
        drain.counter->await(kRows);
      }));
      if (round % 2 != 0) fetch();
      execute(writer, {"TRUNCATE TABLE bench"});
      drain.counter->await(kRows + 1);
      drain.engine.stop();
    }
  }
  if (bar > 0) {
    report({name, median(ours) * 1e9 / kRows, "ns/row", median(limit) * 1e9 / kRows, Better::lower, bar});
  } else {
    reportFigure(name, median(ours) * 1e9 / kRows, "ns/row");
    reportFigure(name + "_fetch", median(limit) * 1e9 / kRows, "ns/row");
  }
  execute(writer, {"DROP TABLE bench"});
}

void streamRowEvents() { stream("mysql_stream", false, 0, 1.3); }
void streamWithin() { stream("mysql_stream_within_file", false, kRows, 0); }
void streamPacked() { stream("mysql_stream_packed", true, 0, 0); }

/// @param bar 0: none, only the figure.
void baseline(const std::string& name, std::uint64_t chunkedFromRows, double bar) {
  const KeptMemory kept;
  const QueryFn writer = makeTable();
  insertRows(writer, true);
  const Pair pair = measurePair(
      5,
      [&] {
        MysqlEngine bench(std::make_shared<MemorySink>(), chunkedFromRows);
        const double seconds = secondsOf([&] {
          bench.engine.start();
          bench.counter->await(kRows);
          bench.engine.awaitReady(std::chrono::minutes(5));
        });
        bench.engine.stop();
        return seconds;
      },
      [] {
        const Handle handle = connectBare();
        return secondsOf([&] {
          bare(handle.get(), "SELECT * FROM bench");
          MYSQL_RES* const rows = mysql_use_result(handle.get());
          std::uint64_t count = 0;
          while (mysql_fetch_row(rows) != nullptr) ++count;
          mysql_free_result(rows);
          if (count != kRows) throw std::runtime_error("the benchmark's table has another number of rows");
        });
      });
  if (bar > 0) {
    report({name, pair.ours * 1e9 / kRows, "ns/row", pair.limit * 1e9 / kRows, Better::lower, bar});
  } else {
    reportFigure(name, pair.ours * 1e9 / kRows, "ns/row");
    reportFigure(name + "_bare", pair.limit * 1e9 / kRows, "ns/row");
  }
  execute(writer, {"DROP TABLE bench"});
}

const Registration kStream("mysql_stream", "1,000,000 row events of the binlog into MemorySink / mariadb_rpl_fetch",
                           streamRowEvents);
const Registration kWithin("mysql_stream_within_file",
                           "the same behind 1,000,000 rows, which the server searches first (no bar)", streamWithin);
const Registration kPacked("mysql_stream_packed", "the same rows, hundreds to an event (no bar: a figure)",
                           streamPacked);
void baselineWhole() { baseline("mysql_baseline", UINT64_MAX, 1.3); }
void baselineChunked() { baseline("mysql_baseline_chunked", 0, 0); }

const Registration kBaseline("mysql_baseline", "a baseline of 1,000,000 rows into MemorySink / mysql_use_result",
                             baselineWhole);
const Registration kChunked("mysql_baseline_chunked", "the same in ranges beside the stream (no bar: a figure)",
                            baselineChunked);

}  // namespace
}  // namespace tidegate::bench
