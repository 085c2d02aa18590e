/// What subscribers are told, found through the index on their rules' equalities, is what a pull judges entry by entry.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>

#include "contract/gateway_model.h"
#include "support/manual_clock.h"

namespace tidegate {
namespace {

using test::DeltaMaker;
using test::forEachSeed;
using test::ManualClock;
using test::Random;

constexpr PushContext kTrustedPush{.trusted = true, .ingest = false};
constexpr auto kNow = std::chrono::milliseconds(0);

SyncRules randomRules(Random& random) {
  std::vector<RuleBucket> buckets;
  for (std::uint64_t n = 1 + random.below(3); n > 0; --n) {
    RuleBucket bucket{.name = "b" + std::to_string(n)};
    if (random.chance(70)) bucket.tables.push_back(random.chance(50) ? "users" : "orders");
    for (std::uint64_t f = random.below(3); f > 0; --f) {
      const std::string column = random.pick(std::vector<std::string>{"a", "b", "owner"});
      const RuleOp op = random.pick(std::vector{RuleOp::eq, RuleOp::eq, RuleOp::in, RuleOp::neq, RuleOp::gte});
      const std::string claim = random.pick(std::vector<std::string>{"sub", "team", "", ""});
      const std::vector<Value> literals{random.chance(50) ? Value(static_cast<std::int64_t>(random.below(3)))
                                                          : Value("text " + std::to_string(random.below(3)))};
      bucket.filters.push_back({column, op, claim.empty() ? literals : std::vector<Value>{}, claim});
    }
    buckets.push_back(std::move(bucket));
  }
  return SyncRules::of(1, std::move(buckets));
}

Claims randomClaims(Random& random) {
  Claims claims;
  for (const char* name : {"sub", "team"}) {
    for (std::uint64_t n = random.below(3); n > 0; --n) {
      claims[name].push_back(random.chance(20)   ? "1.0"
                             : random.chance(30) ? "text 1"
                                                 : std::to_string(random.below(4)));
    }
  }
  return claims;
}

/// A subscriber, and a reader of the same claims who pulls.
struct Pair {
  std::string name;
  Claims claims;
  std::unique_ptr<Subscription> subscription{};
  Hlc told{}, pulled{};
  std::atomic<int> ready{0};

  void begin(Gateway& gateway) {
    subscription = std::make_unique<Subscription>(
        gateway.subscribe({.clientId = name, .maxBatch = 3, .onReady = [this] { ++ready; }}, claims));
    told = gateway.stats().lastHlc;
    pulled = gateway.snapshot(claims, name + "-pull").serverHlc();
  }
  void compare(Gateway& gateway) {
    std::vector<RowDelta> byPush, byPull;
    while (auto event = subscription->next(kNow)) {
      if (event->mustResync || event->closed) return begin(gateway);
      byPush.insert(byPush.end(), event->deltas.begin(), event->deltas.end());
      EXPECT_GE(event->serverHlc, told);
      told = event->serverHlc;
    }
    for (bool more = true; more;) {
      const PullResult page = gateway.handlePull({name + "-pull", pulled, 10}, claims);
      ASSERT_FALSE(page.mustResync) << page.reason;
      byPull.insert(byPull.end(), page.deltas.begin(), page.deltas.end());
      pulled = page.serverHlc;
      more = page.hasMore;
    }
    ASSERT_EQ(byPush.size(), byPull.size()) << name << " " << gateway.syncRules().toJson();
    for (std::size_t i = 0; i < byPush.size(); ++i) ASSERT_EQ(toJson(byPush[i]), toJson(byPull[i]));
    ready = 0;
  }
};

void push(Gateway& gateway, DeltaMaker& maker, Random& random) {
  SyncPush push{.clientId = "w"};
  for (std::uint64_t n = 1 + random.below(6); n > 0; --n) push.deltas.push_back(maker.make("w"));
  ASSERT_EQ(gateway.handlePush(push, kTrustedPush).status, PushStatus::accepted);
}

TEST(FanOut, TellsEachSubscriberWhatAPullWouldGiveIt) {
  forEachSeed(120, [](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    Gateway gateway({.rules = randomRules(random), .clock = &clock});
    DeltaMaker maker{.random = random};
    std::vector<std::unique_ptr<Pair>> pairs;
    for (int i = 0; i < 8; ++i) {
      pairs.push_back(std::make_unique<Pair>());
      pairs.back()->name = "c" + std::to_string(i);
      pairs.back()->claims = randomClaims(random);
      pairs.back()->begin(gateway);
    }
    for (int step = 0; step < 60 && !::testing::Test::HasFailure(); ++step) {
      const auto what = random.below(100);
      clock.advance(std::chrono::milliseconds(1));
      Pair& one = *pairs[random.index(pairs.size())];
      if (what < 60) {
        push(gateway, maker, random);
      } else if (what < 95) {
        one.compare(gateway);
      } else if (what < 97) {
        gateway.setSyncRules(randomRules(random));
        for (const auto& pair : pairs) pair->begin(gateway);
      } else if (what < 98) {
        const Hlc before = gateway.stats().lastHlc;
        gateway.purgeTable("users");
        if (gateway.stats().lastHlc == before) continue;  // nobody has written to it yet
        for (const auto& pair : pairs) {  // each that holds something must be told that it may have lost it
          const auto event = pair->subscription->next(kNow);
          EXPECT_TRUE(event && (event->mustResync || pair->told == Hlc{}));
          pair->begin(gateway);
        }
      } else {
        one.begin(gateway);
      }
    }
    for (const auto& pair : pairs) pair->compare(gateway);
  });
}

SyncRules mine() { return SyncRules::of(1, {{"mine", {"notes"}, {{"owner", RuleOp::eq, {}, "sub"}}}}); }

RowDelta note(std::uint64_t n, const std::string& row, const std::string& owner) {
  return {.op = DeltaOp::insert,
          .table = "notes",
          .rowId = row,
          .clientId = "w",
          .columns = {{"owner", owner}},
          .hlc = Hlc::of(test::kBaseMs - 1'000, static_cast<std::uint16_t>(n))};
}

struct IndexedGateway : ::testing::Test {
  void write(const std::string& row, const std::string& owner) {
    ASSERT_EQ(gateway.handlePush({.clientId = "w", .deltas = {note(++written, row, owner)}}, kTrustedPush).applied, 1u);
  }
  std::unique_ptr<Pair> follow(const std::string& sub) {
    auto pair = std::make_unique<Pair>();
    pair->name = sub;
    pair->claims = {{"sub", {sub}}};
    pair->begin(gateway);
    EXPECT_FALSE(pair->subscription->next(kNow));
    return pair;
  }
  ManualClock clock{};
  std::uint64_t written = 0;
  Gateway gateway{{.rules = mine(), .clock = &clock}};
};

TEST_F(IndexedGateway, WakesAndReadsForThoseAloneThatAChangeConcerns) {
  std::vector<std::unique_ptr<Pair>> pairs;
  for (int i = 0; i < 500; ++i) pairs.push_back(follow("u" + std::to_string(i)));
  const std::uint64_t before = gateway.stats().entriesScanned;
  for (int i = 0; i < 100; ++i) write("r" + std::to_string(i), "u7");
  EXPECT_EQ(gateway.stats().entriesScanned - before, 100u);  // once each, not 500 times
  int woken = 0;
  for (const auto& pair : pairs) woken += pair->ready > 0 ? 1 : 0;
  EXPECT_EQ(woken, 1);
  EXPECT_GT(pairs[7]->ready, 0);
  for (const auto& pair : pairs) {
    std::size_t deltas = 0;
    while (const auto event = pair->subscription->next(kNow)) deltas += event->deltas.size();
    EXPECT_EQ(deltas, pair->name == "u7" ? 100u : 0u);
  }
  EXPECT_EQ(gateway.stats().entriesScanned - before, 200u);
}

TEST_F(IndexedGateway, TellsWhoLosesARowAndWhoGetsIt) {
  const auto a = follow("a"), b = follow("b"), c = follow("c");
  write("r", "a");
  ASSERT_EQ(a->subscription->next(kNow)->deltas.front().op, DeltaOp::insert);
  write("r", "b");
  EXPECT_EQ(a->subscription->next(kNow)->deltas.front().op, DeltaOp::erase);
  EXPECT_EQ(b->subscription->next(kNow)->deltas.front().op, DeltaOp::insert);
  EXPECT_EQ(c->ready, 0);
}

TEST_F(IndexedGateway, ScansForWhoHasLeftMoreLyingThanIsKept) {
  const auto a = follow("a");
  for (int i = 0; i < 6'000; ++i) write("r" + std::to_string(i), i % 6 == 0 ? "b" : "a");
  std::size_t deltas = 0;
  while (const auto event = a->subscription->next(kNow)) {
    ASSERT_FALSE(event->mustResync);
    deltas += event->deltas.size();
  }
  EXPECT_EQ(deltas, 5'000u);
}

TEST_F(IndexedGateway, DoesNotSendAwayWhoWasIdleWhileOthersChanged) {
  Subscription idle = gateway.subscribe({.clientId = "idle", .maxQueuedEntries = 10}, {{"sub", {"idle"}}});
  EXPECT_FALSE(idle.next(kNow));
  for (int i = 0; i < 100; ++i) write("r" + std::to_string(i), "other");
  write("mine", "idle");
  const auto event = idle.next(kNow);
  ASSERT_TRUE(event);
  EXPECT_FALSE(event->mustResync);
  EXPECT_EQ(event->deltas.size(), 1u);
}

}  // namespace
}  // namespace tidegate
