#include "bench/harness.h"
#include "bench/sink_bench.h"
#include "tidegate/sink/gateway_sink.h"

namespace tidegate::bench {
namespace {

constexpr std::size_t kFeedRows = 500'000, kFeedBatch = 1'000, kFeedUnit = 10'000;

double throughGateway(std::vector<ChangeBatch>& batches) {
  Gateway gateway;
  GatewaySink sink(gateway);
  sink.open({.pipeline = "bench"});
  return secondsOf([&] {
    for (std::size_t row = 0; row < kFeedRows;) {
      ChangeBatch& batch = batches[row / kFeedBatch % batches.size()];
      for (ChangeEvent& event : batch) event.after[0] = static_cast<std::int64_t>(row++);
      sink.apply(batch);
      if (row % kFeedUnit == 0) sink.commit("so far");
    }
  });
}

/// The limit is a budget: `pg_stream` into a gateway may take twice what pg_recvlogical takes, which drains at best
/// 405,000 rows a second, so the sink must take 202,500.
void gatewaySink() {
  auto inserts = orderBatches(ChangeOp::insert, 2 * kFeedUnit, kFeedBatch);
  std::vector<double> seconds;
  for (int round = 0; round < 5; ++round) seconds.push_back(throughGateway(inserts));
  report({"gateway_sink", kFeedRows / median(seconds), "changes/s", 202'500, Better::higher, 1.0});
}

const Registration kGatewaySink("gateway_sink", "changes into a gateway / a budget of 202,500 a second", gatewaySink);

}  // namespace
}  // namespace tidegate::bench
