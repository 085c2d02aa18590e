#include "bench/harness.h"
#include "bench/sink_bench.h"
#include "tidegate/sink/memory_sink.h"

namespace tidegate::bench {
namespace {

constexpr std::size_t kMemoryRows = 1'000'000, kMemoryBatch = 1'000, kMemoryUnit = 10'000;

/// Batches as a source that has just filled them gives them: a few that are used again, each with rows of its own.
double throughMemory(std::vector<ChangeBatch>& batches, MemorySink& sink) {
  return secondsOf([&] {
    for (std::size_t row = 0; row < kMemoryRows;) {
      ChangeBatch& batch = batches[row / kMemoryBatch % batches.size()];
      for (ChangeEvent& event : batch) event.after[0] = static_cast<std::int64_t>(row++);
      sink.apply(batch);
      if (row % kMemoryUnit == 0) sink.commit("so far");
    }
  });
}

double baseline(std::vector<ChangeBatch>& batches, double& bytes) {
  MemorySink sink;
  sink.open({.pipeline = "bench"});
  sink.prepareTable(orderShape());
  sink.apply(orderEvent(ChangeOp::baselineBegin));
  const double seconds = throughMemory(batches, sink);
  bytes = static_cast<double>(sink.bytes());
  return seconds;
}

/// The limit is a budget: 1,000,000 rows in half a second on two cores leave the sink 200 ns a row.
void memorySink() {
  auto reads = orderBatches(ChangeOp::read, 2 * kMemoryUnit, kMemoryBatch);
  std::vector<double> first, again;
  double bytes = 0;
  for (int round = 0; round < 5; ++round) {
    first.push_back(baseline(reads, bytes));
    MemorySink sink;
    sink.open({.pipeline = "bench"});
    sink.prepareTable(orderShape());
    throughMemory(reads, sink);
    again.push_back(throughMemory(reads, sink));
  }
  report({"memory_sink", median(first) / kMemoryRows * 1e9, "ns/row", 200, Better::lower, 1.0});
  reportFigure("memory_sink_same_rows_again", median(again) / kMemoryRows * 1e9, "ns/row");
  reportFigure("memory_sink_bytes", bytes / kMemoryRows, "bytes/row");
}

const Registration kMemorySink("memory_sink", "1,000,000 rows into memory / a budget of 200 ns a row", memorySink);

}  // namespace
}  // namespace tidegate::bench
