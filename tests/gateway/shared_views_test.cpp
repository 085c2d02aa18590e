/// Laws 4.8 to 4.10 over several gateways: clients under rules that move between them.
#include <gtest/gtest.h>

#include "contract/gateway_followers.h"
#include "gateway/shared_cluster.h"

namespace tidegate {
namespace {

using namespace test;  // NOLINT: the tests' own words

constexpr std::uint64_t kMovingSeeds = 250;

/// One page, or a snapshot, of whichever gateway answers.
bool pullAnywhere(SharedCluster& cluster, Follower& follower, std::size_t page) {
  bool more = false;
  cluster.onAny([&](Gateway& gateway) { more = follower.pull(gateway, page); });
  return more;
}

TEST(SharedViews, AClientMayMoveAtAnyTimeAndMissesNothing) {
  forEachSeed(kMovingSeeds, [](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    SharedCluster cluster(random, clock);
    cluster.options.rules = ownersRules();
    for (std::size_t at = 0; at < 3; ++at) cluster.join(at);
    DeltaMaker maker{random};
    LwwModel model;
    std::vector<Follower> followers{{"one", {1}, {}, {}}, {"both", {0, 2}, {}, {}}, {"nobody", {}, {}, {}}};
    for (int i = 0; i < 50; ++i) {
      cluster.trouble();
      const RowDelta delta = maker.make(random.chance(50) ? "x" : "y");
      cluster.push({"host", {delta}, {}}, kTrustedPush);
      model.add(delta);
      for (Follower& follower : followers) {
        if (random.chance(20)) pullAnywhere(cluster, follower, 1 + random.below(3));
        if (random.chance(3)) cluster.onAny([&](Gateway& gateway) { follower.resync(gateway); });
        follower.resyncs = 0;
      }
    }
    cluster.settle();
    for (Follower& follower : followers) {
      while (pullAnywhere(cluster, follower, 2)) {
      }
      const ModelView wanted = filtered(model.view(), follower.owners);
      ASSERT_TRUE(sameView(follower.replica, wanted)) << follower.id << " has\n"
                                                      << show(follower.replica) << "wanted\n"
                                                      << show(wanted);
      ASSERT_EQ(follower.resyncs, 0) << "no gateway sends away whom another one serves";
    }
  });
}

TEST(SharedViews, ThroughTrimsPurgesNewRulesAndNewClaimsNobodyEverHasASilentGap) {
  forEachSeed(kMovingSeeds, [](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    SharedCluster cluster(random, clock);
    cluster.options.rules = ownersRules();
    cluster.options.retention.maxLogEntries = 4 + random.below(12);
    cluster.options.retention.tombstoneRetention = std::chrono::milliseconds(200);
    for (std::size_t at = 0; at < 3; ++at) cluster.join(at);
    DeltaMaker maker{random};
    bool open = false;  // whether everybody sees everything
    std::vector<Follower> followers{{"one", {1}, {}, {}}, {"two", {2}, {}, {}}};
    for (int i = 0; i < 50; ++i) {
      clock.advance(std::chrono::milliseconds(random.below(60)));
      cluster.trouble();
      cluster.push({"host", {maker.make(random.chance(50) ? "x" : "y")}, {}}, kTrustedPush);
      if (random.chance(3)) cluster.onAny([&](Gateway& gateway) { gateway.purgeTable(random.pick(maker.tables)); });
      if (random.chance(3)) cluster.onAny([](Gateway& gateway) { gateway.enforceRetention(); });
      if (random.chance(3)) {
        open = !open;
        cluster.onAny([&](Gateway& gateway) { gateway.setSyncRules(open ? SyncRules() : ownersRules()); });
      }
      for (Follower& follower : followers) {
        if (random.chance(3)) follower.owners = {static_cast<std::int64_t>(random.below(3))};
        if (random.chance(20)) pullAnywhere(cluster, follower, 1 + random.below(3));
      }
    }
    cluster.settle();
    Gateway& gateway = cluster.anyGateway();
    gateway.setSyncRules(SyncRules());  // the gateways' own state, seen without rules
    const ModelView all = stateOf(gateway.snapshot());
    if (!open) gateway.setSyncRules(ownersRules());
    cluster.settle();
    for (Follower& follower : followers) {
      while (pullAnywhere(cluster, follower, 2)) {
      }
      const ModelView wanted = open ? all : filtered(all, follower.owners);
      ASSERT_TRUE(sameView(follower.replica, wanted)) << follower.id << " has\n"
                                                      << show(follower.replica) << "wanted\n"
                                                      << show(wanted);
    }
  });
}

class MovingClient : public ::testing::Test {
 protected:
  MovingClient() {
    for (const bool first : {true, false}) {
      auto end = std::make_shared<FaultySharedLog>(log_.another());  // nobody wakes anybody
      GatewayOptions options;
      if (first) options.rules = ownersRules();
      options.clock = &clock_;
      options.sharedLog = end;
      (first ? north_ : south_) = std::make_unique<Gateway>(options);
    }
    push(1), push(2);
  }
  Hlc push(int owner) {
    const RowDelta delta{DeltaOp::insert,  "users", std::to_string(++rows_), "host", {{"owner", owner}},
                         Hlc::of(kBaseMs), {}};
    return north_->handlePush({"host", {delta}, {}}).serverHlc;
  }

  ManualClock clock_;
  MemorySharedLog log_;
  std::unique_ptr<Gateway> north_, south_;
  int rows_ = 0;
};

TEST_F(MovingClient, IsServedFromBeyondTheHeadOfAGatewayThatLags) {
  const PullResult here = north_->handlePull({"c", {}, 10}, claimsOf({1}));
  EXPECT_EQ(here.deltas.size(), 1u);
  const PullResult there = south_->handlePull({"c", here.serverHlc, 10}, claimsOf({1}));
  EXPECT_FALSE(there.mustResync) << there.reason;
  EXPECT_EQ(there.serverHlc, here.serverHlc);
}

TEST_F(MovingClient, WhoseClaimsChangedElsewhereAndChangedBackMustResync) {
  const Hlc since = south_->handlePull({"c", {}, 10}, claimsOf({1})).serverHlc;
  EXPECT_TRUE(north_->handlePull({"c", since, 10}, claimsOf({2})).mustResync);
  const Hlc taken = north_->snapshot(claimsOf({2}), "c").serverHlc();
  EXPECT_TRUE(south_->handlePull({"c", taken, 10}, claimsOf({1})).mustResync) << "it holds the other view's rows";
}

TEST_F(MovingClient, StandsOnASnapshotThatEveryGatewayKnowsTheViewOf) {
  const Hlc one = north_->snapshot(claimsOf({1})).serverHlc();
  const Hlc two = south_->snapshot(claimsOf({2})).serverHlc();
  EXPECT_NE(one, two) << "a stamp is one view's";
  EXPECT_FALSE(south_->handlePull({"a", one, 10}, claimsOf({1})).mustResync);
  EXPECT_FALSE(north_->handlePull({"b", two, 10}, claimsOf({2})).mustResync);
  EXPECT_TRUE(north_->handlePull({"d", one, 10}, claimsOf({2})).mustResync);
}

TEST_F(MovingClient, FindsTheSameRulesEverywhere) {
  EXPECT_EQ(south_->syncRules().fingerprint(), ownersRules().fingerprint()) << "those of the first gateway";
  south_->setSyncRules(SyncRules());
  EXPECT_NE(north_->syncRules().fingerprint(), SyncRules().fingerprint()) << "it has not heard yet";
  north_->catchUp();
  EXPECT_EQ(north_->syncRules().fingerprint(), SyncRules().fingerprint());
}

TEST_F(MovingClient, ThatWasPurgedOnOneGatewayIsForgottenByAll) {
  const Hlc since = north_->handlePull({"c", {}, 10}, claimsOf({1})).serverHlc;
  EXPECT_FALSE(south_->handlePull({"c", since, 10}, claimsOf({1})).mustResync);
  EXPECT_TRUE(north_->purgeClient("c"));
  push(1);
  EXPECT_TRUE(south_->handlePull({"c", push(2), 10}, claimsOf({1})).mustResync);
}

}  // namespace
}  // namespace tidegate
