#include <cstring>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "bench/data.h"
#include "bench/harness.h"
#include "bench/kept_memory.h"
#include "tidegate/gateway/gateway.h"

namespace tidegate::bench {
namespace {

constexpr std::size_t kBatch = 1'000;
constexpr PushContext kTrusted{.trusted = true, .ingest = false};

struct IdHash {
  std::size_t operator()(const DeltaId& id) const {
    std::size_t h;
    std::memcpy(&h, id.octets.data(), sizeof h);
    return h;
  }
};

/// The limit: the same deltas moved into a vector, their ids into a set, their row keys into a map.
double plainLoop(std::vector<SyncPush> pushes) {
  std::vector<RowDelta> log;
  std::unordered_set<DeltaId, IdHash> seen;
  std::unordered_map<std::string, std::size_t> rows;
  return secondsOf([&] {
    for (SyncPush& push : pushes) {
      for (RowDelta& delta : push.deltas) {
        seen.insert(delta.deltaId);
        rows.insert_or_assign(delta.table + ":" + delta.rowId, log.size());
        log.push_back(std::move(delta));
      }
    }
  });
}

double pushAll(Gateway& gateway, const std::vector<SyncPush>& pushes, PushContext context = kTrusted) {
  return secondsOf([&] {
    for (const SyncPush& push : pushes) {
      if (gateway.handlePush(push, context).status != PushStatus::accepted) {
        throw std::runtime_error("the benchmark's push was refused");
      }
    }
  });
}

GatewayOptions roomy() {
  GatewayOptions options;
  options.retention.maxLogBytes = 0;
  options.retention.dedupeIds = 4'000'000;
  options.limits.maxBufferBytes = std::size_t{16} << 30;
  return options;
}

double pushFresh(const std::vector<SyncPush>& pushes, PushContext context = kTrusted) {
  Gateway gateway(roomy());
  return pushAll(gateway, pushes, context);
}

void pushBench() {
  constexpr std::size_t kCount = 1'000'000;
  const auto pushes = userPushes(kCount, kBatch);
  const Pair pair = measurePair(
      5, [&] { return pushFresh(pushes); }, [&] { return plainLoop(pushes); });
  report({"push", pair.ours / kCount * 1e9, "ns/delta", pair.limit / kCount * 1e9, Better::lower, 1.0});
  reportFigure("push_rate", kCount / pair.ours, "deltas/s");
  reportFigure("push_untrusted_rate", kCount / pushFresh(pushes, {}), "deltas/s");
}

void pushScaleBench() {
  const KeptMemory kept;
  const auto many = userPushes(2'000'000, kBatch);
  const std::vector<SyncPush> few(many.begin(), many.begin() + 200);
  keep(pushFresh(many));  // touches all the memory that either side will need
  // Ten small gateways in a row, so that both sides push the same number of deltas.
  const auto small = [&] {
    double seconds = 0;
    for (int i = 0; i < 10; ++i) seconds += pushFresh(few);
    return seconds;
  };
  const Pair pair = measurePair(
      5, [&] { return pushFresh(many); }, small);
  report({"push_scale", pair.ours / 2e6 * 1e9, "ns/delta", pair.limit / 2e6 * 1e9, Better::lower, 1.3});
}

void pushAgainBench() {
  constexpr std::size_t kCount = 1'000'000;
  const auto pushes = userPushes(kCount, kBatch);
  std::optional<Gateway> gateway;
  const auto first = [&] {
    gateway.emplace(roomy());
    return pushAll(*gateway, pushes);
  };
  const Pair pair = measurePair(
      5, [&] { return pushAll(*gateway, pushes); }, first);
  report({"push_again", pair.ours / kCount * 1e9, "ns/delta", pair.limit / kCount * 1e9, Better::lower, 1.0});
}

/// Seconds of `pages` pulls of 1,000 at spread positions.
double pullPages(Gateway& gateway, const std::vector<Hlc>& starts) {
  return secondsOf([&] {
    for (const Hlc since : starts) {
      const PullResult page = gateway.handlePull({"reader", since, 1'000});
      if (page.deltas.size() != 1'000) throw std::runtime_error("the benchmark's page is short");
      keep(page);
    }
  });
}

/// Positions to pull from, spread over the log.
std::vector<Hlc> spreadPositions(Gateway& gateway, std::size_t pages, std::size_t entries) {
  std::vector<Hlc> all{Hlc{}};
  for (std::size_t read = 0; read + 2'000 <= entries; read += 1'000) {
    all.push_back(gateway.handlePull({"reader", all.back(), 1'000}).serverHlc);
  }
  std::vector<Hlc> chosen;
  for (std::size_t i = 0; i < pages; ++i) chosen.push_back(all[i * 7919 % all.size()]);
  return chosen;
}

void pullBench() {
  Gateway large(roomy());
  Gateway small(roomy());
  pushAll(large, userPushes(2'000'000, kBatch));
  pushAll(small, userPushes(20'000, kBatch));
  constexpr std::size_t kPages = 200;
  const auto largeAt = spreadPositions(large, kPages, 2'000'000);
  const auto smallAt = spreadPositions(small, kPages, 20'000);
  const Pair pair = measurePair(
      9, [&] { return pullPages(large, largeAt); }, [&] { return pullPages(small, smallAt); });
  report({"pull", pair.ours / kPages * 1e6, "us/page", pair.limit / kPages * 1e6, Better::lower, 1.2});
}

void pullRulesBench() {
  constexpr std::size_t kCount = 1'000'000;
  GatewayOptions options = roomy();
  options.rules = SyncRules::parse(
      R"({"version":1,"buckets":[{"name":"b","tables":["users"],"filters":[{"column":"score","op":"in","value":["1","2","3","4","5","6","7","8","9","10"]}]}]})");
  Gateway gateway(options);
  pushAll(gateway, userPushes(kCount, kBatch));
  const auto before = gateway.stats().entriesScanned;
  std::size_t received = 0;
  const double seconds = secondsOf([&] {
    PullResult page;
    do {
      page = gateway.handlePull({"reader", page.serverHlc, 1'000});
      received += page.deltas.size();
    } while (page.hasMore);
  });
  if (received != kCount / 100) throw std::runtime_error("the rules matched another share than 1 %");
  const auto scanned = static_cast<double>(gateway.stats().entriesScanned - before);
  report({"pull_rules", scanned, "entries read", static_cast<double>(kCount), Better::lower, 1.0});
  reportFigure("pull_rules_rate", kCount / seconds, "entries/s");
}

const Registration kPush("push", "1,000,000 fresh deltas / plain vector + set + map", pushBench);
const Registration kScale("push_scale", "time per delta at 2,000,000 / at 200,000", pushScaleBench);
const Registration kAgain("push_again", "the same deltas a second time / the first time", pushAgainBench);
const Registration kPull("pull", "a page of 1,000 from a log of 2,000,000 / of 20,000", pullBench);
const Registration kRules("pull_rules", "log entries read in a catch-up with 1 % matches / entries in the log",
                          pullRulesBench);

}  // namespace
}  // namespace tidegate::bench
