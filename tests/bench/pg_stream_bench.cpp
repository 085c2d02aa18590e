// Draining a slot: pg_recvlogical to /dev/null against an engine into each sink.
#include <fmt/format.h>

#include <cstdio>

#include "bench/cdc_bench.h"
#include "bench/child_process.h"
#include "bench/harness.h"
#include "tidegate/gateway/gateway.h"
#include "tidegate/sink/gateway_sink.h"
#include "tidegate/sink/memory_sink.h"
#include "tidegate/sqlite/sink.h"

namespace tidegate::bench {
namespace {

constexpr std::uint64_t kRows = 1'000'000;
constexpr int kRounds = 5;
constexpr const char* kTable =
    "CREATE TABLE bench(id bigint PRIMARY KEY, name text, amount integer, price numeric(10,2), at timestamptz)";

/// 1,000 transactions of 1,000 inserts each, all on disk before anybody reads them.
void insertRows(const QueryFn& writer) {
  execute(writer,
          {"DO $$ BEGIN FOR t IN 0..999 LOOP INSERT INTO bench SELECT t * 1000 + n, 'name ' || n, n, n / 100.0, "
           "now() FROM generate_series(1, 1000) n; COMMIT; END LOOP; END $$",
           "CHECKPOINT"});
}

/// The peer's slot stands where ours does, so both read the same octets of log.
void copySlot(const QueryFn& writer) {
  execute(writer, {"SELECT pg_copy_logical_replication_slot('tidegate_bench', 'tidegate_bench_peer')"});
}

/// With the plugin options that our source asks for.
double peerSeconds(const QueryFn& writer) {
  const std::string end = askText(writer, "SELECT pg_current_wal_insert_lsn()::text");
  const double seconds = secondsOf([&] {
    runCommand(
        fmt::format("pg_recvlogical -d '{}' --slot tidegate_bench_peer --start --no-loop -o proto_version=3 "
                    "-o streaming=on -o messages=true -o publication_names=tidegate_bench --endpos={} -f /dev/null",
                    sourceUrl(), end));
  });
  execute(writer, {"SELECT pg_drop_replication_slot('tidegate_bench_peer')"});
  return seconds;
}

/// From the engine's start to the last row durable. The table is emptied again afterwards, outside the measurement.
double oursSeconds(const QueryFn& writer, std::shared_ptr<Sink> sink) {
  BenchEngine drain(std::move(sink));
  const double seconds = secondsOf([&] {
    drain.engine.start();
    drain.counter->await(kRows);
  });
  execute(writer, {"TRUNCATE bench"});
  drain.counter->await(kRows + 1);
  drain.engine.stop();
  return seconds;
}

/// @param sink gives the same target each time, so that the engine finds its checkpoint.
void streamBench(const std::string& name, double bar, const std::function<std::shared_ptr<Sink>()>& sink) {
  clearBench();
  const QueryFn writer = sourceWriter();
  execute(writer, {kTable});
  {  // makes slot, publication and checkpoint
    BenchEngine first(sink());
    first.engine.start();
    first.engine.awaitReady(std::chrono::minutes(1));
    first.engine.stop();
  }
  std::vector<double> ours, limit;
  for (int round = 0; round < kRounds; ++round) {
    insertRows(writer);
    copySlot(writer);
    if (round % 2 == 0) limit.push_back(peerSeconds(writer));
    ours.push_back(oursSeconds(writer, sink()));
    if (round % 2 != 0) limit.push_back(peerSeconds(writer));
  }
  report({name, median(ours) * 1e9 / kRows, "ns/insert", median(limit) * 1e9 / kRows, Better::lower, bar});
  clearBench();
}

void intoMemory() {
  const auto sink = std::make_shared<MemorySink>();
  streamBench("pg_stream_memory", 1.15, [&] { return sink; });
}

void intoSqlite() {
  const std::string path = "/tmp/tidegate-bench-stream.db";
  const auto removeAll = [&] {
    for (const char* suffix : {"", "-wal", "-shm"}) std::remove((path + suffix).c_str());
  };
  removeAll();
  streamBench("pg_stream_sqlite", 1.5, [&] { return sqlite::sink({.path = path}); });
  removeAll();
}

void intoGateway() {
  Gateway gateway;
  streamBench("pg_stream_gateway", 2.0, [&] { return std::make_shared<GatewaySink>(gateway); });
}

const Registration kMemory("pg_stream_memory", "draining 1,000,000 inserts into MemorySink / pg_recvlogical",
                           intoMemory);
const Registration kSqlite("pg_stream_sqlite", "draining 1,000,000 inserts into SqliteSink / pg_recvlogical",
                           intoSqlite);
const Registration kGateway("pg_stream_gateway", "draining 1,000,000 inserts into a gateway / pg_recvlogical",
                            intoGateway);

}  // namespace
}  // namespace tidegate::bench
