#include "tidegate/gateway/partitioned_gateway.h"

#include <gtest/gtest.h>

#include "contract/gateway_followers.h"
#include "contract/gateway_law_deltas.h"
#include "support/manual_clock.h"
#include "tidegate/core/error.h"

namespace tidegate {
namespace {

using namespace test;  // NOLINT: the tests' own words

constexpr std::uint64_t kPartitionSeeds = 200;

/// "users" by ranges of rows over two partitions, "orders" in a third.
PartitionMap usersAndOrders() {
  return {.partitions = 3, .ranges = {{"users", "", 0}, {"users", "3", 1}, {"orders", "", 2}}, .others = 2};
}

struct Partitions {
  explicit Partitions(const Clock& clock, SyncRules rules = {}) {
    for (int i = 0; i < 3; ++i) {
      GatewayOptions options;
      options.clock = &clock;
      options.rules = rules;
      options.sharedLog = std::make_shared<MemorySharedLog>();
      gateways.push_back(std::make_shared<Gateway>(options));
    }
    front = std::make_unique<PartitionedGateway>(gateways, usersAndOrders());
  }
  std::vector<std::shared_ptr<Gateway>> gateways;
  std::unique_ptr<PartitionedGateway> front;
};

/// A client that does what it is told.
struct PartitionFollower {
  std::string id;
  std::vector<std::int64_t> owners;
  PartitionedSince since{};
  ModelView replica{};

  bool pull(PartitionedGateway& front, std::size_t most) {
    // As over a wire.
    const PartitionedPage page = front.handlePull({id, PartitionedSince::parse(since.text()), most}, claimsOf(owners));
    if (page.mustResync) {
      EXPECT_FALSE(page.reason.empty());
      replica.clear();
      PartitionedSnapshot snapshot = front.snapshot(claimsOf(owners), id);
      RowDelta row;
      while (snapshot.next(row)) applyTo(replica, row);
      since = snapshot.since();
      return true;
    }
    EXPECT_LE(page.deltas.size(), most + 1);
    EXPECT_TRUE(!page.hasMore || page.since != since) << "a page makes progress";
    applyTo(replica, page.deltas);
    since = page.since;
    return page.hasMore;
  }
};

TEST(PartitionedGateway, IsToItsClientsWhatOneGatewayIs) {
  forEachSeed(kPartitionSeeds, [](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    Partitions partitions(clock, ownersRules());
    DeltaMaker maker{random};
    LwwModel model;
    std::vector<PartitionFollower> followers{{"one", {1}}, {"both", {0, 2}}, {"nobody", {}}};
    for (int i = 0; i < 30; ++i) {
      SyncPush push{"host", {}, {}};
      for (std::uint64_t n = 1 + random.below(4); n > 0; --n) {
        push.deltas.push_back(maker.make(random.chance(50) ? "x" : "y"));
        model.add(push.deltas.back());
      }
      const PushResult result = partitions.front->handlePush(push, kTrustedPush);
      ASSERT_EQ(result.status, PushStatus::accepted) << result.message;
      ASSERT_EQ(result.applied + result.duplicates + result.noEffect, push.deltas.size());
      ASSERT_EQ(result.verdicts.size(), push.deltas.size());
      for (PartitionFollower& follower : followers) {
        if (random.chance(30)) follower.pull(*partitions.front, 1 + random.below(4));
        if (random.chance(4)) follower.owners = {static_cast<std::int64_t>(random.below(3))};
      }
    }
    const ModelView all = model.view();
    for (const auto& [key, row] : all) ASSERT_TRUE(partitions.front->row(key.first, key.second));
    std::size_t rows = 0;
    for (const auto& gateway : partitions.gateways) rows += gateway->stats().rows;
    ASSERT_EQ(rows, all.size());
    for (PartitionFollower& follower : followers) {
      while (follower.pull(*partitions.front, 2)) {
      }
      const ModelView wanted = filtered(all, follower.owners);
      ASSERT_TRUE(sameView(follower.replica, wanted)) << follower.id << " has\n"
                                                      << show(follower.replica) << "wanted\n"
                                                      << show(wanted);
    }
  });
}

TEST(PartitionedGateway, TouchesTheOnePartitionThatTheRulesNeed) {
  ManualClock clock;
  Partitions partitions(clock, SyncRules::of(1, {{"mine", {"orders"}, {{"owner", RuleOp::eq, {}, "sub"}}},
                                                 {"staff", {"users"}, {{"owner", RuleOp::eq, {}, "staff"}}}}));
  const Claims customer{{"sub", {"1"}}};
  EXPECT_EQ(partitions.front->partitionsOf(customer), (std::vector<std::size_t>{2}));
  EXPECT_EQ(partitions.front->partitionsOf({{"staff", {"1"}}}), (std::vector<std::size_t>{0, 1}));
  EXPECT_TRUE(partitions.front->partitionsOf({}).empty());
  partitions.front->handlePush(
      {"c", {{DeltaOp::insert, "orders", "7", "c", {{"owner", 1}}, Hlc::of(kBaseMs), {}}}, {}});
  const PartitionedPage page = partitions.front->handlePull({"phone", {}, 10}, customer);
  EXPECT_EQ(page.deltas.size(), 1u);
  EXPECT_EQ(partitions.gateways[0]->stats().pulls + partitions.gateways[1]->stats().pulls, 0u);
  EXPECT_EQ(partitions.gateways[2]->stats().pushes, 1u);
  EXPECT_EQ(partitions.gateways[0]->stats().pushes + partitions.gateways[1]->stats().pushes, 0u);
}

TEST(PartitionedGateway, RefusesAPushWholeThatOnePartitionFindsFaultWith) {
  ManualClock clock;
  Partitions partitions(clock);
  const RowDelta sound{DeltaOp::insert, "users", "1", "c", {{"a", 1}}, Hlc::of(kBaseMs), {}};
  RowDelta faulty{DeltaOp::insert, "orders", "1", "c", {{"a", 1}}, Hlc::of(kBaseMs + 60'000), {}};
  const PushResult result = partitions.front->handlePush({"c", {sound, faulty}, {}});
  EXPECT_EQ(result.status, PushStatus::rejected);
  EXPECT_EQ(result.verdicts[0].verdict, Verdict::notApplied);
  EXPECT_EQ(result.verdicts[1].verdict, Verdict::clockDrift);
  EXPECT_FALSE(partitions.front->row("users", "1"));
}

TEST(PartitionedGateway, RefusesMapsThatLeaveRowsWithoutAPlace) {
  const auto one = std::make_shared<Gateway>();
  EXPECT_THROW(PartitionedGateway({one}, {.partitions = 2}), Error);
  EXPECT_THROW(PartitionedGateway({one}, {.partitions = 1, .ranges = {{"t", "m", 0}}}), Error);
  EXPECT_THROW(PartitionedGateway({one}, {.partitions = 1, .ranges = {{"t", "", 1}}}), Error);
  EXPECT_THROW(PartitionedGateway({one}, {.partitions = 1, .ranges = {{"t", "", 0}, {"t", "", 0}}}), Error);
  EXPECT_THROW(PartitionedGateway({one}, {.partitions = 1, .others = 1}), Error);
  EXPECT_THROW(PartitionedGateway({nullptr}, {}), Error);
}

TEST(PartitionedGateway, ReadsBackAPlaceOnlyAsItWritesIt) {
  const PartitionedSince since{{Hlc{1}, Hlc{0}, Hlc{UINT64_MAX}}};
  EXPECT_EQ(since.text(), "1.0.18446744073709551615");
  EXPECT_EQ(PartitionedSince::parse(since.text()), since);
  EXPECT_TRUE(PartitionedSince::parse("").parts.empty());
  for (const char* text : {".", "1.", ".1", "1..2", "-1", "1.x", "18446744073709551616", "1 "}) {
    EXPECT_THROW(PartitionedSince::parse(text), Error) << text;
  }
  ManualClock clock;
  EXPECT_THROW(Partitions(clock).front->handlePull({"c", {{Hlc{1}, Hlc{0}}}, 10}), Error)
      << "unless the number of parts is right";
}

}  // namespace
}  // namespace tidegate
