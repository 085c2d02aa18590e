/// Gateways over one log from many threads: for ThreadSanitizer, and for what every thread must find in the end.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "contract/gateway_followers.h"
#include "contract/gateway_model.h"
#include "tidegate/gateway/gateway.h"

namespace tidegate {
namespace {

using namespace test;  // NOLINT: the tests' own words

TEST(SharedThreads, PushesPullsSnapshotsAndSubscriptionsOnThreeGatewaysAgree) {
  constexpr int kGateways = 3, kPushes = 120;
  MemorySharedLog log;
  std::vector<std::unique_ptr<Gateway>> gateways;
  for (int i = 0; i < kGateways; ++i) {
    GatewayOptions options;
    options.retention.dedupeIds = 300;
    options.sharedLog = log.another();
    gateways.push_back(std::make_unique<Gateway>(options));
  }
  std::atomic<int> running{kGateways}, ready{0};
  std::vector<Subscription> subscriptions;
  for (auto& gateway : gateways) {
    subscriptions.push_back(gateway->subscribe({.clientId = "s", .onReady = [&] { ++ready; }}));
  }
  std::vector<std::thread> threads;
  for (int pusher = 0; pusher < kGateways; ++pusher) {
    threads.emplace_back([&, pusher] {
      for (int i = 0; i < kPushes; ++i) {
        Gateway& gateway = *gateways[static_cast<std::size_t>((pusher + i) % kGateways)];
        SyncPush push{"c" + std::to_string(pusher), {}, {}};
        for (int row = 0; row < 4; ++row) {
          const DeltaOp op = i % 7 == 6 ? DeltaOp::erase : DeltaOp::insert;
          RowDelta delta{op, "users", std::to_string((i * 5 + row) % 40), push.clientId, {}, gateway.clock().now(), {}};
          if (op != DeltaOp::erase) delta.columns = {{"a", i}, {"who" + std::to_string(pusher), pusher}};
          push.deltas.push_back(std::move(delta));
        }
        EXPECT_EQ(gateway.handlePush(push).status, PushStatus::accepted);
      }
      --running;
    });
  }
  const auto until = [&](std::function<void()> work) {
    threads.emplace_back([&running, work = std::move(work)] {
      for (bool last = false; !last;) {
        last = running.load() == 0;
        work();
      }
    });
  };
  ModelView pulled;
  Hlc since;
  int turn = 0;
  until([&] { since = pullAll(*gateways[static_cast<std::size_t>(turn++ % kGateways)], pulled, since, 50, "puller"); });
  std::vector<ModelView> followed(kGateways);
  for (std::size_t i = 0; i < kGateways; ++i) {
    until([&, i] {
      while (const auto event = subscriptions[i].next(std::chrono::milliseconds(0))) {
        ASSERT_FALSE(event->mustResync || event->closed);
        applyTo(followed[i], event->deltas);
      }
    });
  }
  until([&] {
    (void)stateOf(gateways[0]->snapshot({}, "snapper"));
    gateways[1]->enforceRetention();
    gateways[2]->saveSnapshot();
    (void)gateways[0]->stats();
    GatewayOptions options;
    options.sharedLog = log.another();
    Gateway joining(options);
    EXPECT_GE(joining.stats().lastHlc, Hlc{});
  });
  for (std::thread& thread : threads) thread.join();
  for (auto& gateway : gateways) gateway->catchUp();
  const ModelView state = stateOf(gateways[0]->snapshot());
  pullAll(*gateways[1], pulled, since, 50, "puller");
  EXPECT_TRUE(sameView(pulled, state));
  for (std::size_t i = 0; i < kGateways; ++i) {
    while (const auto event = subscriptions[i].next(std::chrono::milliseconds(0))) applyTo(followed[i], event->deltas);
    EXPECT_TRUE(sameView(followed[i], state)) << i;
    EXPECT_EQ(gateways[i]->stats().lastHlc, gateways[0]->stats().lastHlc);
    EXPECT_TRUE(sameView(stateOf(gateways[i]->snapshot()), state)) << i;
  }
  EXPECT_GT(ready.load(), 0);
}

TEST(SharedThreads, NewClientsUnderRulesComeToAllGatewaysAtOnce) {
  MemorySharedLog log;
  std::vector<std::unique_ptr<Gateway>> gateways;
  for (int i = 0; i < 3; ++i) {
    GatewayOptions options;
    options.rules = ownersRules();
    options.sharedLog = log.another();
    gateways.push_back(std::make_unique<Gateway>(options));
  }
  std::atomic<int> rows{0};
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < 3; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 30; ++i) {
        Follower client{std::to_string(thread) + "/" + std::to_string(i), {i % 3}, {}, {}};
        Gateway& here = *gateways[thread];
        const RowDelta delta{DeltaOp::insert,    "users", std::to_string(++rows), "host", {{"owner", i % 3}},
                             here.clock().now(), {}};
        EXPECT_EQ(here.handlePush({"host", {delta}, {}}).applied, 1u);
        if (i % 2 == 0) client.resync(here);
        while (client.pull(*gateways[(thread + static_cast<std::size_t>(i)) % 3], 5)) {
        }
        EXPECT_TRUE(client.replica.contains(RowKey{"users", delta.rowId}) || i % 2 == 1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (auto& gateway : gateways) EXPECT_EQ(gateway->catchUp(), gateways[0]->catchUp());
}

}  // namespace
}  // namespace tidegate
