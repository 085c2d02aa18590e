// From a commit to the host's callback, beside pg_recvlogical on the same commits; and one very large transaction.
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <thread>

#include "bench/cdc_bench.h"
#include "bench/child_process.h"
#include "bench/harness.h"

namespace tidegate::bench {
namespace {

using Steady = std::chrono::steady_clock;
constexpr std::size_t kCommits = 10'000;
using Times = std::vector<std::atomic<std::int64_t>>;  ///< steady nanoseconds by number; 0: not seen

std::int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Steady::now().time_since_epoch()).count();
}

void markSeen(Times& seen, std::string_view text) {
  for (std::size_t at = text.find("mark:"); at != std::string_view::npos; at = text.find("mark:", at + 1)) {
    if (text.size() < at + 11) return;
    const std::size_t number = std::strtoull(std::string(text.substr(at + 5, 6)).c_str(), nullptr, 10);
    std::int64_t unseen = 0;
    if (number < seen.size()) seen[number].compare_exchange_strong(unseen, now());
  }
}

/// Calls back for each event that a host's sink gets. Keeps nothing.
class CallbackSink final : public Sink {
 public:
  explicit CallbackSink(std::function<void(const ChangeEvent&)> call) : call_(std::move(call)) {}
  SinkTraits traits() const override {
    return {.wholeTransactions = false, .keepsCheckpoints = false, .idempotent = true, .keyless = true};
  }
  std::optional<std::string> open(const SinkContext&) override { return checkpoint_; }
  void prepareTable(const Shape&) override {}
  void apply(const ChangeBatch& batch) override {
    for (const ChangeEvent& event : batch) call_(event);
  }
  void commit(std::string_view checkpoint) override { checkpoint_ = checkpoint; }
  void rollback() noexcept override {}
  void close() noexcept override {}

 private:
  std::function<void(const ChangeEvent&)> call_;
  std::optional<std::string> checkpoint_;
};

/// Commits one row a millisecond. @return when each commit was asked for.
std::vector<std::int64_t> commitRows() {
  const QueryFn writer = sourceWriter();
  std::vector<std::int64_t> asked(kCommits);
  auto next = Steady::now();
  for (std::size_t n = 0; n < kCommits; ++n) {
    std::this_thread::sleep_until(next += std::chrono::milliseconds(1));
    const std::string sql = fmt::format("INSERT INTO bench VALUES ({}, 'mark:{:06}')", n, n);
    asked[n] = now();
    execute(writer, {sql});
  }
  return asked;
}

double percentile(std::vector<double>& millis, double share) {
  std::sort(millis.begin(), millis.end());
  return millis[static_cast<std::size_t>(static_cast<double>(millis.size() - 1) * share)];
}

std::vector<double> latencies(const std::vector<std::int64_t>& asked, const Times& seen) {
  std::vector<double> millis;
  for (std::size_t n = 0; n < asked.size(); ++n) {
    if (seen[n] != 0) millis.push_back(static_cast<double>(seen[n] - asked[n]) / 1e6);
  }
  return millis;
}

void awaitLast(const Times& seen) {
  const auto deadline = Steady::now() + std::chrono::seconds(30);
  while (seen.back() == 0 && Steady::now() < deadline) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  if (seen.back() == 0) throw std::runtime_error("the last commit never arrived");
}

void latency() {
  clearBench();
  const QueryFn admin = sourceWriter();
  execute(admin, {"CREATE TABLE bench(id bigint PRIMARY KEY, note text)"});
  Times ours(kCommits), peers(kCommits);
  BenchEngine bench(std::make_shared<CallbackSink>([&](const ChangeEvent& event) {
    if (event.op == ChangeOp::insert) markSeen(ours, event.after[1].as<std::string>());
  }));
  bench.engine.start();
  bench.engine.awaitReady(std::chrono::minutes(1));
  execute(admin, {"SELECT pg_create_logical_replication_slot('tidegate_bench_peer', 'pgoutput')"});
  std::vector<std::int64_t> asked;
  {
    const BackgroundCommand peer(
        fmt::format("exec pg_recvlogical -d '{}' --slot tidegate_bench_peer --start --no-loop -o proto_version=1 "
                    "-o publication_names=tidegate_bench -f -",
                    sourceUrl()));
    std::jthread reader([&] {
      std::array<char, 65'536> buffer{};
      for (ssize_t got = 0; (got = ::read(peer.output(), buffer.data(), buffer.size())) > 0;) {
        markSeen(peers, {buffer.data(), static_cast<std::size_t>(got)});
        if (peers.back() != 0) return;
      }
    });
    asked = commitRows();
    awaitLast(ours);
    awaitLast(peers);
  }
  bench.engine.stop();
  std::vector<double> own = latencies(asked, ours), servers = latencies(asked, peers);
  reportFigure("pg_latency_p50", percentile(own, 0.5), "ms");
  reportFigure("pg_latency_p50_server", percentile(servers, 0.5), "ms");
  reportFigure("pg_latency_p99", percentile(own, 0.99), "ms");
  reportFigure("pg_latency_p99_server", percentile(servers, 0.99), "ms");
  report({"pg_latency", percentile(own, 0.99) - percentile(servers, 0.99), "ms added at p99", 2.0, Better::lower, 1.0});
  clearBench();
}

void largeTransaction() {
  static constexpr std::uint64_t kRows = 5'000'000;
  clearBench();
  execute(sourceWriter(), {"CREATE TABLE bench(id bigint PRIMARY KEY, note text)"});
  const std::size_t peak = peakMemoryOf([] {
    std::atomic<std::uint64_t> rows{0};
    BenchEngine bench(
        std::make_shared<CallbackSink>([&](const ChangeEvent& event) { rows += event.op == ChangeOp::insert; }));
    bench.engine.start();
    bench.engine.awaitReady(std::chrono::minutes(1));
    const double inserted = secondsOf([&] {
      execute(sourceWriter(),
              {fmt::format("INSERT INTO bench SELECT n, 'note ' || n FROM generate_series(1, {}) n", kRows)});
    });
    const double after = secondsOf([&] { bench.counter->await(kRows); });
    bench.engine.stop();
    if (rows != kRows) throw std::runtime_error("rows are missing");
    reportFigure("pg_large_transaction_insert", inserted, "s");
    reportFigure("pg_large_transaction_delivered_after", after, "s");
  });
  report({"pg_large_transaction", static_cast<double>(peak) / (1 << 20), "MiB", 256, Better::lower, 1.0});
  clearBench();
}

const Registration kLatency("pg_latency", "milliseconds added to a commit's way at p99 / 2 ms", latency);
const Registration kLarge("pg_large_transaction", "memory while 5,000,000 rows of one transaction pass / 256 MiB",
                          largeTransaction);

}  // namespace
}  // namespace tidegate::bench
