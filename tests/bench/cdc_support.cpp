#include <cstdlib>
#include <stdexcept>

#include "bench/cdc_bench.h"

namespace tidegate::bench {

std::string sourceUrl() {
  const char* url = std::getenv("TIDEGATE_POSTGRES_URL");
  if (!url) throw std::runtime_error("TIDEGATE_POSTGRES_URL is not set: run tests/bench/run.sh");
  return url;
}

QueryFn sourceWriter() {
  return postgres::queryFn({.url = sourceUrl(), .statementTimeout = std::chrono::minutes(10), .readOnly = false});
}

std::string askText(const QueryFn& query, const std::string& sql) {
  ResultSet rows = query({.sql = sql});
  std::vector<Value> row;
  if (!rows.next(row) || row.empty()) throw std::runtime_error("no answer to " + sql);
  std::string text = row[0].getIf<std::string>() ? row[0].as<std::string>() : describe(row[0]);
  while (rows.next(row)) {
  }
  return text;
}

std::shared_ptr<SyncSource> benchSource() {
  return postgres::source({.connect = {.url = sourceUrl()},
                           .slot = "tidegate_bench",
                           .publication = {.name = "tidegate_bench"},
                           .baseline = {.chunkedFromRows = UINT64_MAX}});
}

void clearBench() {
  const QueryFn query = sourceWriter();
  execute(
      query,
      {"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name LIKE 'tidegate_bench%'",
       "DROP PUBLICATION IF EXISTS tidegate_bench", "DROP TABLE IF EXISTS bench"});
}

void CommitCounter::onCommit(std::string_view, std::uint64_t events, std::chrono::microseconds) {
  const std::lock_guard lock(mutex_);
  events_ += events;
  if (events_ >= awaited_) changed_.notify_all();
}

void CommitCounter::onIsolated(std::string_view, const Error& error) {
  const std::lock_guard lock(mutex_);
  failure_ = error.what();
  changed_.notify_all();
}

void CommitCounter::await(std::uint64_t events) {
  std::unique_lock lock(mutex_);
  awaited_ = events;
  changed_.wait(lock, [&] { return events_ >= events || !failure_.empty(); });
  if (!failure_.empty()) throw std::runtime_error(failure_);
}

BenchEngine::BenchEngine(std::shared_ptr<Sink> sink)
    : engine({.sources = {{.name = "postgres", .source = benchSource()}},
              .pipelines = {{.name = "bench",
                             .source = "postgres",
                             .tables = {{.table = "public.bench"}},
                             .sink = std::move(sink)}},
              .observer = counter}) {}

}  // namespace tidegate::bench
