/// Everything at once from many threads: for ThreadSanitizer, and for what every thread must find in the end.
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>

#include "contract/gateway_model.h"
#include "gateway/detail/gateway_core.h"
#include "support/faulty_gateway_store.h"

namespace tidegate {
namespace {

using test::applyTo;
using test::ModelView;
using test::sameView;
using test::stateOf;

constexpr int kPushers = 3;
constexpr int kPushes = 150;

SyncPush pushOf(Gateway& gateway, int pusher, int number) {
  SyncPush push{"c" + std::to_string(pusher), {}, {}};
  for (int i = 0; i < 4; ++i) {
    const DeltaOp op = number % 7 == 6 ? DeltaOp::erase : i % 2 == 0 ? DeltaOp::insert : DeltaOp::update;
    RowDelta delta{op, "users", std::to_string((number * 5 + i) % 40), push.clientId, {}, gateway.clock().now(), {}};
    if (op != DeltaOp::erase) delta.columns = {{"a", number}, {"who", pusher}};
    push.deltas.push_back(std::move(delta));
  }
  return push;
}

/// Runs `work` until the pushers are done, and once more.
std::thread until(const std::atomic<int>& running, std::function<void()> work) {
  return std::thread([&running, work = std::move(work)] {
    bool last = false;
    for (;;) {
      last = running.load() == 0;
      work();
      if (last) return;
    }
  });
}

void runEverything(std::shared_ptr<GatewayStore> store, bool mayFail) {
  GatewayOptions options;
  options.store = std::move(store);
  options.retention.dedupeIds = 300;
  Gateway gateway(options);
  std::atomic<int> running{kPushers};
  std::atomic<int> ready{0};
  // Before the first push: it tells what comes from then on.
  Subscription subscription = gateway.subscribe({.clientId = "s", .onReady = [&] { ++ready; }});
  std::vector<std::thread> threads;
  for (int pusher = 0; pusher < kPushers; ++pusher) {
    threads.emplace_back([&, pusher] {
      for (int i = 0; i < kPushes; ++i) {
        const SyncPush push = pushOf(gateway, pusher, i);
        for (;;) {
          try {
            EXPECT_EQ(gateway.handlePush(push).status, PushStatus::accepted);
            break;
          } catch (const Error& error) {
            EXPECT_TRUE(mayFail && error.retry() == Retry::later) << error.what();
          }
        }
      }
      --running;
    });
  }
  ModelView pulled, followed;
  Hlc since;
  threads.push_back(until(running, [&] { since = test::pullAll(gateway, pulled, since, 50, "puller"); }));
  threads.push_back(until(running, [&] {
    while (const auto event = subscription.next(std::chrono::milliseconds(0))) {
      ASSERT_FALSE(event->mustResync || event->closed);
      applyTo(followed, event->deltas);
    }
  }));
  threads.push_back(until(running, [&] {
    ModelView replica = stateOf(gateway.snapshot({}, "snapper"));
    const GatewayStats stats = gateway.stats();
    EXPECT_GE(stats.bytes, stats.rowBytes);
    (void)gateway.row("users", "7");
    gateway.enforceRetention();
  }));
  for (std::thread& thread : threads) thread.join();
  const ModelView state = stateOf(gateway.snapshot());
  EXPECT_TRUE(sameView(pulled, state));
  EXPECT_TRUE(sameView(followed, state));
  EXPECT_GT(ready.load(), 0);
}

TEST(GatewayThreads, PushesPullsSnapshotsAndSubscriptionsAgreeInMemory) { runEverything(nullptr, false); }

TEST(GatewayThreads, AndOverAStoreThatFailsNowAndThen) {
  auto disk = std::make_shared<MemoryGatewayStore>();
  int commits = 0;  // one commit at a time: no guard needed
  runEverything(
      std::make_shared<test::FaultyGatewayStore>(
          disk, [&commits] { return ++commits % 9 == 0 ? test::StoreFault::failsBefore : test::StoreFault::none; }),
      true);
}

TEST(GatewayThreads, GroupCommitTakesManyPushesInOneCommit) {
  /// Holds its first commit until it is let go.
  class Held final : public GatewayStore {
   public:
    void load(const Visitor&) override {}
    void commit(std::span<const Segment>, std::span<const SegmentRef>) override {
      if (++commits > 1) return;
      begun.count_down();
      release.wait();
    }
    std::atomic<int> commits{0};
    std::latch begun{1}, release{1};
  };
  constexpr int kWaiting = 7;
  const auto store = std::make_shared<Held>();
  GatewayOptions options;
  options.store = store;
  const auto core = std::make_shared<detail::GatewayCore>(options);
  core->open();
  std::vector<std::thread> threads;
  const auto pushOne = [&](int i) {
    threads.emplace_back([&, i] {
      RowDelta delta{DeltaOp::insert, "users", std::to_string(i), "c", {{"a", i}}, core->clock.now(), {}};
      EXPECT_EQ(core->push({"c", {delta}, {}}, {}).status, PushStatus::accepted);
    });
  };
  pushOne(0);
  store->begun.wait();
  for (int i = 1; i <= kWaiting; ++i) pushOne(i);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (core->queued() < kWaiting && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  store->release.count_down();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store->commits.load(), 2);
  EXPECT_EQ(core->stats().rows, 1u + kWaiting);
}

TEST(GatewayThreads, CloseWakesAWaitingSubscriber) {
  Gateway gateway;
  Subscription subscription = gateway.subscribe({.clientId = "s"});
  std::thread reader([&] {
    const auto event = subscription.next(std::chrono::seconds(60));
    ASSERT_TRUE(event);
    EXPECT_TRUE(event->closed);
  });
  subscription.close();
  reader.join();
}

}  // namespace
}  // namespace tidegate
