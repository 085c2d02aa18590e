/// Decision 2: under rules, a client that the gateway does not know may have another view than the one it pulled with.
#include <gtest/gtest.h>

#include "support/manual_clock.h"
#include "tidegate/gateway/gateway.h"

namespace tidegate {
namespace {

const Claims kOne{{"sub", {"1"}}};
const Claims kTwo{{"sub", {"2"}}};

class UnknownClient : public ::testing::Test {
 protected:
  UnknownClient() {
    for (const int owner : {1, 2}) push(owner);
  }
  GatewayOptions options() {
    GatewayOptions options;
    options.clock = &clock_;
    options.rules = SyncRules::of(1, {{"mine", {"users"}, {{"owner", RuleOp::eq, {}, "sub"}}}});
    options.retention.tombstoneRetention = std::chrono::hours(1);
    return options;
  }
  void push(int owner) {
    const RowDelta delta{DeltaOp::insert,        "users", std::to_string(++rows_), "host", {{"owner", owner}},
                         gateway_.clock().now(), {}};
    ASSERT_EQ(gateway_.handlePush({"host", {delta}, {}}).applied, 1u);
  }
  bool resyncs(const char* client, Hlc since, const Claims& claims) {
    return gateway_.handlePull({client, since, 10}, claims).mustResync;
  }
  bool resyncsSubscription(const char* client, Hlc since, const Claims& claims) {
    Subscription subscription = gateway_.subscribe({.clientId = client, .sinceHlc = since}, claims);
    const auto event = subscription.next(std::chrono::milliseconds(0));
    return event && event->mustResync;
  }

  test::ManualClock clock_;
  Gateway gateway_{options()};
  int rows_ = 0;
};

TEST_F(UnknownClient, WhoseClaimsChangedWhileItWasForgottenMustResyncOnce) {
  const Hlc since = gateway_.handlePull({"r", {}, 10}, kOne).serverHlc;
  EXPECT_FALSE(resyncs("r", since, kOne));
  clock_.advance(std::chrono::hours(2));
  push(2);
  EXPECT_TRUE(resyncs("r", since, kTwo));
  EXPECT_TRUE(resyncs("r", since, kTwo)) << "it has not taken a snapshot";
  const Hlc taken = gateway_.snapshot(kTwo, "r").serverHlc();
  push(2);
  EXPECT_FALSE(resyncs("r", taken, kTwo));
}

TEST_F(UnknownClient, ThatTookAnAnonymousSnapshotIsServedFromExactlyThereWithThatViewOnly) {
  const Hlc taken = gateway_.snapshot(kOne).serverHlc();
  push(1);
  EXPECT_FALSE(resyncs("r", taken, kOne));
  EXPECT_FALSE(resyncs("q", taken, kOne)) << "several clients may share a snapshot";
  EXPECT_TRUE(resyncs("other", taken, kTwo));
  EXPECT_TRUE(resyncs("before", Hlc{taken.raw - 1}, kOne));
}

TEST_F(UnknownClient, ASnapshotWithItsIdDoesNotVouchForWhatItHeldBefore) {
  const Hlc before{gateway_.snapshot(kOne).serverHlc().raw - 1};
  push(1);
  const Hlc taken = gateway_.snapshot(kTwo, "r").serverHlc();
  EXPECT_TRUE(resyncs("r", before, kTwo));
  EXPECT_FALSE(resyncs("r", taken, kTwo));
}

TEST_F(UnknownClient, AtTheVeryHeadIsToldToResyncUntilItHasTakenASnapshot) {
  const Hlc head = gateway_.handlePull({"r", {}, 10}, kOne).serverHlc;
  EXPECT_FALSE(resyncs("r", head, kOne));
  EXPECT_TRUE(resyncs("r", head, kTwo));
  EXPECT_TRUE(resyncs("r", head, kTwo)) << "the first answer may have been lost";
  EXPECT_FALSE(resyncs("r", gateway_.snapshot(kTwo, "r").serverHlc(), kTwo));
  EXPECT_TRUE(resyncs("r", head, kTwo)) << "the snapshot may have been lost too";
  const Hlc taken = gateway_.snapshot(kTwo).serverHlc();
  EXPECT_FALSE(resyncs("r", taken, kTwo));
  push(2);
  EXPECT_EQ(gateway_.handlePull({"r", taken, 10}, kTwo).deltas.size(), 1u);
}

// Found by the simulator: two clients stood at the same place of a quiet log, with different views.
TEST_F(UnknownClient, IsNotTakenForAnotherThatTookASnapshotWhereItStands) {
  const Hlc since = gateway_.handlePull({"r", {}, 10}, kOne).serverHlc;
  clock_.advance(std::chrono::hours(2));
  const Hlc taken = gateway_.snapshot(kTwo).serverHlc();
  EXPECT_TRUE(resyncs("r", since, kTwo));
  EXPECT_FALSE(resyncs("q", taken, kTwo));
}

TEST_F(UnknownClient, OfWhomThereAreManyAreAllServedFromTheirSnapshots) {
  for (int i = 0; i < 1'100; ++i) {
    const Claims claims{{"sub", {std::to_string(i)}}};
    const std::string client = "c" + std::to_string(i);
    ASSERT_FALSE(resyncs(client.c_str(), gateway_.snapshot(claims).serverHlc(), claims)) << client;
  }
  push(2);
  EXPECT_EQ(gateway_.handlePull({"c2", gateway_.snapshot(kTwo).serverHlc(), 10}, kTwo).deltas.size(), 0u);
}

// Found by the simulator: its claims changed there and back, with an anonymous snapshot in between.
TEST_F(UnknownClient, AKnownOneThatStandsOnAnAnonymousSnapshotOfAnotherViewMustResync) {
  (void)gateway_.handlePull({"r", {}, 10}, kOne);
  const Hlc taken = gateway_.snapshot(kTwo).serverHlc();
  EXPECT_TRUE(resyncs("r", taken, kOne));
}

TEST_F(UnknownClient, ASubscriptionIsJudgedLikeAPull) {
  const Hlc taken = gateway_.snapshot(kOne).serverHlc();
  push(1);
  EXPECT_FALSE(resyncsSubscription("r", taken, kOne));
  EXPECT_TRUE(resyncsSubscription("other", taken, kTwo));
  EXPECT_FALSE(resyncsSubscription("listener", {}, kTwo)) << "what comes from now on needs nothing from before";
}

// Found by the simulator: it took snapshots for ever.
TEST_F(UnknownClient, WhoseRulesWereTakenAwayIsServedFromAnAnonymousSnapshot) {
  const Hlc since = gateway_.handlePull({"r", {}, 10}, kOne).serverHlc;
  gateway_.setSyncRules(SyncRules());
  EXPECT_TRUE(resyncs("r", since, kOne));
  EXPECT_TRUE(resyncs("r", since, kOne)) << "the first answer may have been lost";
  EXPECT_FALSE(resyncs("r", gateway_.snapshot(kOne).serverHlc(), kOne));
}

TEST_F(UnknownClient, WithoutRulesIsServed) {
  Gateway open;
  const RowDelta delta{DeltaOp::insert, "users", "1", "host", {}, open.clock().now(), {}};
  const Hlc since = open.handlePush({"host", {delta}, {}}).serverHlc;
  EXPECT_FALSE(open.handlePull({"r", since, 10}).mustResync);
}

}  // namespace
}  // namespace tidegate
