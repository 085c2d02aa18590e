// One, two and three gateways over one log in JetStream, beside publishing and fetching the same octets with nothing
// done to them, a message for each change. How it compares with streams of entries that were made before is a figure
// without a bar: nobody who has to make them one after the other reaches that. `tests/nats/with_nats.sh [--cluster 3]
// tidegate_bench nats_push nats_pull nats_fan_out`: with three servers also over three replicas.
#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "bench/data.h"
#include "bench/harness.h"
#include "bench/nats_bare.h"
#include "nats/nats_rig.h"
#include "tidegate/gateway/gateway.h"
#include "tidegate/nats/gateway_store.h"

namespace tidegate::bench {
namespace {

using nats::detail::JetStream;

constexpr std::size_t kPushDeltas = 60'000;
constexpr std::size_t kPullDeltas = 120'000;
constexpr std::size_t kPerPush = 100;
constexpr std::size_t kPushers = 24;     // spread over the gateways
constexpr std::size_t kSubscribers = 4;  // of each gateway, each of which sees everything
constexpr int kLogRounds = 3;
constexpr double kLogBar = 0.7;  // of the bare rate
constexpr PushContext kTrustedLog{.trusted = true, .ingest = false};

GatewayOptions roomyOver(const nats::GatewayStoreOptions& store) {
  GatewayOptions options;
  options.sharedLog = nats::gatewayStore(store);
  options.retention.maxLogBytes = 0;
  options.limits.maxBufferBytes = std::size_t{8} << 30;
  return options;
}

/// A log and its gateways; the streams go with it.
class Gateways {
 public:
  Gateways(std::size_t count, std::uint32_t replicas) {
    store_ = {.connect = nats::testing::serverOptions(), .log = nats::testing::freshName("LOG")};
    store_.stream.replicas = replicas;
    for (std::size_t i = 0; i < count; ++i) all_.push_back(std::make_unique<Gateway>(roomyOver(store_)));
  }
  ~Gateways() {
    all_.clear();
    nats::testing::Servers servers;
    servers.js().remove(store_.log);
    servers.js().remove(store_.log + "_SNAPSHOTS");
  }
  Gateways(const Gateways&) = delete;
  Gateways& operator=(const Gateways&) = delete;

  Gateway& operator[](std::size_t i) { return *all_[i]; }
  std::size_t count() const noexcept { return all_.size(); }
  std::unique_ptr<Gateway> oneMore() const { return std::make_unique<Gateway>(roomyOver(store_)); }
  std::vector<std::string> entries() const {
    std::vector<std::string> bodies;
    nats::gatewayStore(store_)->read(0, [&](std::uint64_t, std::string_view octets) { bodies.emplace_back(octets); });
    return bodies;
  }

 private:
  nats::GatewayStoreOptions store_;
  std::vector<std::unique_ptr<Gateway>> all_;
};

/// Runs `work(i)` in threads; what one throws is thrown.
void inThreads(std::size_t count, const std::function<void(std::size_t)>& work) {
  std::vector<std::thread> threads;
  std::vector<std::exception_ptr> errors(count);
  for (std::size_t i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      try {
        work(i);
      } catch (...) {
        errors[i] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

/// Each pusher has a gateway and a part of the pushes.
void pushThrough(Gateways& gateways, std::size_t among, const std::vector<SyncPush>& pushes) {
  inThreads(kPushers, [&](std::size_t pusher) {
    for (std::size_t i = pusher; i < pushes.size(); i += kPushers) {
      if (gateways[pusher % among].handlePush(pushes[i], kTrustedLog).status != PushStatus::accepted) {
        throw std::runtime_error("the benchmark's push was refused");
      }
    }
  });
}

void reportRate(const std::string& name, std::size_t count, const Pair& pair) {
  const auto rows = static_cast<double>(count);
  report({.name = name,
          .value = rows / pair.ours,
          .unit = "changes/s",
          .limit = rows / pair.limit,
          .better = Better::higher,
          .bar = kLogBar});
}

/// The same octets, in a message for each change.
std::vector<std::string> aMessageForEach(std::size_t changes, const std::vector<std::string>& entries) {
  std::string all;
  for (const std::string& entry : entries) all += entry;
  const std::size_t each = std::max<std::size_t>(all.size() / changes, 1);
  std::vector<std::string> bodies;
  for (std::size_t at = 0; bodies.size() < changes; at += each) bodies.push_back(all.substr(at, each));
  return bodies;
}

/// Of the rate at which the entries themselves are published or fetched, made before.
void reportOfEntries(const std::string& what, double ours, double entries) {
  reportFigure(what + ": of the rate of entries made before", entries / ours, "ratio");
}

std::size_t octetsOf(const std::vector<std::string>& bodies) {
  std::size_t sum = 0;
  for (const std::string& body : bodies) sum += body.size();
  return sum;
}

void pushThroughLog(JetStream& js, std::size_t count, std::uint32_t replicas, const std::vector<SyncPush>& pushes) {
  std::vector<std::string> bodies;
  const auto ours = [&] {
    Gateways gateways(count, replicas);
    const double seconds = secondsOf([&] { pushThrough(gateways, count, pushes); });
    if (bodies.empty()) bodies = gateways.entries();
    return seconds;
  };
  keep(ours());
  const std::vector<std::string> changes = aMessageForEach(kPushDeltas, bodies);
  const auto publish = [&](const std::vector<std::string>& messages) {
    const BareStream stream(js, replicas);
    return secondsOf([&] { publishBare(js, stream.subject(), messages, messages.size(), false); });
  };
  std::vector<double> ofEntries;
  const Pair pair = measurePair(kLogRounds, ours, [&] {
    ofEntries.push_back(publish(bodies));
    return publish(changes);
  });
  const std::string what = fmt::format("nats_push r{}, {} gateways", replicas, count);
  reportRate(what + ": changes/s beside bare publishing of the same octets", kPushDeltas, pair);
  reportOfEntries(what, pair.ours, median(ofEntries));
  reportFigure(what + ": changes in an entry", static_cast<double>(kPushDeltas) / static_cast<double>(bodies.size()),
               "changes");
  reportFigure(what + ": octets of the log for a change",
               static_cast<double>(octetsOf(bodies)) / static_cast<double>(kPushDeltas), "octets");
}

void pullFromLog(JetStream& js, std::size_t count, const Gateways& log, std::uint32_t replicas) {
  const std::vector<std::string> bodies = log.entries(), changes = aMessageForEach(kPullDeltas, bodies);
  const BareStream entryStream(js, replicas), changeStream(js, replicas);
  publishBare(js, entryStream.subject(), bodies, bodies.size(), false);
  publishBare(js, changeStream.subject(), changes, changes.size(), false);
  const auto fetch = [&](const BareStream& stream, std::size_t messages) {
    return secondsOf(
        [&] { inThreads(count, [&](std::size_t) { keep(fetchBare(stream.name(), stream.subject(), messages)); }); });
  };
  std::vector<double> ofEntries;
  const Pair pair = measurePair(
      kLogRounds,
      [&] {
        std::vector<std::unique_ptr<Gateway>> joined(count);
        const double seconds = secondsOf([&] { inThreads(count, [&](std::size_t i) { joined[i] = log.oneMore(); }); });
        for (const auto& gateway : joined) {
          if (gateway->stats().rows != kPullDeltas) throw std::runtime_error("a gateway that joined lacks rows");
        }
        return seconds;
      },
      [&] {
        ofEntries.push_back(fetch(entryStream, bodies.size()));
        return fetch(changeStream, changes.size());
      });
  const std::string what = fmt::format("nats_pull r{}, {} gateways", replicas, count);
  reportRate(what + ": changes/s of each that joins, beside bare fetching of the same octets", kPullDeltas, pair);
  reportOfEntries(what, pair.ours, median(ofEntries));
}

/// Subscribers of one gateway, read by one thread as a host's event loop would.
class Audience {
 public:
  explicit Audience(Gateway& gateway) {
    for (std::size_t i = 0; i < kSubscribers; ++i) {
      all_.push_back(
          gateway.subscribe({.clientId = fmt::format("s{}", i), .maxQueuedEntries = 10'000'000, .onReady = [this] {
                               const std::lock_guard lock(mutex_);
                               news_ = true;
                               changed_.notify_one();
                             }}));
    }
  }
  /// Returns once each has been told `deltas`.
  void readAll(std::size_t deltas) {
    for (std::size_t told = 0; told < deltas * kSubscribers;) {
      for (Subscription& one : all_) {
        while (const auto event = one.next(std::chrono::milliseconds(0))) {
          if (event->mustResync) throw std::runtime_error("a subscriber fell behind");
          told += event->deltas.size();
        }
      }
      if (told >= deltas * kSubscribers) return;
      std::unique_lock lock(mutex_);
      if (!changed_.wait_for(lock, std::chrono::seconds(60), [this] { return news_; }))
        throw std::runtime_error("a subscriber was told nothing for a minute");
      news_ = false;
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool news_ = false;  ///< guarded by mutex_
  std::vector<Subscription> all_;
};

void fanOut(JetStream& js, std::size_t count, std::uint32_t replicas, const std::vector<SyncPush>& pushes) {
  std::vector<std::string> bodies;
  const auto ours = [&] {
    Gateways gateways(count, replicas);
    std::vector<std::unique_ptr<Audience>> audiences;
    for (std::size_t i = 0; i < count; ++i) audiences.push_back(std::make_unique<Audience>(gateways[i]));
    const double seconds = secondsOf([&] {
      inThreads(count + 1, [&](std::size_t i) {
        if (i == count)
          pushThrough(gateways, 1, pushes);  // through the first; the others follow the log
        else
          audiences[i]->readAll(kPushDeltas);
      });
    });
    if (bodies.empty()) bodies = gateways.entries();
    audiences.clear();
    return seconds;
  };
  keep(ours());
  const std::vector<std::string> changes = aMessageForEach(kPushDeltas, bodies);
  const auto publishAndFetch = [&](const std::vector<std::string>& messages) {
    const BareStream stream(js, replicas);
    return secondsOf([&] {
      inThreads(count + 1, [&](std::size_t i) {
        if (i == count)
          publishBare(js, stream.subject(), messages, messages.size(), false);
        else
          keep(fetchBare(stream.name(), stream.subject(), messages.size()));
      });
    });
  };
  std::vector<double> ofEntries;
  const Pair pair = measurePair(kLogRounds, ours, [&] {
    ofEntries.push_back(publishAndFetch(bodies));
    return publishAndFetch(changes);
  });
  const std::string what = fmt::format("nats_fan_out r{}, {} gateways", replicas, count);
  reportRate(
      fmt::format("{}, {} subscribers each: changes/s beside bare publishing, and fetching once for each gateway", what,
                  kSubscribers),
      kPushDeltas, pair);
  reportOfEntries(what, pair.ours, median(ofEntries));
  reportFigure(what + ": changes told", static_cast<double>(kPushDeltas * kSubscribers * count) / pair.ours,
               "changes/s");
}

template <class Work>
void forEachLog(const Work& work) {
  nats::testing::Servers servers;
  servers.awaitReady();
  for (const std::uint32_t replicas : {1u, 3u}) {
    if (replicas > nats::testing::serverUrls().size()) continue;
    for (std::size_t count = 1; count <= 3; ++count) work(servers.js(), count, replicas);
  }
}

void benchLogPush() {
  const auto pushes = userPushes(kPushDeltas, kPerPush);
  forEachLog(
      [&](JetStream& js, std::size_t count, std::uint32_t replicas) { pushThroughLog(js, count, replicas, pushes); });
}

void benchLogPull() {
  const auto pushes = userPushes(kPullDeltas, kPerPush);
  forEachLog([&](JetStream& js, std::size_t count, std::uint32_t replicas) {
    Gateways log(1, replicas);
    pushThrough(log, 1, pushes);
    pullFromLog(js, count, log, replicas);
  });
}

void benchFanOut() {
  const auto pushes = userPushes(kPushDeltas, kPerPush);
  forEachLog([&](JetStream& js, std::size_t count, std::uint32_t replicas) { fanOut(js, count, replicas, pushes); });
}

const Registration kPush("nats_push", "pushes through gateways over one log, beside bare publishing of its octets",
                         benchLogPush);
const Registration kPull("nats_pull", "gateways that join a log, beside bare fetching of its octets", benchLogPull);
const Registration kFanOut("nats_fan_out", "pushes told by gateways over one log, beside bare publishing and fetching",
                           benchFanOut);

}  // namespace
}  // namespace tidegate::bench
