// What the plan in docs/scaling.md rests on: a gateway's memory for a row and for a client, what it costs to tell a
// change, to give a snapshot, and to join a log. Figures without bars; tests/bench/scaling.sh runs them with the
// others.
#include <malloc.h>

#include <ctime>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bench/data.h"
#include "bench/harness.h"
#include "tidegate/core/json.h"
#include "tidegate/gateway/gateway.h"

namespace tidegate::bench {
namespace {

constexpr PushContext kTrustedScale{.trusted = true, .ingest = false};
constexpr std::size_t kScalePerPush = 1'000;

/// Seconds of CPU of this thread that `work` takes.
template <class Work>
double cpuSecondsOf(Work&& work) {
  const auto now = [] {
    timespec at{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
    return static_cast<double>(at.tv_sec) + static_cast<double>(at.tv_nsec) / 1e9;
  };
  const double start = now();
  work();
  return now() - start;
}

GatewayOptions roomyScale() {
  GatewayOptions options;
  options.retention.maxLogBytes = 0;
  options.limits.maxBufferBytes = std::size_t{16} << 30;
  return options;
}

RowDelta scaleDelta(std::size_t i, std::size_t textOctets) {
  return {.op = DeltaOp::insert,
          .table = "orders",
          .rowId = fmt::format("order-{:09}", i),
          .clientId = "ingest:shop",
          .columns = {{"owner", fmt::format("u{}", i % 100'000)},
                      {"amount", static_cast<std::int64_t>(i)},
                      {"updated_at", static_cast<std::int64_t>(kFirstMillis + i)},
                      {"note", std::string(textOctets, 'n')}},
          .hlc = Hlc{(kFirstMillis << 16) + i}};
}

/// What an application would call a row's data: its id and its values.
std::size_t dataOctets(const RowDelta& delta) {
  std::size_t sum = delta.rowId.size();
  for (const ColumnValue& column : delta.columns) {
    const std::string* text = column.value.getIf<std::string>();
    sum += text != nullptr ? text->size() : 8;
  }
  return sum;
}

void fill(Gateway& gateway, std::size_t rows, std::size_t textOctets, const std::function<void(double)>& took = {}) {
  for (std::size_t at = 0; at < rows; at += kScalePerPush) {
    SyncPush push{"ingest:shop", {}, {}};
    for (std::size_t i = at; i < at + kScalePerPush; ++i) push.deltas.push_back(scaleDelta(i, textOctets));
    const double seconds = cpuSecondsOf([&] {
      if (gateway.handlePush(push, kTrustedScale).status != PushStatus::accepted)
        throw std::runtime_error("the benchmark's push was refused");
    });
    if (took) took(seconds);
  }
}

void rowsOf(std::size_t rows, std::size_t textOctets) {
  Gateway gateway(roomyScale());
  double cpu = 0;
  fill(gateway, rows, textOctets, [&](double seconds) { cpu += seconds; });
  const GatewayStats stats = gateway.stats();
  const RowDelta one = scaleDelta(rows - 1, textOctets);
  const auto data = static_cast<double>(dataOctets(one)), count = static_cast<double>(rows);
  const std::string what = fmt::format("scaling_rows, {} octets of data a row", dataOctets(one));
  reportFigure(what + ": CPU of a trusted push", cpu / count * 1e9, "ns/row");
  reportFigure(what + ": memory of a row without its log record", static_cast<double>(stats.rowBytes) / count,
               "octets");
  reportFigure(what + ": memory of a log record", static_cast<double>(stats.logBytes) / count, "octets");
  reportFigure(what + ": memory of a row for each octet of data", static_cast<double>(stats.rowBytes) / count / data,
               "octets");
  reportFigure(what + ": a change as JSON, as clients are told it", static_cast<double>(toJson(one).size()), "octets");
  std::size_t seen = 0, octets = 0;
  const double reading = cpuSecondsOf([&] {
    GatewaySnapshot snapshot = gateway.snapshot();
    for (RowDelta row; snapshot.next(row); ++seen) octets += dataOctets(row);
  });
  if (seen != rows) throw std::runtime_error("the snapshot lacks rows");
  reportFigure(what + ": CPU of a snapshot", reading / count * 1e9, "ns/row");
  reportFigure(what + ": CPU of a snapshot", reading / static_cast<double>(octets) * 1e9, "s/GB of data");
}

void scalingRows() {
  rowsOf(1'000'000, 60);
  rowsOf(200'000, 960);
}

/// Subscribers with a claim of their own each; changes that concern `told` of them.
void scalingClients() {
  constexpr std::size_t kMany = 100'000, kTold = 20'000;
  GatewayOptions options = roomyScale();
  options.rules = SyncRules::of(1, {{"mine", {"orders"}, {{"owner", RuleOp::eq, {}, "sub"}}}});
  Gateway gateway(options);
  fill(gateway, 10'000, 60);
  std::vector<std::size_t> woken;
  std::vector<Subscription> all;
  woken.reserve(kMany);
  all.reserve(kMany);
  const std::size_t before = mallinfo2().uordblks;
  const double joining = cpuSecondsOf([&] {
    for (std::size_t i = 0; i < kMany; ++i) {
      // A hundred share each claim of the first ten, so that one change may concern many.
      const std::string sub = i < 1'000 ? fmt::format("hot{}", i / 100) : fmt::format("u{}", i);
      all.push_back(gateway.subscribe(
          {.clientId = fmt::format("c{}", i), .onReady = [&woken, i] { woken.push_back(i); }}, {{"sub", {sub}}}));
      all.back().next(std::chrono::milliseconds(0));
    }
  });
  reportFigure("scaling_clients: CPU of a subscription with claims of its own", joining / kMany * 1e6, "us");
  reportFigure("scaling_clients: memory of a subscription, the client's record included",
               static_cast<double>(mallinfo2().uordblks - before) / kMany, "octets");
  for (const std::size_t share : {0u, 1u, 100u}) {
    std::size_t delivered = 0;
    const std::size_t changes = share == 100 ? kTold / 100 : kTold;
    const double cpu = cpuSecondsOf([&] {
      for (std::size_t i = 0; i < changes; ++i) {
        RowDelta delta = scaleDelta(1'000'000 * (share + 1) + i, 60);
        delta.columns[0].value = share == 0   ? fmt::format("nobody{}", i)
                                 : share == 1 ? fmt::format("u{}", 1'000 + i)
                                              : fmt::format("hot{}", i % 10);
        gateway.handlePush({"ingest:shop", {delta}, {}}, kTrustedScale);
        for (const std::size_t client : std::exchange(woken, {})) {
          while (const auto event = all[client].next(std::chrono::milliseconds(0))) delivered += event->deltas.size();
        }
      }
    });
    if (delivered != changes * share) throw std::runtime_error("a subscriber missed a change");
    reportFigure(fmt::format("scaling_clients: CPU of a change for {} of {} subscribers", share, kMany),
                 cpu / static_cast<double>(changes) * 1e6, "us");
  }
}

/// A log in memory: what a gateway that joins does besides fetching.
void scalingJoin() {
  constexpr std::size_t kRows = 500'000;
  const MemorySharedLog log;
  const auto over = [&] {
    GatewayOptions options = roomyScale();
    options.sharedLog = log.another();
    return options;
  };
  Gateway first(over());
  fill(first, kRows, 60);
  const double data = static_cast<double>(dataOctets(scaleDelta(kRows, 60)) * kRows);
  const auto join = [&](const char* from) {
    std::unique_ptr<Gateway> joined;
    const double cpu = cpuSecondsOf([&] { joined = std::make_unique<Gateway>(over()); });
    if (joined->stats().rows != kRows) throw std::runtime_error("a gateway that joined lacks rows");
    reportFigure(fmt::format("scaling_join: CPU of joining from {}", from), cpu / static_cast<double>(kRows) * 1e9,
                 "ns/row");
    reportFigure(fmt::format("scaling_join: CPU of joining from {}", from), cpu / data * 1e9, "s/GB of data");
  };
  reportFigure("scaling_join: octets of the log for an octet of data", static_cast<double>(log.bytes()) / data,
               "octets");
  join("the log");
  const std::size_t before = log.bytes();
  const double saving = cpuSecondsOf([&] { first.saveSnapshot(); });
  reportFigure("scaling_join: CPU of storing a snapshot", saving / data * 1e9, "s/GB of data");
  reportFigure("scaling_join: octets of a snapshot for an octet of data",
               static_cast<double>(log.bytes() - before) / data, "octets");
  join("a snapshot");
}

const Registration kRowsCost("scaling_rows", "memory and CPU of a gateway's rows (figures for docs/scaling.md)",
                             scalingRows);
const Registration kClientsCost("scaling_clients",
                                "memory and CPU of 100,000 subscribers (figures for docs/scaling.md)", scalingClients);
const Registration kJoinCost("scaling_join", "CPU of joining a log, and of snapshots (figures for docs/scaling.md)",
                             scalingJoin);

}  // namespace
}  // namespace tidegate::bench
