/// What a gateway must keep whatever keeps its state: nothing, a store, or a log that it shares with others. To check
/// one of your own:
///
///     INSTANTIATE_TEST_SUITE_P(Mine, GatewayContract, testing::Values(GatewayHomeCase{
///         .name = "mine", .seeds = 20, .make = [] {
///           return [dir = makeTempDir()](GatewayOptions& options) { options.store = openMine(dir); };
///         }}), gatewayHomeCaseName);
///
/// `make` begins a home; each call of what it gives opens that home for one more gateway: a restarted one, or where
/// `several` may use it at once, another one.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "contract/gateway_followers.h"
#include "contract/gateway_home.h"
#include "contract/gateway_law_deltas.h"
#include "contract/gateway_model.h"
#include "support/manual_clock.h"
#include "support/property.h"
#include "tidegate/core/error.h"
#include "tidegate/gateway/gateway.h"

namespace tidegate::contract {

using namespace test;  // NOLINT: the suite's own words

class GatewayContract : public ::testing::TestWithParam<GatewayHomeCase> {
 protected:
  /// Options of a gateway in a new home.
  GatewayOptions home(const Clock& clock) {
    open_ = GetParam().make();
    return again(clock);
  }
  /// Options of one more gateway in the same home.
  GatewayOptions again(const Clock& clock) {
    GatewayOptions options;
    options.clock = &clock;
    open_(options);
    return options;
  }

 private:
  GatewayHomeCase::Opener open_;
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GatewayContract);

TEST_P(GatewayContract, APushIsAppliedWholeOrNotAtAll) {
  forEachSeed(GetParam().seeds, [&](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    Gateway gateway(home(clock));
    DeltaMaker maker{random};
    LwwModel model;
    for (int i = 0; i < 12; ++i) {
      SyncPush push{random.chance(50) ? "x" : "y", {}, {}};
      for (std::uint64_t n = 1 + random.below(5); n > 0; --n) push.deltas.push_back(maker.make(push.clientId));
      const bool spoilt = random.chance(50);
      const std::size_t at = random.index(push.deltas.size());
      if (spoilt) push.deltas[at] = spoil(random, push.deltas[at]);
      const GatewayStats before = gateway.stats();
      const PushResult result = gateway.handlePush(push);
      if (spoilt) {
        ASSERT_EQ(result.status, PushStatus::rejected);
        ASSERT_NE(result.verdicts[at].verdict, Verdict::notApplied);
        ASSERT_FALSE(result.verdicts[at].message.empty());
        ASSERT_EQ(gateway.stats().lastHlc, before.lastHlc);
        ASSERT_EQ(gateway.stats().dedupeIds, before.dedupeIds);
      } else {
        ASSERT_EQ(result.status, PushStatus::accepted) << result.message;
        for (const RowDelta& delta : push.deltas) model.add(delta);
      }
      ASSERT_TRUE(sameView(stateOf(gateway.snapshot()), model.view()));
    }
  });
}

TEST_P(GatewayContract, TheSameDeltasInAnyOrderBatchesAndNumberEndInTheSameState) {
  forEachSeed(GetParam().seeds, [&](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    std::vector<RowDelta> deltas = someDeltas(random, 30);
    const ModelView wanted = modelOf(deltas).view();
    for (int order = 0; order < 3; ++order) {
      std::vector<RowDelta> sent = deltas;
      for (int i = 0; i < 8; ++i) sent.push_back(random.pick(deltas));
      random.shuffle(sent);
      Gateway gateway(home(clock));
      pushInBatches(gateway, random, sent);
      const ModelView got = stateOf(gateway.snapshot());
      ASSERT_TRUE(sameView(got, wanted)) << "gateway\n" << show(got) << "model\n" << show(wanted);
      for (const auto& [key, row] : wanted) ASSERT_TRUE(gateway.row(key.first, key.second));
      ASSERT_EQ(gateway.stats().rows, wanted.size());
    }
  });
}

TEST_P(GatewayContract, WhoeverAppliesTheLogInOrderHasTheStateAndEveryIdIsTheHashOfItsDelta) {
  forEachSeed(GetParam().seeds, [&](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    Gateway gateway(home(clock));
    ModelView replica;
    Hlc since;
    const std::vector<RowDelta> deltas = someDeltas(random, 40);
    for (const RowDelta& delta : deltas) {
      gateway.handlePush({"host", {delta}, {}}, kTrustedPush);
      if (!random.chance(40)) continue;
      const PullResult page = gateway.handlePull({"r", since, 1 + random.below(4)});
      for (const RowDelta& got : page.deltas) ASSERT_EQ(got.deltaId, computeDeltaId(got)) << toJson(got);
      ASSERT_GE(page.serverHlc, since);
      applyTo(replica, page.deltas);
      since = page.serverHlc;
    }
    pullAll(gateway, replica, since, 1 + random.below(5));
    const ModelView wanted = modelOf(deltas).view();
    ASSERT_TRUE(sameView(replica, wanted)) << "replica\n" << show(replica) << "model\n" << show(wanted);
  });
}

TEST_P(GatewayContract, ClientsThatPullAtAnyTimeInAnyPagesMissNothingHoweverLateADeltaComes) {
  forEachSeed(GetParam().seeds, [&](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    Gateway gateway(home(clock));
    const std::vector<RowDelta> deltas = someDeltas(random, 40);  // stamps in no order at all
    std::map<std::string, std::pair<Hlc, ModelView>> clients{{"p", {}}, {"q", {}}, {"s", {}}};
    for (const RowDelta& delta : deltas) {
      clock.stepWall(std::chrono::milliseconds(random.between(-20, 30)));
      gateway.handlePush({"host", {delta}, {}}, kTrustedPush);
      for (auto& [name, client] : clients) {
        if (!random.chance(20)) continue;
        const PullResult page = gateway.handlePull({name, client.first, 1 + random.below(3)});
        ASSERT_FALSE(page.mustResync);
        ASSERT_TRUE(!page.deltas.empty() || !page.hasMore);
        applyTo(client.second, page.deltas);
        client.first = page.serverHlc;
      }
    }
    for (auto& [name, client] : clients) {
      pullAll(gateway, client.second, client.first, 2, name);
      ASSERT_TRUE(sameView(client.second, modelOf(deltas).view())) << name;
    }
  });
}

TEST_P(GatewayContract, ADeltaSeenBeforeChangesNothingEvenAfterTheWindowForgotItsId) {
  forEachSeed(GetParam().seeds, [&](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    GatewayOptions options = home(clock);
    options.retention.dedupeIds = random.below(6);
    Gateway gateway(options);
    const std::vector<RowDelta> deltas = someDeltas(random, 25);
    pushInBatches(gateway, random, deltas);
    const GatewayStats before = gateway.stats();
    for (int i = 0; i < 40; ++i) {
      const PushResult again = gateway.handlePush({"host", {random.pick(deltas)}, {}}, kTrustedPush);
      ASSERT_EQ(again.applied, 0u);
    }
    ASSERT_EQ(gateway.stats().lastHlc, before.lastHlc);
    ASSERT_EQ(gateway.stats().logEntries, before.logEntries);
    ASSERT_TRUE(sameView(stateOf(gateway.snapshot()), modelOf(deltas).view()));
  });
}

TEST_P(GatewayContract, AClientWithRulesEqualsTheFilteredStateHoweverItPulls) {
  forEachSeed(GetParam().seeds, [&](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    GatewayOptions options = home(clock);
    options.rules = ownersRules();
    Gateway gateway(options);
    DeltaMaker maker{random};
    LwwModel model;
    std::vector<Follower> followers{{"one", {1}, {}, {}}, {"both", {0, 2}, {}, {}}, {"nobody", {}, {}, {}}};
    for (int i = 0; i < 40; ++i) {
      const RowDelta delta = maker.make(random.chance(50) ? "x" : "y");
      gateway.handlePush({"host", {delta}, {}}, kTrustedPush);
      model.add(delta);
      for (Follower& follower : followers) {
        if (random.chance(20)) follower.pull(gateway, 1 + random.below(3));
        if (random.chance(3)) follower.resync(gateway);
      }
    }
    for (Follower& follower : followers) {
      while (follower.pull(gateway, 2)) {
      }
      const ModelView wanted = filtered(model.view(), follower.owners);
      ASSERT_TRUE(sameView(follower.replica, wanted)) << follower.id << " has\n"
                                                      << show(follower.replica) << "wanted\n"
                                                      << show(wanted);
    }
  });
}

TEST_P(GatewayContract, WhatWasAcknowledgedIsThereWhenItIsOpenedAgain) {
  if (!GetParam().keeps) GTEST_SKIP() << "nothing is kept";
  forEachSeed(GetParam().seeds, [&](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    auto gateway = std::make_unique<Gateway>(home(clock));
    const std::vector<RowDelta> deltas = someDeltas(random, 30);
    LwwModel model;
    ModelView replica;
    Hlc since;
    for (std::size_t i = 0; i < deltas.size(); ++i) {
      const IngestNotes notes{gateway->takeIngest("ingest:shop").epoch, {{"place", std::to_string(i)}}};
      gateway->handlePush({"ingest:shop", {deltas[i]}, {}}, {.trusted = true, .notes = &notes});
      model.add(deltas[i]);
      if (random.chance(30)) since = pullAll(*gateway, replica, since, 1 + random.below(4));
      if (!random.chance(10)) continue;
      const GatewayStats before = gateway->stats();
      gateway.reset();
      gateway = std::make_unique<Gateway>(again(clock));
      ASSERT_EQ(gateway->stats().lastHlc, before.lastHlc);
      ASSERT_EQ(gateway->stats().dedupeIds, before.dedupeIds);
      ASSERT_EQ(gateway->stats().rows, before.rows);
      ASSERT_EQ(gateway->stats().logEntries, before.logEntries);
      ASSERT_EQ(gateway->ingestState("ingest:shop").notes.at("place"), std::to_string(i));
      ASSERT_EQ(gateway->ingestState("ingest:shop").epoch, notes.epoch);
      ASSERT_EQ(gateway->handlePush({"host", {deltas[random.index(i + 1)]}, {}}, kTrustedPush).applied, 0u);
    }
    pullAll(*gateway, replica, since, 3);
    ASSERT_TRUE(sameView(replica, model.view()));
    ASSERT_TRUE(sameView(stateOf(gateway->snapshot()), model.view()));
  });
}

TEST_P(GatewayContract, AnIngestSenderThatWasTakenOverIsFencedOff) {
  ManualClock clock;
  Gateway gateway(home(clock));
  const IngestNotes old{gateway.takeIngest("ingest:shop").epoch, {{"place", "1"}}};
  const IngestState taken = gateway.takeIngest("ingest:shop");
  EXPECT_GT(taken.epoch, old.epoch);
  const RowDelta delta{DeltaOp::insert, "users", "1", "host", {{"a", 1}}, Hlc::of(kBaseMs), {}};
  try {
    gateway.handlePush({"ingest:shop", {delta}, {}}, {.trusted = true, .ingest = true, .notes = &old});
    ADD_FAILURE() << "the old sender was heard";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::fenced);
  }
  EXPECT_FALSE(gateway.row("users", "1"));
}

TEST_P(GatewayContract, SeveralGatewaysOfOneHomeAreOneToTheirClients) {
  if (!GetParam().several) GTEST_SKIP() << "one gateway at a time";
  forEachSeed(GetParam().seeds, [&](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    std::vector<std::unique_ptr<Gateway>> gateways;
    GatewayOptions options = home(clock);
    options.rules = ownersRules();
    gateways.push_back(std::make_unique<Gateway>(options));
    for (int i = 0; i < 2; ++i) gateways.push_back(std::make_unique<Gateway>(again(clock)));
    DeltaMaker maker{random};
    LwwModel model;
    std::vector<Follower> followers{{"one", {1}, {}, {}}, {"both", {0, 2}, {}, {}}};
    Hlc last;
    for (int i = 0; i < 30; ++i) {
      const RowDelta delta = maker.make(random.chance(50) ? "x" : "y");
      const PushResult result = random.pick(gateways)->handlePush({"host", {delta}, {}}, kTrustedPush);
      if (result.applied > 0) {
        ASSERT_GT(result.serverHlc, last);
      }
      last = std::max(last, result.serverHlc);
      model.add(delta);
      for (Follower& follower : followers) {
        if (random.chance(20)) follower.pull(*random.pick(gateways), 1 + random.below(3));
      }
    }
    for (Follower& follower : followers) {
      for (auto& gateway : gateways) gateway->catchUp();
      while (follower.pull(*random.pick(gateways), 2)) {
      }
      ASSERT_TRUE(sameView(follower.replica, filtered(model.view(), follower.owners))) << follower.id;
      ASSERT_EQ(follower.resyncs, 0) << "a client may move at any time";
    }
    for (auto& gateway : gateways) {
      ASSERT_EQ(gateway->stats().lastHlc, last);
      for (const auto& [key, row] : model.view()) ASSERT_TRUE(gateway->row(key.first, key.second));
      ASSERT_EQ(gateway->stats().rows, model.view().size());
    }
  });
}

}  // namespace tidegate::contract
