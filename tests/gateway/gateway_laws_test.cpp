/// Laws 4.1 to 4.6 of docs/guarantees.md, each over many seeds against the plain model.
#include <gtest/gtest.h>

#include <optional>

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
using test::ModelView;
using test::pullAll;
using test::Random;
using test::sameView;
using test::show;
using test::stateOf;

constexpr std::uint64_t kSeeds = 1'000;
constexpr PushContext kTrusted{.trusted = true, .ingest = false};

GatewayOptions with(const Clock& clock) {
  GatewayOptions options;
  options.clock = &clock;
  return options;
}

std::vector<RowDelta> someDeltas(Random& random, std::size_t count) {
  DeltaMaker maker{random};
  std::vector<RowDelta> deltas;
  for (std::size_t i = 0; i < count; ++i) {
    deltas.push_back(maker.make(random.chance(50) ? "x" : "y"));
    if (random.chance(70)) deltas.back().deltaId = computeDeltaId(deltas.back());
  }
  return deltas;
}

/// In batches of random size.
void pushInBatches(Gateway& gateway, Random& random, const std::vector<RowDelta>& deltas) {
  for (std::size_t at = 0; at < deltas.size();) {
    const std::size_t size = std::min<std::size_t>(1 + random.below(7), deltas.size() - at);
    SyncPush push{
        "host",
        {deltas.begin() + static_cast<std::ptrdiff_t>(at), deltas.begin() + static_cast<std::ptrdiff_t>(at + size)},
        {}};
    const PushResult result = gateway.handlePush(push, kTrusted);
    ASSERT_EQ(result.status, PushStatus::accepted) << result.message;
    ASSERT_EQ(result.applied + result.duplicates + result.noEffect, size);
    at += size;
  }
}

LwwModel modelOf(const std::vector<RowDelta>& deltas) {
  LwwModel model;
  for (const RowDelta& delta : deltas) model.add(delta);
  return model;
}

/// A delta with one fault.
RowDelta spoil(Random& random, RowDelta delta) {
  switch (random.below(6)) {
    case 0:
      delta.hlc = Hlc::of(kBaseMs + 6'000);
      break;
    case 1:
      delta.table.clear();
      break;
    case 2:
      delta.rowId = std::string(2'000, 'x');
      break;
    case 3:
      delta.clientId = "somebody else";
      break;
    case 4:
      delta.deltaId.octets[5] ^= 1;
      delta.deltaId.octets[0] |= 1;
      break;
    default:
      delta.op = DeltaOp::update;
      delta.columns = {{"a", 1}, {"a", 2}};
  }
  return delta;
}

TEST(GatewayLaws, APushIsAppliedWholeOrNotAtAll) {
  forEachSeed(kSeeds, [](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    Gateway gateway(with(clock));
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

TEST(GatewayLaws, TheSameDeltasInAnyOrderBatchesAndNumberEndInTheSameState) {
  forEachSeed(kSeeds, [](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    std::vector<RowDelta> deltas = someDeltas(random, 30);
    const ModelView wanted = modelOf(deltas).view();
    for (int order = 0; order < 3; ++order) {
      std::vector<RowDelta> sent = deltas;
      for (int i = 0; i < 8; ++i) sent.push_back(random.pick(deltas));
      random.shuffle(sent);
      Gateway gateway(with(clock));
      pushInBatches(gateway, random, sent);
      const ModelView got = stateOf(gateway.snapshot());
      ASSERT_TRUE(sameView(got, wanted)) << "gateway\n" << show(got) << "model\n" << show(wanted);
      for (const auto& [key, row] : wanted) ASSERT_TRUE(gateway.row(key.first, key.second));
      ASSERT_EQ(gateway.stats().rows, wanted.size());
    }
  });
}

TEST(GatewayLaws, WhoeverAppliesTheLogInOrderHasTheStateAndEveryIdIsTheHashOfItsDelta) {
  forEachSeed(kSeeds, [](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    Gateway gateway(with(clock));
    ModelView replica;
    Hlc since;
    const std::vector<RowDelta> deltas = someDeltas(random, 40);
    for (const RowDelta& delta : deltas) {
      gateway.handlePush({"host", {delta}, {}}, kTrusted);
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

TEST(GatewayLaws, ClientsThatPullAtAnyTimeInAnyPagesMissNothingHoweverLateADeltaComes) {
  forEachSeed(kSeeds, [](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    Gateway gateway(with(clock));
    const std::vector<RowDelta> deltas = someDeltas(random, 40);  // stamps in no order at all
    std::map<std::string, std::pair<Hlc, ModelView>> clients{{"p", {}}, {"q", {}}, {"s", {}}};
    for (const RowDelta& delta : deltas) {
      clock.stepWall(std::chrono::milliseconds(random.between(-20, 30)));
      gateway.handlePush({"host", {delta}, {}}, kTrusted);
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

TEST(GatewayLaws, ADeltaSeenBeforeChangesNothingEvenAfterTheWindowForgotItsId) {
  forEachSeed(kSeeds, [](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    GatewayOptions options = with(clock);
    options.retention.dedupeIds = random.below(6);
    Gateway gateway(options);
    const std::vector<RowDelta> deltas = someDeltas(random, 25);
    pushInBatches(gateway, random, deltas);
    const GatewayStats before = gateway.stats();
    for (int i = 0; i < 40; ++i) {
      const PushResult again = gateway.handlePush({"host", {random.pick(deltas)}, {}}, kTrusted);
      ASSERT_EQ(again.applied, 0u);
    }
    ASSERT_EQ(gateway.stats().lastHlc, before.lastHlc);
    ASSERT_EQ(gateway.stats().logEntries, before.logEntries);
    ASSERT_TRUE(sameView(stateOf(gateway.snapshot()), modelOf(deltas).view()));
  });
}

TEST(GatewayLaws, TheDedupeWindowHoldsTheNewestIdsThroughTrimsOfTheLog) {
  forEachSeed(kSeeds, [](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    GatewayOptions options = with(clock);
    options.retention.dedupeIds = 10;
    options.retention.maxLogEntries = 1;
    Gateway gateway(options);
    std::vector<RowDelta> sent;
    for (int i = 0; i < 60; ++i) {
      RowDelta delta{DeltaOp::insert, "users", std::to_string(i), "c", {{"a", i}}, Hlc::of(kBaseMs), {}};
      delta.deltaId = computeDeltaId(delta);
      ASSERT_EQ(gateway.handlePush({"c", {delta}, {}}).applied, 1u);
      sent.push_back(delta);
      const std::size_t back = random.below(std::min<std::size_t>(10, sent.size()));
      ASSERT_EQ(gateway.handlePush({"c", {sent[sent.size() - 1 - back]}, {}}).duplicates, 1u);
      ASSERT_LE(gateway.stats().dedupeIds, 20u);
    }
  });
}

TEST(GatewayLaws, ARefusedPushUnderPressureLeavesEverythingAndCanBeSentAgain) {
  forEachSeed(kSeeds, [](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    GatewayOptions options = with(clock);
    options.limits.maxBufferBytes = 120'000 + random.below(100'000);
    options.retention.maxLogAge = std::chrono::milliseconds(1'000);
    Gateway gateway(options);
    ModelView wanted;
    int refused = 0;
    for (int i = 0; i < 60 && refused < 3; ++i) {
      RowDelta delta{DeltaOp::insert,  "users", std::to_string(i), "c", {{"a", std::string(random.below(6'000), 'x')}},
                     Hlc::of(kBaseMs), {}};
      const PushResult result = gateway.handlePush({"c", {delta}, {}});
      if (result.status == PushStatus::backPressure) {
        ++refused;
        ASSERT_FALSE(gateway.row("users", delta.rowId));
        clock.advance(std::chrono::seconds(2));
        gateway.enforceRetention();  // the log goes, and room comes back
        continue;
      }
      ASSERT_EQ(result.status, PushStatus::accepted);
      applyTo(wanted, delta);
    }
    ASSERT_TRUE(sameView(stateOf(gateway.snapshot()), wanted));
  });
}

}  // namespace
}  // namespace tidegate
