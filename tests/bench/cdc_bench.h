/// What the benchmarks of change data capture share.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bench/poll_bench.h"
#include "tidegate/core/query.h"
#include "tidegate/engine/engine.h"
#include "tidegate/postgres/source.h"

namespace tidegate::bench {

/// The source's URL. @throws std::runtime_error if the servers are not there.
std::string sourceUrl();
/// A connection that may write.
QueryFn sourceWriter();
/// The one value of a query, as text.
std::string askText(const QueryFn& query, const std::string& sql);

/// A source on the slot and publication "tidegate_bench", both of which it makes.
std::shared_ptr<SyncSource> benchSource();
/// Drops slot, publication and table.
void clearBench();

/// Counts what became durable.
class CommitCounter : public EngineObserver {
 public:
  void onCommit(std::string_view pipeline, std::uint64_t events, std::chrono::microseconds duration) override;
  void onIsolated(std::string_view pipeline, const Error& error) override;
  /// Waits until that many events are durable. @throws std::runtime_error if the pipeline was isolated.
  void await(std::uint64_t events);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  // guarded by mutex_
  std::uint64_t events_ = 0;
  std::uint64_t awaited_ = 0;  ///< before that nobody is woken, which would cost what is measured
  std::string failure_;
};

/// One engine with one pipeline from table "public.bench" into the sink.
struct BenchEngine {
  explicit BenchEngine(std::shared_ptr<Sink> sink);
  std::shared_ptr<CommitCounter> counter = std::make_shared<CommitCounter>();
  Engine engine;
};

}  // namespace tidegate::bench
