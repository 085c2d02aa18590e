#include "kinesis/detail/lease_table.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "kinesis/detail/lease_keeper.h"
#include "support/manual_clock.h"
#include "support/property.h"
#include "tidegate/core/error.h"

namespace tidegate::kinesis::detail {
namespace {

using std::chrono::milliseconds;
using test::ManualClock;

StreamPlace shardsNamed(const std::vector<std::string>& names) {
  StreamPlace place;
  for (const std::string& name : names) place.shards[name] = {.millis = 1};
  return place;
}

TEST(KinesisLeaseTable, IsReadBackAsItWasWritten) {
  LeaseTable table{.version = 7, .epoch = 2, .place = shardsNamed({"a;b=c", "d"}), .baselineBy = "w 1\n"};
  table.place.tables["t"] = {.modifiedMillis = 5, .tag = "tag"};
  table.owners = {{"a;b=c", "w 1\n"}, {"d", "w|2"}};
  table.workers = {{"w 1\n", 3}, {"w|2", 18'446'744'073'709'551'615u}};
  const auto again = parseLeases(leaseText(table));
  ASSERT_TRUE(again);
  EXPECT_TRUE(*again == table) << leaseText(table);
  EXPECT_TRUE(parseLeases(leaseText(LeaseTable{})) == LeaseTable{});
}

TEST(KinesisLeaseTable, RefusesWhatIsNone) {
  for (const char* text :
       {"", "l1 1 1", "l1 1 1\nk1||\n\n\n", "l2 1 1\nk1||\n\n\n\n", "l1 x 1\nk1||\n\n\n\n", "l1 1\nk1||\n\n\n\n",
        "l1 1 1\nk1|\n\n\n\n", "l1 1 1\nk1||\na\n\n\n", "l1 1 1\nk1||\na=\n\n\n", "l1 1 1\nk1||\n=b\n\n\n",
        "l1 1 1\nk1||\na=b;a=c\n\n\n", "l1 1 1\nk1||\n\nw=x\n\n", "l1 1 1\nk1||\n\n\n%\n", "l1 1 1\nk1||\n\n\n\n\n"}) {
    EXPECT_FALSE(parseLeases(text)) << text;
  }
}

/// Workers that come, die, read on and give back, in any order, against what must hold after each turn.
class LeaseHistory {
 public:
  explicit LeaseHistory(std::uint64_t seed) : random_(seed) {
    table_.place = shardsNamed({"s000", "s001", "s002"});
    join();
  }

  void step() {
    switch (random_.below(5)) {
      case 0:
        if (acked_.size() < 5) join();
        break;
      case 1:
        if (acked_.size() > 1) die();
        break;
      case 2:
        split();
        break;
      case 3:
        settle();
        break;
      default:
        readOn();
    }
    turn(anyWorker(), {});
  }

  /// After some turns of each, all that can be read is shared fairly.
  void settle() {
    for (int round = 0; round < 12; ++round) {
      for (const auto& worker : acked_) {
        for (const std::string& shard : surplusOf(table_, worker.first)) givenBack_[worker.first].insert(shard);
        turn(worker.first, {});
      }
    }
    const auto readable = readableShards(table_);
    std::map<std::string, std::size_t> counts;
    for (const auto& worker : acked_) counts[worker.first] = 0;
    for (const std::string& shard : readable) {
      ASSERT_TRUE(table_.owners.contains(shard)) << shard << " is read by nobody";
      ++counts[table_.owners.at(shard)];
    }
    for (const auto& [me, count] : counts) {
      EXPECT_GE(count, readable.size() / counts.size()) << me;
      EXPECT_LE(count, (readable.size() + counts.size() - 1) / counts.size()) << me;
    }
  }

 private:
  std::string anyWorker() { return std::next(acked_.begin(), static_cast<long>(random_.below(acked_.size())))->first; }
  void join() { acked_[fmt::format("w{}", workers_++)]; }
  void die() {
    const std::string dead = anyWorker();
    acked_.erase(dead);
    turn(acked_.begin()->first, {dead});
  }
  /// A shard ends, and two follow it.
  void split() {
    if (table_.owners.empty() || shards_ >= 20) return;
    const auto owned = std::next(table_.owners.begin(), static_cast<long>(random_.below(table_.owners.size())));
    const auto worker = acked_.find(owned->second);
    if (worker == acked_.end()) return;
    worker->second.shards[owned->first] = {.kind = ShardPlaceKind::done};
    for (int child = 0; child < 2; ++child)
      worker->second.shards[fmt::format("s{:03}", shards_++)] = {.parents = {owned->first}};
  }
  void readOn() {
    for (const auto& [shard, owner] : table_.owners) {
      if (!acked_.contains(owner) || random_.below(2) == 0) continue;
      acked_[owner].shards[shard] = {.kind = ShardPlaceKind::after, .sequence = std::to_string(sequence_++)};
    }
  }
  void turn(const std::string& me, const std::set<std::string>& dead) {
    const LeaseTable before = table_;
    takeTurn(table_, {.me = me, .dead = dead, .acked = acked_[me], .givenBack = givenBack_[me]});
    givenBack_[me].clear();
    const auto readable = readableShards(table_);
    for (const auto& [shard, owner] : table_.owners) {
      const auto had = before.owners.find(shard);
      ASSERT_TRUE(owner == me || (had != before.owners.end() && had->second == owner)) << "it takes for nobody else";
      ASSERT_TRUE(std::find(readable.begin(), readable.end(), shard) != readable.end()) << "parents first";
    }
    for (const auto& [shard, at] : before.place.shards) {
      ASSERT_NE(compareShardPlaces(table_.place.shards.at(shard), at), std::strong_ordering::less);
    }
    ASSERT_TRUE(parseLeases(leaseText(table_)) == table_);
  }

  test::Random random_;
  LeaseTable table_;
  std::map<std::string, StreamPlace> acked_;  ///< of each worker that lives
  std::map<std::string, std::set<std::string>> givenBack_;
  unsigned shards_ = 3, workers_ = 0, sequence_ = 100;
};

TEST(KinesisLeaseTable, SharesFairlyKeepsParentsFirstAndNeverGoesBack) {
  test::forEachSeed(20, [](std::uint64_t seed) {
    LeaseHistory history(seed);
    for (int step = 0; step < 40 && !::testing::Test::HasFailure(); ++step) history.step();
    history.settle();
  });
}

TEST(KinesisLeaseTable, WhatAnotherWorkerOwnsIsNotCheckpointed) {
  LeaseTable table{.place = shardsNamed({"s"}), .owners = {{"s", "b"}}, .workers = {{"a", 1}, {"b", 1}}};
  StreamPlace late;
  late.shards["s"] = {.kind = ShardPlaceKind::after, .sequence = "5"};
  takeTurn(table, {.me = "a", .dead = {}, .acked = late, .givenBack = {}});
  EXPECT_EQ(table.place.shards.at("s").kind, ShardPlaceKind::beginning) << "a worker that was fenced off";
  EXPECT_EQ(table.owners.at("s"), "b");
}

/// Several workers in one test, one clock.
struct KeeperRig {
  ManualClock clock;
  std::shared_ptr<StateStore> store = std::make_shared<MemoryStateStore>();
  LeaseKeeper worker(const std::string& name) {
    return LeaseKeeper({.store = store, .key = "g", .worker = name, .duration = milliseconds(1'000)}, clock,
                       systemScheduler(), {});
  }
  LeaseTable table() const { return *parseLeases(*store->get("g")); }
};

TEST(KinesisLeases, AreFreeOnceTheirOwnerGaveNoSignOfLifeForTheirDuration) {
  KeeperRig rig;
  auto a = rig.worker("a"), b = rig.worker("b");
  a.settle(a.join(shardsNamed({"s0", "s1"})), {});
  EXPECT_EQ(a.toRead().size(), 2u);
  b.settle(b.join({}), {});
  EXPECT_TRUE(b.toRead().empty()) << "what is read stays where it is until it is given back";
  rig.clock.advance(milliseconds(700));
  EXPECT_TRUE(a.holds());
  rig.clock.advance(milliseconds(100));
  EXPECT_FALSE(a.holds()) << "its owner stops before anybody else begins";
  b.tend({});
  EXPECT_TRUE(b.toRead().empty());
  rig.clock.advance(milliseconds(300));
  b.tend({});
  EXPECT_EQ(b.toRead().size(), 2u);
  a.tend({});
  EXPECT_TRUE(a.toRead().empty());
  EXPECT_FALSE(a.owns("s0"));
}

TEST(KinesisLeases, AreGivenBackOnceWhatWasReadIsDurable) {
  KeeperRig rig;
  auto a = rig.worker("a"), b = rig.worker("b");
  a.settle(a.join(shardsNamed({"s0", "s1"})), {});
  b.settle(b.join({}), {});
  rig.clock.advance(milliseconds(300));
  a.tend({});
  ASSERT_EQ(a.surplus(), std::vector<std::string>{"s1"});
  const ShardPlace left{.kind = ShardPlaceKind::after, .sequence = "9"};
  a.giveBack("s1", left);
  EXPECT_TRUE(a.surplus().empty());
  rig.clock.advance(milliseconds(300));
  a.tend({});
  b.tend({});
  EXPECT_EQ(rig.table().owners.at("s1"), "a") << "its sink is not that far";
  StreamPlace acked;
  acked.shards["s1"] = left;
  rig.clock.advance(milliseconds(300));
  a.tend(acked);
  b.tend({});
  EXPECT_EQ(rig.table().owners.at("s1"), "b");
  EXPECT_EQ(rig.table().place.shards.at("s1").sequence, "9");
}

TEST(KinesisLeases, ABaselineIsReadByOneWorkerAndAwaitedByTheOthers) {
  KeeperRig rig;
  auto a = rig.worker("a"), b = rig.worker("b"), c = rig.worker("c");
  EXPECT_EQ(a.awaitBaseline({"t"}, {}), std::nullopt) << "it falls to the first";
  std::stop_source stopped;
  stopped.request_stop();
  EXPECT_THROW(b.awaitBaseline({"t"}, stopped.get_token()), Error) << "the second waits";
  StreamPlace place = shardsNamed({"s"});
  place.tables["t"] = {.modifiedMillis = 1, .tag = "x"};
  a.settle(a.join(place), {});
  EXPECT_THROW(b.awaitBaseline({"t"}, stopped.get_token()), Error) << "read is not durable";
  rig.clock.advance(milliseconds(300));
  a.tend(place);
  const auto at = b.awaitBaseline({"t"}, {});
  ASSERT_TRUE(at);
  EXPECT_EQ(at->shards.count("s"), 1u);
  EXPECT_THROW(c.awaitBaseline({"t", "u"}, {}), Error) << "a table that would begin in the middle";
}

TEST(KinesisLeases, AnotherWorkerReadsTheBaselineWhereTheFirstDied) {
  KeeperRig rig;
  auto a = rig.worker("a"), b = rig.worker("b");
  EXPECT_EQ(a.awaitBaseline({"t"}, {}), std::nullopt);
  std::stop_source stopped;
  stopped.request_stop();
  EXPECT_THROW(b.awaitBaseline({"t"}, stopped.get_token()), Error);
  rig.clock.advance(milliseconds(1'100));
  EXPECT_EQ(b.awaitBaseline({"t"}, {}), std::nullopt);
  try {
    a.tend({});
    ADD_FAILURE() << "two baselines at once";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::fenced);
  }
}

TEST(KinesisLeases, WhatOneFindsLostIsLostForAll) {
  KeeperRig rig;
  auto a = rig.worker("a"), b = rig.worker("b");
  StreamPlace place = shardsNamed({"s"});
  place.tables["t"] = {.modifiedMillis = 1, .tag = "x"};
  a.settle(a.join(place), place);
  b.settle(b.join(place), {});
  a.lost();
  rig.clock.advance(milliseconds(300));
  try {
    b.tend({});
    ADD_FAILURE() << "it reads on";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::positionLost);
  }
  EXPECT_EQ(b.awaitBaseline({"t"}, {}), std::nullopt) << "and one reads a new baseline";
}

TEST(KinesisLeases, AnEntryThatIsNoneOfOursIsNamed) {
  KeeperRig rig;
  rig.store->put("g", "nonsense");
  auto a = rig.worker("a");
  try {
    a.join(shardsNamed({"s"}));
    ADD_FAILURE() << "it was read";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::storeCorrupt);
    EXPECT_NE(e.message().find("\"g\""), std::string::npos);
  }
}

}  // namespace
}  // namespace tidegate::kinesis::detail
