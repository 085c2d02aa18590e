/// Several gateways over one log (decision 29): whatever fails, lags, joins or is trimmed, they are one.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "gateway/shared_cluster.h"

namespace tidegate {
namespace {

using namespace test;  // NOLINT: the tests' own words

constexpr std::uint64_t kClusterSeeds = 250;

/// All that a gateway shows of its state.
void expectEqual(Gateway& a, Gateway& b) {
  const GatewayStats left = a.stats(), right = b.stats();
  ASSERT_EQ(left.lastHlc, right.lastHlc);
  ASSERT_EQ(left.rows, right.rows);
  ASSERT_EQ(left.tombstones, right.tombstones);
  ASSERT_EQ(left.dedupeIds, right.dedupeIds);
  ASSERT_EQ(left.logEntries, right.logEntries);
  ASSERT_TRUE(sameView(stateOf(a.snapshot()), stateOf(b.snapshot())));
  const auto one = logOf(a), other = logOf(b);
  ASSERT_EQ(one.size(), other.size());
  Hlc last;
  for (std::size_t i = 0; i < one.size(); ++i) {
    ASSERT_EQ(one[i].first, other[i].first);
    ASSERT_GT(one[i].first, last) << "serverHlc grows from entry to entry";
    last = one[i].first;
    ASSERT_EQ(one[i].second.deltaId, other[i].second.deltaId);
    ASSERT_EQ(one[i].second.op, other[i].second.op);
    ASSERT_EQ(one[i].second.rowId, other[i].second.rowId);
  }
}

TEST(SharedGateways, AreEqualAndEqualTheModelOfOneGateway) {
  forEachSeed(kClusterSeeds, [](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    SharedCluster cluster(random, clock);
    if (random.chance(50)) cluster.options.retention.dedupeIds = 8 + random.below(30);
    for (std::size_t at = 0; at < 2 + random.below(2); ++at) cluster.join(at);
    DeltaMaker maker{random};
    LwwModel model;
    std::map<std::string, std::pair<Hlc, ModelView>> clients{{"p", {}}, {"q", {}}};
    Hlc last;
    for (int i = 0; i < 60; ++i) {
      clock.advance(std::chrono::milliseconds(random.below(5)));
      cluster.trouble();
      RowDelta delta = maker.make(random.chance(50) ? "x" : "y");
      if (random.chance(70)) delta.deltaId = computeDeltaId(delta);
      const PushResult result = cluster.push({"host", {delta}, {}}, kTrustedPush);
      ASSERT_EQ(result.status, PushStatus::accepted) << result.message;
      if (result.applied > 0) {
        ASSERT_GT(result.serverHlc, last);
        last = result.serverHlc;
      }
      model.add(delta);
      if (random.chance(15)) {
        ASSERT_EQ(cluster.push({"host", {delta}, {}}, kTrustedPush).applied, 0u) << "twice is once";
      }
      for (auto& [name, client] : clients) {  // which move between the gateways
        if (!random.chance(25)) continue;
        cluster.onAny([&, &id = name, &held = client](Gateway& gateway) {
          const PullResult page = gateway.handlePull({id, held.first, 1 + random.below(4)});
          ASSERT_FALSE(page.mustResync) << page.reason;
          applyTo(held.second, page.deltas);
          held.first = page.serverHlc;
        });
      }
    }
    cluster.settle();
    const ModelView wanted = model.view();
    for (auto& node : cluster.nodes) {
      const ModelView got = stateOf(node.gateway->snapshot());
      ASSERT_TRUE(sameView(got, wanted)) << "gateway\n" << show(got) << "model\n" << show(wanted);
      expectEqual(*cluster.nodes[0].gateway, *node.gateway);
    }
    for (auto& [name, client] : clients) {
      pullAll(cluster.anyGateway(), client.second, client.first, 3, name);
      ASSERT_TRUE(sameView(client.second, wanted)) << name;
    }
  });
}

TEST(SharedGateways, EachAcceptedPushIsThereOnceHoweverOftenItWasSent) {
  forEachSeed(kClusterSeeds, [](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    SharedCluster cluster(random, clock);
    for (std::size_t at = 0; at < 3; ++at) cluster.join(at);
    std::set<std::string> sent;
    for (int i = 0; i < 40; ++i) {
      cluster.trouble();
      SyncPush push{"phone", {}, {}};
      for (std::uint64_t n = 1 + random.below(3); n > 0; --n) {
        const std::string row = std::to_string(sent.size());
        sent.insert(row);
        push.deltas.push_back({DeltaOp::insert, "users", row, "phone", {{"a", i}}, Hlc::of(kBaseMs), {}});
      }
      ASSERT_EQ(cluster.push(push, {}).status, PushStatus::accepted);
      if (random.chance(30)) {
        ASSERT_EQ(cluster.push(push, {}).duplicates, push.deltas.size());
      }
    }
    cluster.settle();
    for (auto& node : cluster.nodes) {
      std::map<std::string, int> seen;
      for (const auto& [stamp, delta] : logOf(*node.gateway)) ++seen[delta.rowId];
      ASSERT_EQ(seen.size(), sent.size());
      for (const auto& [row, times] : seen) ASSERT_EQ(times, 1) << row;
    }
  });
}

TEST(SharedGateways, ForgetTombstonesTogetherAndMergeLateWritesAlike) {
  forEachSeed(kClusterSeeds, [](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    SharedCluster cluster(random, clock);
    cluster.options.retention.tombstoneRetention = std::chrono::milliseconds(400);
    if (random.chance(50)) cluster.options.retention.maxLogEntries = 5 + random.below(20);
    for (std::size_t at = 0; at < 3; ++at) cluster.join(at);
    DeltaMaker maker{random};
    for (int i = 0; i < 60; ++i) {
      clock.advance(std::chrono::milliseconds(random.below(120)));
      cluster.trouble();
      RowDelta delta = maker.make(random.chance(50) ? "x" : "y");
      if (random.chance(50)) delta.hlc = Hlc::of(static_cast<std::uint64_t>(clock.wallNow().count() / 1000));
      const bool ingest = random.chance(30);
      cluster.push({delta.clientId, {delta}, {}}, {.trusted = ingest, .ingest = ingest, .notes = nullptr});
      if (random.chance(5)) cluster.onAny([](Gateway& gateway) { gateway.enforceRetention(); });
      if (random.chance(2)) cluster.onAny([&](Gateway& gateway) { gateway.purgeTable(random.pick(maker.tables)); });
    }
    cluster.settle();
    ModelView first = stateOf(cluster.nodes[0].gateway->snapshot());
    for (auto& node : cluster.nodes) {
      ASSERT_TRUE(sameView(stateOf(node.gateway->snapshot()), first));
      ASSERT_EQ(node.gateway->stats().tombstones, cluster.nodes[0].gateway->stats().tombstones);
      ASSERT_EQ(node.gateway->stats().lastHlc, cluster.nodes[0].gateway->stats().lastHlc);
    }
  });
}

TEST(SharedGateways, HoldTheNotesAndEpochsOfIngestSendersTogether) {
  forEachSeed(kClusterSeeds, [](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    SharedCluster cluster(random, clock);
    for (std::size_t at = 0; at < 3; ++at) cluster.join(at);
    // Two senders of one name, each of which believes to be the only one.
    std::uint64_t epochs[2] = {0, 0};
    std::uint64_t newest = 0;
    std::string place;
    for (int i = 0; i < 60; ++i) {
      cluster.trouble();
      const std::size_t who = random.index(2);
      if (epochs[who] == 0 || random.chance(10)) {
        cluster.onAny([&](Gateway& gateway) {
          const IngestState taken = gateway.takeIngest("ingest:shop");
          ASSERT_GT(taken.epoch, newest) << "every taker has an epoch of its own";
          newest = epochs[who] = taken.epoch;
          const auto held = taken.notes.find("place");
          ASSERT_EQ(held == taken.notes.end() ? "" : held->second, place);
        });
      }
      const IngestNotes notes{epochs[who], {{"place", std::to_string(i)}}};
      const RowDelta delta{DeltaOp::insert,  "users", std::to_string(i), "ingest:shop", {{"a", i}},
                           Hlc::of(kBaseMs), {}};
      bool fenced = false;
      for (bool done = false; !done;) {
        try {
          cluster.anyGateway().handlePush({"ingest:shop", {delta}, {}},
                                          {.trusted = true, .ingest = true, .notes = &notes});
          done = true;
        } catch (const Error& error) {
          fenced = error.code() == ErrorCode::fenced;
          done = fenced;
          if (error.code() == ErrorCode::positionLost) {
            cluster.settle();
            cluster.faults = true;
          }
        }
      }
      ASSERT_EQ(fenced, epochs[who] != newest);
      if (!fenced) place = std::to_string(i);
    }
    cluster.settle();
    for (auto& node : cluster.nodes) {
      const IngestState state = node.gateway->ingestState("ingest:shop");
      ASSERT_EQ(state.epoch, cluster.nodes[0].gateway->ingestState("ingest:shop").epoch);
      ASSERT_EQ(state.notes, cluster.nodes[0].gateway->ingestState("ingest:shop").notes);
      ASSERT_EQ(state.notes.contains("place") ? state.notes.at("place") : "", place);
    }
  });
}

TEST(SharedGateways, AWakeBringsSubscribersWhatAnotherGatewayTook) {
  MemorySharedLog log;
  GatewayOptions north, south;
  north.sharedLog = log.another();
  south.sharedLog = log.another();
  Gateway one(north), two(south);
  int told = 0;
  Subscription subscription = two.subscribe({.clientId = "s", .onReady = [&] { ++told; }});
  EXPECT_FALSE(subscription.next(std::chrono::milliseconds(0)));
  one.handlePush({"c", {{DeltaOp::insert, "users", "1", "c", {{"a", 1}}, one.clock().now(), {}}}, {}});
  EXPECT_EQ(told, 1);
  const auto event = subscription.next(std::chrono::milliseconds(0));
  ASSERT_TRUE(event);
  EXPECT_EQ(event->deltas.size(), 1u);
  EXPECT_TRUE(two.row("users", "1"));
}

TEST(SharedGateways, AGatewayThatWasAwayPastATrimSaysSoAndJoinsAnew) {
  MemorySharedLog log;
  auto slow = std::make_shared<FaultySharedLog>(log.another());
  GatewayOptions north, south;
  north.sharedLog = log.another();
  south.sharedLog = slow;
  Gateway one(north);
  auto two = std::make_unique<Gateway>(south);
  for (int i = 0; i < 3; ++i) {
    const std::string row = std::to_string(i);
    one.handlePush({"c", {{DeltaOp::insert, "users", row, "c", {{"a", i}}, one.clock().now(), {}}}, {}});
    one.saveSnapshot();
  }
  slow->wake();  // nothing is thrown where nobody could take it
  EXPECT_FALSE(two->row("users", "0"));
  try {
    two->catchUp();
    ADD_FAILURE() << "a gap went unnoticed";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::positionLost);
    EXPECT_EQ(error.retry(), Retry::afterOperator);
  }
  two.reset();
  two = std::make_unique<Gateway>(south);
  EXPECT_EQ(two->stats().rows, 3u);
  EXPECT_EQ(two->stats().logEntries, 3u) << "the snapshot carries the log that readers may ask for";
}

/// A delta without effect raises its row's stamp and is no entry that anybody pulls.
TEST(SharedGateways, StampLaterThanWhatHadNoEffectAtAGatewayThatIsGone) {
  for (const bool throughSnapshot : {false, true}) {
    MemorySharedLog log;
    ManualClock ahead, behind;
    const auto open = [&](const Clock& clock) {
      return std::make_unique<Gateway>(GatewayOptions{.sharedLog = log.another(), .clock = &clock});
    };
    const auto push = [](Gateway& gateway, DeltaOp op) {
      RowDelta delta{op, "users", "1", "host", {}, gateway.clock().now(), {}};
      if (op == DeltaOp::insert) delta.columns = {{"a", 1}};
      return gateway.handlePush({"host", {std::move(delta)}, {}}, kTrustedPush);
    };
    auto gone = open(ahead);
    ASSERT_EQ(push(*gone, DeltaOp::insert).applied, 1u);
    ASSERT_EQ(push(*gone, DeltaOp::erase).applied, 1u);
    ahead.advance(std::chrono::hours(1));
    ASSERT_EQ(push(*gone, DeltaOp::erase).noEffect, 1u);
    if (throughSnapshot) gone->saveSnapshot();
    gone.reset();
    const auto next = open(behind);
    EXPECT_EQ(push(*next, DeltaOp::insert).applied, 1u) << (throughSnapshot ? "from a snapshot" : "from the log");
    EXPECT_TRUE(next->row("users", "1"));
  }
}

TEST(SharedGateways, AStoreBesideTheLogIsRefused) {
  GatewayOptions options;
  options.sharedLog = std::make_shared<MemorySharedLog>();
  options.store = std::make_shared<MemoryGatewayStore>();
  EXPECT_THROW(Gateway{options}, Error);
}

TEST(SharedGateways, AnEntryThatIsDamagedIsNamedAndNothingOfItIsApplied) {
  MemorySharedLog log;
  GatewayOptions options;
  options.sharedLog = log.another();
  Gateway gateway(options);
  gateway.handlePush({"c", {{DeltaOp::insert, "users", "1", "c", {{"a", 1}}, gateway.clock().now(), {}}}, {}});
  ASSERT_TRUE(log.append(2, "no entry of ours").has_value());
  for (int i = 0; i < 2; ++i) {
    try {
      gateway.catchUp();
      ADD_FAILURE() << "it was read";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::storeCorrupt);
      EXPECT_NE(error.message().find("entry 3"), std::string::npos) << error.message();
    }
  }
  EXPECT_TRUE(gateway.row("users", "1"));
}

}  // namespace
}  // namespace tidegate
