/// Laws 4.8 to 4.10: rules are judged on rows, and a client too far behind is told so.
#include <gtest/gtest.h>

#include "contract/gateway_followers.h"
#include "contract/gateway_model.h"
#include "support/manual_clock.h"

namespace tidegate {
namespace {

using test::applyTo;
using test::claimsOf;
using test::DeltaMaker;
using test::filtered;
using test::Follower;
using test::forEachSeed;
using test::kBaseMs;
using test::LwwModel;
using test::ManualClock;
using test::ModelView;
using test::ownersRules;
using test::Random;
using test::sameView;
using test::show;

constexpr PushContext kTrusted{.trusted = true, .ingest = false};

TEST(GatewayViews, AClientWithRulesEqualsTheFilteredStateHoweverItPulls) {
  forEachSeed(1'000, [](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    GatewayOptions options;
    options.clock = &clock;
    options.rules = ownersRules();
    Gateway gateway(options);
    DeltaMaker maker{random};
    LwwModel model;
    std::vector<Follower> followers{{"one", {1}, {}, {}}, {"both", {0, 2}, {}, {}}, {"nobody", {}, {}, {}}};
    for (int i = 0; i < 40; ++i) {
      const RowDelta delta = maker.make(random.chance(50) ? "x" : "y");
      gateway.handlePush({"host", {delta}, {}}, kTrusted);
      model.add(delta);
      for (Follower& follower : followers) {
        if (random.chance(20)) follower.pull(gateway, 1 + random.below(3));
      }
    }
    for (Follower& follower : followers) {
      while (follower.pull(gateway, 2)) {
      }
      const ModelView wanted = filtered(model.view(), follower.owners);
      ASSERT_TRUE(sameView(follower.replica, wanted)) << follower.id << " has\n"
                                                      << show(follower.replica) << "wanted\n"
                                                      << show(wanted);
      ASSERT_EQ(follower.resyncs, 0);
    }
  });
}

TEST(GatewayViews, ASnapshotPlusTheLogFromItsStampEqualsTheStateWhileEverythingChanges) {
  forEachSeed(1'000, [](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    GatewayOptions options;
    options.clock = &clock;
    options.rules = ownersRules();
    Gateway gateway(options);
    DeltaMaker maker{random};
    for (int i = 0; i < 30; ++i) maker.rows.push_back("r" + std::to_string(i));
    LwwModel model;
    const auto pushOne = [&] {
      const RowDelta delta = maker.make(random.chance(50) ? "x" : "y");
      gateway.handlePush({"host", {delta}, {}}, kTrusted);
      model.add(delta);
    };
    for (int i = 0; i < 30; ++i) pushOne();
    Follower follower{"f", {1, 2}, {}, {}};
    const ModelView before = filtered(model.view(), follower.owners);
    GatewaySnapshot snapshot = gateway.snapshot(claimsOf(follower.owners), "f");
    for (int i = 0; i < 20; ++i) pushOne();  // the snapshot has read nothing yet
    RowDelta row;
    while (snapshot.next(row)) applyTo(follower.replica, row);
    ASSERT_TRUE(sameView(follower.replica, before)) << "got\n" << show(follower.replica) << "wanted\n" << show(before);
    follower.since = snapshot.serverHlc();
    while (follower.pull(gateway, 3)) {
    }
    ASSERT_TRUE(sameView(follower.replica, filtered(model.view(), follower.owners)));
    ASSERT_EQ(follower.resyncs, 0);
  });
}

TEST(GatewayViews, ThroughTrimsPurgesNewRulesAndNewClaimsNobodyEverHasASilentGap) {
  forEachSeed(1'000, [](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    GatewayOptions options;
    options.clock = &clock;
    options.rules = ownersRules();
    options.retention.maxLogEntries = 4 + random.below(12);
    options.retention.tombstoneRetention = std::chrono::milliseconds(200);
    Gateway gateway(options);
    DeltaMaker maker{random};
    bool open = false;  // whether everybody sees everything
    std::vector<Follower> followers{{"one", {1}, {}, {}}, {"two", {2}, {}, {}}};
    for (int i = 0; i < 40; ++i) {
      clock.advance(std::chrono::milliseconds(random.below(60)));
      gateway.handlePush({"host", {maker.make(random.chance(50) ? "x" : "y")}, {}}, kTrusted);
      if (random.chance(3)) gateway.purgeTable(random.pick(maker.tables));
      if (random.chance(3)) gateway.enforceRetention();
      if (random.chance(3)) {
        open = !open;
        gateway.setSyncRules(open ? SyncRules() : ownersRules());
      }
      for (Follower& follower : followers) {
        if (random.chance(3)) follower.owners = {static_cast<std::int64_t>(random.below(3))};
        if (random.chance(20)) follower.pull(gateway, 1 + random.below(3));
      }
    }
    ModelView all;  // the state is checked elsewhere: here the gateway's own, seen without rules
    gateway.setSyncRules(SyncRules());
    GatewaySnapshot snapshot = gateway.snapshot();
    RowDelta row;
    while (snapshot.next(row)) applyTo(all, row);
    if (!open) gateway.setSyncRules(ownersRules());
    for (Follower& follower : followers) {
      while (follower.pull(gateway, 2)) {
      }
      const ModelView wanted = open ? all : filtered(all, follower.owners);
      ASSERT_TRUE(sameView(follower.replica, wanted)) << follower.id << " has\n"
                                                      << show(follower.replica) << "wanted\n"
                                                      << show(wanted);
    }
  });
}

TEST(GatewayViews, TombstonesStayUntilEveryKnownClientHasPulledPastThem) {
  ManualClock clock;
  GatewayOptions options;
  options.clock = &clock;
  options.retention.tombstoneRetention = std::chrono::hours(1);
  Gateway gateway(options);
  const auto delta = [&](DeltaOp op, std::string row) {
    return SyncPush{"c", {{op, "users", std::move(row), "c", {}, gateway.clock().now(), {}}}, {}};
  };
  gateway.handlePush(delta(DeltaOp::insert, "1"));
  Hlc since = gateway.handlePull({"slow", {}, 10}).serverHlc;
  gateway.handlePush(delta(DeltaOp::erase, "1"));
  for (int i = 0; i < 4; ++i) {  // the client is seen, but does not get on
    clock.advance(std::chrono::minutes(40));
    gateway.handlePull({"slow", since, 10});
    gateway.enforceRetention();
    EXPECT_EQ(gateway.stats().tombstones, 1u);
  }
  since = gateway.handlePull({"slow", since, 10}).serverHlc;
  gateway.handlePull({"slow", since, 10});
  gateway.enforceRetention();
  EXPECT_EQ(gateway.stats().tombstones, 0u);
  RowDelta late{DeltaOp::insert, "users", "1", "c", {{"a", 1}}, Hlc::of(kBaseMs - 1), {}};
  EXPECT_EQ(gateway.handlePush({"c", {late}, {}}).verdicts.at(0).verdict, Verdict::tooOld);
  EXPECT_FALSE(gateway.row("users", "1"));
  EXPECT_TRUE(gateway.handlePull({"long gone", Hlc::of(kBaseMs - 1), 10}).mustResync);
}

TEST(GatewayViews, AClientSilentForLongerThanTheRetentionIsNotWaitedFor) {
  ManualClock clock;
  GatewayOptions options;
  options.clock = &clock;
  options.retention.tombstoneRetention = std::chrono::hours(1);
  Gateway gateway(options);
  gateway.handlePush({"c", {{DeltaOp::insert, "users", "1", "c", {}, gateway.clock().now(), {}}}, {}});
  const Hlc since = gateway.handlePull({"gone", {}, 10}).serverHlc;
  gateway.handlePush({"c", {{DeltaOp::erase, "users", "1", "c", {}, gateway.clock().now(), {}}}, {}});
  EXPECT_EQ(gateway.stats().clients, 1u);
  clock.advance(std::chrono::hours(2));
  gateway.enforceRetention();
  EXPECT_EQ(gateway.stats().tombstones, 0u);
  EXPECT_EQ(gateway.stats().clients, 0u);
  EXPECT_TRUE(gateway.handlePull({"gone", since, 10}).mustResync);
}

TEST(GatewayViews, APurgedClientIsNotWaitedFor) {
  Gateway gateway;
  gateway.handlePull({"p", {}, 10});
  EXPECT_EQ(gateway.stats().clients, 1u);
  EXPECT_TRUE(gateway.purgeClient("p"));
  EXPECT_FALSE(gateway.purgeClient("p"));
  EXPECT_EQ(gateway.stats().clients, 0u);
}

}  // namespace
}  // namespace tidegate
