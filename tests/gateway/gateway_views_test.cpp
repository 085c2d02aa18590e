/// Laws 4.8 to 4.10: rules are judged on rows, and a client too far behind is told so.
#include <gtest/gtest.h>

#include "gateway/gateway_model.h"
#include "support/manual_clock.h"

namespace tidegate {
namespace {

using test::applyTo;
using test::DeltaMaker;
using test::forEachSeed;
using test::kBaseMs;
using test::LwwModel;
using test::ManualClock;
using test::ModelRow;
using test::ModelView;
using test::Random;
using test::sameView;
using test::show;

constexpr PushContext kTrusted{.trusted = true, .ingest = false};

/// "users" of the claimed owners; "orders" that have an owner of at least 1.
SyncRules ownersRules() {
  return SyncRules::of(1, {{"mine", {"users"}, {{"owner", RuleOp::in, {}, "sub"}}},
                           {"big", {"orders"}, {{"owner", RuleOp::gte, {Value(1)}, ""}}}});
}

ModelView filtered(const ModelView& all, const std::vector<std::int64_t>& owners) {
  ModelView seen;
  for (const auto& [key, row] : all) {
    const auto at = row.find("owner");
    const std::int64_t* owner = at == row.end() ? nullptr : at->second.getIf<std::int64_t>();
    if (owner == nullptr) continue;
    const bool mine = key.first == "users" && std::find(owners.begin(), owners.end(), *owner) != owners.end();
    if (mine || (key.first == "orders" && *owner >= 1)) seen[key] = row;
  }
  return seen;
}

Claims claimsOf(const std::vector<std::int64_t>& owners) {
  Claims claims;
  for (const std::int64_t owner : owners) claims["sub"].push_back(std::to_string(owner));
  return claims;
}

/// A client that does what it is told: pulls, and takes a snapshot when it must.
struct Follower {
  std::string id;
  std::vector<std::int64_t> owners;
  Hlc since;
  ModelView replica;
  int resyncs = 0;

  /// One page. @return whether there may be more.
  bool pull(Gateway& gateway, std::size_t page) {
    const PullResult result = gateway.handlePull({id, since, page}, claimsOf(owners));
    if (result.mustResync) {
      EXPECT_FALSE(result.reason.empty());
      EXPECT_TRUE(result.deltas.empty());
      resync(gateway);
      return true;
    }
    for (const RowDelta& delta : result.deltas) EXPECT_EQ(delta.deltaId, computeDeltaId(delta)) << toJson(delta);
    applyTo(replica, result.deltas);
    since = result.serverHlc;
    return result.hasMore;
  }

  void resync(Gateway& gateway) {
    ++resyncs;
    replica.clear();
    GatewaySnapshot snapshot = gateway.snapshot(claimsOf(owners), id);
    RowDelta row;
    while (snapshot.next(row)) applyTo(replica, row);
    since = snapshot.serverHlc();
  }
};

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
