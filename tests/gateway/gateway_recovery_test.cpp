#include <gtest/gtest.h>

#include <optional>
#include <set>

#include "contract/gateway_model.h"
#include "support/faulty_gateway_store.h"
#include "support/manual_clock.h"

namespace tidegate {
namespace {

using test::DeltaMaker;
using test::FaultyGatewayStore;
using test::forEachSeed;
using test::kBaseMs;
using test::ManualClock;
using test::ModelView;
using test::pullAll;
using test::Random;
using test::sameView;
using test::show;
using test::stateOf;
using test::StoreFault;

/// A gateway over a disk that fails and restarts, beside a model of what was acknowledged.
class Restarts {
 public:
  explicit Restarts(std::uint64_t seed) : random_(seed), maker_{random_} { open(); }

  void step() {
    clock_.advance(std::chrono::milliseconds(random_.below(50)));
    if (random_.chance(5)) clock_.stepWall(std::chrono::milliseconds(random_.between(-2'000, 2'000)));
    if (random_.chance(6)) open();
    if (random_.chance(60) || sent_.empty())
      pushFresh();
    else
      pushAgain();
    if (random_.chance(30)) pull();
  }

  void check() {
    open();
    EXPECT_TRUE(sameView(stateOf(gateway_->snapshot()), model_.view()))
        << "gateway\n"
        << show(stateOf(gateway_->snapshot())) << "model\n"
        << show(model_.view());
    pull();
    EXPECT_TRUE(sameView(replica_, model_.view())) << "replica\n" << show(replica_) << "model\n" << show(model_.view());
    for (const SyncPush& push : sent_) {
      const PushResult again = gateway_->handlePush(push);
      EXPECT_EQ(again.duplicates, push.deltas.size()) << "an acknowledged delta's id was forgotten";
    }
  }

 private:
  void open() {
    gateway_.reset();
    GatewayOptions options;
    options.clock = &clock_;
    options.store = std::make_shared<FaultyGatewayStore>(disk_, [this] {
      const auto fate = random_.below(20);
      return fate == 0   ? StoreFault::failsBefore
             : fate == 1 ? StoreFault::failsAfter
             : fate == 2 ? StoreFault::tornAndUnknown
                         : StoreFault::none;
    });
    gateway_.emplace(std::move(options));
  }

  SyncPush fresh() {
    SyncPush push{random_.chance(50) ? "x" : "y", {}, {}};
    for (std::uint64_t i = 1 + random_.below(4); i > 0; --i) push.deltas.push_back(maker_.make(push.clientId));
    if (random_.chance(10)) push.deltas.push_back({DeltaOp::insert, "", "1", push.clientId, {}, Hlc::of(kBaseMs), {}});
    return push;
  }

  void pushFresh() { send(fresh()); }
  void pushAgain() { send(random_.pick(sent_)); }

  void send(const SyncPush& push) {
    for (;;) {
      try {
        const PushResult result = gateway_->handlePush(push);
        if (result.status != PushStatus::accepted) return;
        for (const RowDelta& delta : push.deltas) model_.add(delta);
        sent_.push_back(push);
        EXPECT_GE(result.serverHlc, lastHlc_);
        if (result.applied > 0) {
          EXPECT_TRUE(stamps_.insert(result.serverHlc.raw).second) << "a serverHlc repeats";
        }
        lastHlc_ = result.serverHlc;
        return;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::storeUnavailable);
        // Nothing unacknowledged is seen by readers.
        EXPECT_TRUE(sameView(stateOf(gateway_->snapshot()), model_.view()));
        if (error.retry() == Retry::later) continue;
        EXPECT_THROW(gateway_->handlePush(push), Error);
        open();  // and try again: the sender cannot know either
      }
    }
  }

  void pull() { since_ = pullAll(*gateway_, replica_, since_, 3); }

  Random random_;
  DeltaMaker maker_;
  ManualClock clock_;
  std::shared_ptr<MemoryGatewayStore> disk_ = std::make_shared<MemoryGatewayStore>();
  std::optional<Gateway> gateway_;
  test::LwwModel model_;
  ModelView replica_;
  std::vector<SyncPush> sent_;
  std::set<std::uint64_t> stamps_;
  Hlc lastHlc_, since_;
};

TEST(GatewayRecovery, WhatWasAcknowledgedIsThereAfterAnyFailureAndRestart) {
  forEachSeed(1'000, [](std::uint64_t seed) {
    Restarts restarts(seed);
    for (int i = 0; i < 40; ++i) restarts.step();
    restarts.check();
  });
}

RowDelta insertOf(int i, int value, std::uint64_t ms = 0) {
  return {DeltaOp::insert,       "users", std::to_string(i), "c", {{"n", value}, {"t", std::string(300, 'x')}},
          Hlc::of(kBaseMs + ms), {}};
}

TEST(GatewayRecovery, RewritesLiveRowsAndDropsDeadSegments) {
  const auto disk = std::make_shared<MemoryGatewayStore>();
  ManualClock clock;
  GatewayOptions options;
  options.clock = &clock;
  options.store = disk;
  options.retention.maxLogEntries = 1'000;
  options.retention.dedupeIds = 1'000;
  {
    Gateway gateway(options);
    for (int round = 0; round < 300; ++round) {
      SyncPush push{"c", {}, {}};
      for (int i = 0; i < 1'000; ++i) push.deltas.push_back(insertOf(i, round, static_cast<std::uint64_t>(round)));
      ASSERT_EQ(gateway.handlePush(push, {.trusted = true}).status, PushStatus::accepted);
    }
  }
  EXPECT_LT(disk->bytes(), 24u << 20) << "300 rounds are 100 MB";
  Gateway gateway(options);
  EXPECT_EQ(gateway.stats().rows, 1'000u);
  EXPECT_TRUE(*gateway.row("users", "999")->find("n") == Value(299));
  EXPECT_TRUE(gateway.handlePull({"r", Hlc{1}, 10}).mustResync);
}

TEST(GatewayRecovery, APurgedTableStaysAwayAfterARestart) {
  const auto disk = std::make_shared<MemoryGatewayStore>();
  ManualClock clock;
  GatewayOptions options;
  options.clock = &clock;
  options.store = disk;
  Hlc since;
  {
    Gateway gateway(options);
    gateway.handlePush({"c", {insertOf(1, 1), insertOf(2, 1)}, {}});
    since = gateway.handlePull({"r", {}, 10}).serverHlc;
    EXPECT_EQ(gateway.purgeTable("users"), 2u);
    EXPECT_TRUE(gateway.handlePull({"r", since, 10}).mustResync);
    EXPECT_TRUE(gateway.handlePull({"new", {}, 10}).deltas.empty());
    gateway.handlePush({"c", {insertOf(3, 1, 5)}, {}});
  }
  Gateway gateway(options);
  EXPECT_FALSE(gateway.row("users", "1"));
  EXPECT_TRUE(gateway.row("users", "3"));
  EXPECT_TRUE(gateway.handlePull({"r", since, 10}).mustResync);
  EXPECT_EQ(gateway.handlePull({"new", {}, 10}).deltas.size(), 1u);
}

TEST(GatewayRecovery, OtherRulesAtStartMakeClientsResync) {
  const auto disk = std::make_shared<MemoryGatewayStore>();
  ManualClock clock;
  GatewayOptions options;
  options.clock = &clock;
  options.store = disk;
  Hlc since;
  {
    Gateway gateway(options);
    gateway.handlePush({"c", {insertOf(1, 1)}, {}});
    since = gateway.handlePull({"r", {}, 10}).serverHlc;
  }
  options.rules = SyncRules::of(1, {{"b", {}, {{"n", RuleOp::eq, {Value(1)}, ""}}}});
  Gateway gateway(options);
  EXPECT_TRUE(gateway.handlePull({"r", since, 10}).mustResync);
  EXPECT_TRUE(gateway.handlePull({"stranger", {}, 10}).mustResync);
  const GatewaySnapshot snapshot = gateway.snapshot({}, "r");
  EXPECT_FALSE(gateway.handlePull({"r", snapshot.serverHlc(), 10}).mustResync);
}

TEST(GatewayRecovery, ADamagedSegmentIsNamed) {
  class Damaged final : public GatewayStore {
   public:
    explicit Damaged(std::shared_ptr<MemoryGatewayStore> disk) : disk_(std::move(disk)) {}
    void load(const Visitor& visit) override {
      disk_->load([&](SegmentRef ref, std::string_view octets) {
        std::string copy(octets);
        if (ref.kind == SegmentKind::rows) copy[copy.size() / 2] ^= 1;
        visit(ref, copy);
      });
    }
    void commit(std::span<const Segment>, std::span<const SegmentRef>) override {}

   private:
    std::shared_ptr<MemoryGatewayStore> disk_;
  };
  const auto disk = std::make_shared<MemoryGatewayStore>();
  Gateway({.store = disk}).handlePush({"c", {insertOf(1, 1)}, {}});
  try {
    Gateway gateway({.store = std::make_shared<Damaged>(disk)});
    FAIL() << "the damage went unseen";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::storeCorrupt);
    EXPECT_NE(error.message().find("checksum"), std::string::npos) << error.message();
  }
}

}  // namespace
}  // namespace tidegate
