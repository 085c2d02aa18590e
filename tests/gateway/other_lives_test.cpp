/// What a gateway must know of its past although it holds nothing of it: logs of other lives, forgotten tombstones.
#include <gtest/gtest.h>

#include "contract/gateway_model.h"
#include "support/manual_clock.h"

namespace tidegate {
namespace {

using test::kBaseMs;
using test::ManualClock;

SyncPush onePush(Gateway& gateway, DeltaOp op, const char* rowId, std::vector<ColumnValue> columns = {}) {
  return {"c", {{op, "users", rowId, "c", std::move(columns), gateway.clock().now(), {}}}, {}};
}

/// Somebody who pulled in a former life comes when the new log has passed what it holds.
void followInto(const std::shared_ptr<GatewayStore>& first, const std::shared_ptr<GatewayStore>& second) {
  ManualClock clock;
  GatewayOptions options;
  options.clock = &clock;
  options.store = first;
  Hlc since;
  {
    Gateway gateway(options);
    gateway.handlePush(onePush(gateway, DeltaOp::insert, "1"));
    since = gateway.handlePull({"old", {}, 10}).serverHlc;
  }
  clock.advance(std::chrono::seconds(1));
  options.store = second;
  Hlc begun;
  {
    Gateway gateway(options);
    EXPECT_TRUE(gateway.handlePull({"old", since, 10}).mustResync);
    EXPECT_EQ(gateway.snapshot().serverHlc(), Hlc{}) << "an empty gateway gives no stamp that it would not serve";
    const PullResult nothing = gateway.handlePull({"new", {}, 10});
    EXPECT_FALSE(nothing.mustResync);
    EXPECT_EQ(nothing.serverHlc, Hlc{});
    gateway.handlePush(onePush(gateway, DeltaOp::insert, "2"));
    const PullResult old = gateway.handlePull({"old", since, 10});
    EXPECT_TRUE(old.mustResync) << "row 1 is not in this life's log, nor is its end";
    EXPECT_NE(old.reason.find("began anew"), std::string::npos) << old.reason;
    const PullResult fresh = gateway.handlePull({"new", nothing.serverHlc, 10});
    EXPECT_EQ(fresh.deltas.size(), 1u);
    begun = fresh.serverHlc;
    EXPECT_FALSE(gateway.handlePull({"new", begun, 10}).mustResync);
    EXPECT_FALSE(gateway.handlePull({"old", gateway.snapshot().serverHlc(), 10}).mustResync);
  }
  if (!second) return;
  clock.stepWall(-std::chrono::hours(1));
  Gateway gateway(options);
  EXPECT_TRUE(gateway.handlePull({"old", since, 10}).mustResync) << "a restart must not forget where the log begins";
  gateway.handlePush(onePush(gateway, DeltaOp::insert, "3"));
  EXPECT_EQ(gateway.handlePull({"new", begun, 10}).deltas.size(), 1u);
}

TEST(OtherLives, AClientOfAFormerLifeMustResyncWhenNothingIsStored) { followInto(nullptr, nullptr); }

TEST(OtherLives, AClientOfAFormerLifeMustResyncWhenTheStoreIsLost) {
  followInto(std::make_shared<MemoryGatewayStore>(), std::make_shared<MemoryGatewayStore>());
}

TEST(OtherLives, APurgeWhileTheLogIsEmptyKeepsWhereItBegins) {
  ManualClock clock;
  GatewayOptions options;
  options.clock = &clock;
  Gateway gateway(options);
  const Hlc since = Hlc::of(kBaseMs - 1);
  gateway.handlePush(onePush(gateway, DeltaOp::erase, "1"));  // names the table, and shows nobody anything
  gateway.purgeTable("users");
  gateway.handlePush(onePush(gateway, DeltaOp::insert, "2"));
  EXPECT_TRUE(gateway.handlePull({"old", since, 10}).mustResync);
}

/// A gateway that has forgotten the erase of row "1".
class ForgottenErase : public ::testing::Test {
 protected:
  ForgottenErase() {
    gateway_.handlePush(onePush(gateway_, DeltaOp::insert, "1", {{"a", 1}, {"b", 1}}));
    clock_.advance(std::chrono::seconds(1));
    stale_ = gateway_.clock().now();
    clock_.advance(std::chrono::seconds(1));
    gateway_.handlePush(onePush(gateway_, DeltaOp::erase, "1"));
    clock_.advance(std::chrono::hours(2));
    gateway_.enforceRetention();
    EXPECT_EQ(gateway_.stats().tombstones, 0u);
  }
  GatewayOptions options() {
    GatewayOptions options;
    options.clock = &clock_;
    options.retention.tombstoneRetention = std::chrono::hours(1);
    return options;
  }
  RowDelta ingested(Hlc hlc, Value value) {
    return {DeltaOp::insert, "users", "1", "ingest:s", {{"a", std::move(value)}}, hlc, {}};
  }
  PushResult ingest(const RowDelta& delta) {
    return gateway_.handlePush({"ingest:s", {delta}, {}}, {.trusted = true, .ingest = true});
  }

  ManualClock clock_;
  Gateway gateway_{options()};
  Hlc stale_;  ///< before the erase
};

TEST_F(ForgottenErase, WhatWasWrittenBeforeItStaysHiddenWhenTheSourceMakesTheRowAnew) {
  ASSERT_EQ(ingest(ingested(gateway_.clock().now(), 2)).applied, 1u);
  const RowDelta late{DeltaOp::update, "users", "1", "c", {{"b", 9}}, stale_, {}};
  EXPECT_EQ(gateway_.handlePush({"c", {late}, {}}).noEffect, 1u);
  EXPECT_EQ(gateway_.row("users", "1")->values.size(), 1u) << "the erase had hidden column b";
  const RowDelta now{DeltaOp::update, "users", "1", "c", {{"b", 9}}, gateway_.clock().now(), {}};
  EXPECT_EQ(gateway_.handlePush({"c", {now}, {}}).applied, 1u);
}

TEST_F(ForgottenErase, WhatASourceSaysWithAnOlderStampIsNotLost) {
  EXPECT_EQ(ingest(ingested(stale_, 3)).applied, 1u);
  EXPECT_TRUE(*gateway_.row("users", "1")->find("a") == Value(3));
}

}  // namespace
}  // namespace tidegate
