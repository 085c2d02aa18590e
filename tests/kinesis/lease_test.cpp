// Several sources that share one stream's shards.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "kinesis/detail/lease_table.h"
#include "kinesis/fake_kinesis.h"
#include "tidegate/core/error.h"

namespace tidegate::kinesis {
namespace {

using testing::FakeKinesis;

/// What all workers of a test were given, in the order in which it came.
class Deliveries {
 public:
  struct One {
    std::string worker;
    std::int64_t id;
  };
  void add(const std::string& worker, std::int64_t id) {
    const std::lock_guard lock(mutex_);
    all_.push_back({worker, id});
    changed_.notify_all();
  }
  bool awaitIds(const std::vector<std::int64_t>& ids) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] {
      return std::all_of(ids.begin(), ids.end(), [&](std::int64_t id) {
        return std::any_of(all_.begin(), all_.end(), [&](const One& one) { return one.id == id; });
      });
    });
  }
  std::vector<One> all() const {
    const std::lock_guard lock(mutex_);
    return all_;
  }
  std::size_t count(std::int64_t id) const {
    const std::vector<One> seen = all();
    return static_cast<std::size_t>(
        std::count_if(seen.begin(), seen.end(), [&](const One& one) { return one.id == id; }));
  }
  std::size_t count(const std::string& worker) const {
    const std::vector<One> seen = all();
    return static_cast<std::size_t>(
        std::count_if(seen.begin(), seen.end(), [&](const One& one) { return one.worker == worker; }));
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<One> all_;
};

/// A store that can be cut off.
class CuttableStore final : public StateStore {
 public:
  explicit CuttableStore(std::shared_ptr<StateStore> of) : of_(std::move(of)) {}
  std::optional<std::string> get(std::string_view key) override { return reach().get(key); }
  void put(std::string_view key, std::string_view octets) override { reach().put(key, octets); }
  void remove(std::string_view key) override { reach().remove(key); }
  bool putIf(std::string_view key, std::optional<std::string_view> expected, std::string_view octets) override {
    return reach().putIf(key, expected, octets);
  }
  std::atomic<bool> cut{false};

 private:
  StateStore& reach() {
    if (cut) throw Error(ErrorCode::storeUnavailable, Retry::later, "it was cut off");
    return *of_;
  }
  std::shared_ptr<StateStore> of_;
};

/// One worker: takes everything, and acknowledges it unless told otherwise.
class Worker {
 public:
  Worker(const SourceOptions& options, const std::string& from, Deliveries& to)
      : name_(options.leases.worker), source_(source(options)), to_(to) {
    SourceContext context;
    context.jitterSeed = 1;
    source_->init(context);
    thread_ = std::jthread([this, from](const std::stop_token& stop) {
      try {
        source_->stream(
            {"t"}, {from}, [this](ChangeBatch& batch) { return take(batch); }, stop);
      } catch (const Error& e) {
        failure_ = e;
      }
    });
  }
  ~Worker() { die(); }
  /// Ends without giving anything back, as a process that is killed does.
  void die() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
  }
  /// Ends as it should.
  void leave() {
    die();
    source_->close();
  }
  const std::optional<Error>& failure() const { return failure_; }
  std::atomic<bool> acks{true};
  std::atomic<bool> full{false};

 private:
  Taken take(ChangeBatch& batch) {
    if (full) return Taken::full;
    for (const ChangeEvent& event : batch) {
      if (event.op == ChangeOp::insert) to_.add(name_, event.after[0].as<std::int64_t>());
    }
    if (acks) source_->ack(batch.back().position);
    return Taken::yes;
  }
  const std::string name_;
  std::shared_ptr<SyncSource> source_;
  Deliveries& to_;
  std::optional<Error> failure_;
  std::jthread thread_;
};

struct Group {
  FakeKinesis fake;
  std::shared_ptr<StateStore> store = std::make_shared<MemoryStateStore>();
  Deliveries seen;

  /// So long that nobody is taken for dead on the busiest machine; shorter where somebody must be.
  std::chrono::milliseconds duration{60'000};

  std::unique_ptr<Worker> worker(const std::string& name, std::shared_ptr<StateStore> over = nullptr) {
    SourceOptions options = fake.options();
    options.leases = {.store = over ? over : store,
                      .key = "g",
                      .worker = name,
                      .duration = duration,
                      .interval = std::chrono::milliseconds(20)};
    const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(systemClock().wallNow()).count();
    std::string from = "k1|";
    for (const std::string& shard : roots) from += fmt::format("{}{}=t@{}", from.size() > 3 ? ";" : "", shard, millis);
    return std::make_unique<Worker>(options, from + "|", seen);
  }
  void addRoots(const std::vector<std::string>& names) {
    for (const std::string& name : names) fake.addShard(name);
    roots = names;
  }
  detail::LeaseTable table() const {
    const auto text = store->get("g");
    return text ? detail::parseLeases(*text).value_or(detail::LeaseTable{}) : detail::LeaseTable{};
  }
  std::map<std::string, std::size_t> shares() const {
    std::map<std::string, std::size_t> counts;
    for (const auto& [shard, owner] : table().owners) ++counts[owner];
    return counts;
  }
  template <class Holds>
  static bool until(Holds&& holds) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!holds()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }
  bool awaitShares(const std::map<std::string, std::size_t>& wanted) const {
    return until([&] { return shares() == wanted; });
  }
  /// Records with these ids, to the shards in turn.
  std::vector<std::int64_t> put(std::int64_t first, std::int64_t count) {
    std::vector<std::int64_t> ids;
    for (std::int64_t id = first; id < first + count; ++id) {
      fake.put(roots[static_cast<std::size_t>(id) % roots.size()], FakeKinesis::insert(id));
      ids.push_back(id);
    }
    return ids;
  }
  std::vector<std::string> roots;
};

TEST(KinesisWorkers, ShareTheShardsAndEachRecordComesOnce) {
  Group group;
  group.addRoots({"s0", "s1", "s2", "s3"});
  const auto a = group.worker("a");
  ASSERT_TRUE(group.awaitShares({{"a", 4}}));
  ASSERT_TRUE(group.seen.awaitIds(group.put(0, 40)));
  const auto b = group.worker("b");
  ASSERT_TRUE(group.awaitShares({{"a", 2}, {"b", 2}})) << "one that joins gets its share";
  ASSERT_TRUE(group.seen.awaitIds(group.put(40, 40)));
  EXPECT_EQ(group.seen.count("b"), 20u);
  b->leave();
  ASSERT_TRUE(group.awaitShares({{"a", 4}})) << "and one that leaves gives it back";
  ASSERT_TRUE(group.seen.awaitIds(group.put(80, 40)));
  for (std::int64_t id = 0; id < 120; ++id) EXPECT_EQ(group.seen.count(id), 1u) << id;
}

TEST(KinesisWorkers, GoOnWhereOneThatDiedHadAcknowledged) {
  Group group;
  group.duration = std::chrono::milliseconds(400);
  group.addRoots({"s0", "s1"});
  auto a = group.worker("a");
  ASSERT_TRUE(group.seen.awaitIds(group.put(0, 20)));
  ASSERT_TRUE(Group::until([&] {
    const detail::LeaseTable table = group.table();
    return std::count_if(table.place.shards.begin(), table.place.shards.end(),
                         [](const auto& shard) { return shard.second.kind == detail::ShardPlaceKind::after; }) == 2;
  }));
  a->acks = false;
  ASSERT_TRUE(group.seen.awaitIds(group.put(20, 10)));
  a->die();
  const auto b = group.worker("b");
  ASSERT_TRUE(group.seen.awaitIds(group.put(30, 10)));
  ASSERT_TRUE(group.awaitShares({{"b", 2}}));
  for (std::int64_t id = 20; id < 30; ++id)
    EXPECT_EQ(group.seen.count(id), 2u) << "what was not acknowledged comes again";
  for (std::int64_t id = 30; id < 40; ++id) EXPECT_EQ(group.seen.count(id), 1u) << id;
  EXPECT_GE(group.seen.count("b"), 20u);
}

TEST(KinesisWorkers, OneThatIsCutOffFromTheLeasesStopsBeforeAnotherGoesOn) {
  Group group;
  group.duration = std::chrono::milliseconds(1'000);
  group.addRoots({"s0"});
  const auto cuttable = std::make_shared<CuttableStore>(group.store);
  const auto a = group.worker("a", cuttable);
  ASSERT_TRUE(group.seen.awaitIds(group.put(0, 5)));
  const auto b = group.worker("b");
  cuttable->cut = true;
  std::atomic<bool> writing{true};
  std::int64_t next = 5;
  std::jthread writer([&] {
    while (writing) {
      group.put(next++, 1);
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  });
  EXPECT_TRUE(group.awaitShares({{"b", 1}}));
  EXPECT_TRUE(Group::until([&] { return group.seen.count("b") > 20; }));
  const auto all = group.seen.all();
  cuttable->cut = false;  // it comes back, and finds itself without a shard
  EXPECT_TRUE(Group::until([&] { return group.table().workers.contains("a"); }));
  writing = false;
  writer.join();
  std::vector<std::int64_t> ids;
  for (std::int64_t id = 0; id < next; ++id) ids.push_back(id);
  ASSERT_TRUE(group.seen.awaitIds(ids));
  const auto first = std::find_if(all.begin(), all.end(), [](const auto& one) { return one.worker == "b"; });
  EXPECT_TRUE(std::none_of(first, all.end(), [](const auto& one) { return one.worker == "a"; }));
  EXPECT_FALSE(a->failure());
}

TEST(KinesisWorkers, ReadParentsBeforeChildrenThroughSplitsAndMerges) {
  Group group;
  group.addRoots({"s0", "s1"});
  const auto a = group.worker("a"), b = group.worker("b");
  ASSERT_TRUE(group.awaitShares({{"a", 1}, {"b", 1}}));
  group.put(0, 20);
  // s0 and s1 become one, which splits into two; all is there at once.
  group.fake.addShard("s2", {"s0", "s1"});
  group.fake.addShard("s3", {"s2"});
  group.fake.addShard("s4", {"s2"});
  for (std::int64_t id = 20; id < 30; ++id) group.fake.put("s2", FakeKinesis::insert(id));
  for (std::int64_t id = 30; id < 40; ++id) group.fake.put(id % 2 == 0 ? "s3" : "s4", FakeKinesis::insert(id));
  for (const char* ended : {"s0", "s1", "s2"}) group.fake.closeShard(ended);
  std::vector<std::int64_t> ids;
  for (std::int64_t id = 0; id < 40; ++id) ids.push_back(id);
  ASSERT_TRUE(group.seen.awaitIds(ids));
  ASSERT_TRUE(group.awaitShares({{"a", 1}, {"b", 1}}));
  const auto all = group.seen.all();
  ASSERT_EQ(all.size(), 40u) << "each once";
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::int64_t generation = all[i].id / 10 < 2 ? 0 : all[i].id / 10;
    const std::size_t begin = generation == 0 ? 0 : static_cast<std::size_t>(generation) * 10;
    EXPECT_GE(i, begin) << "record " << all[i].id << " came before its parents'";
  }
}

TEST(KinesisWorkers, ASlowSinkKeepsItsShards) {
  Group group;
  group.duration = std::chrono::milliseconds(1'000);
  group.addRoots({"s0"});
  const auto a = group.worker("a");
  ASSERT_TRUE(group.awaitShares({{"a", 1}}));
  a->full = true;
  group.put(0, 5);
  const auto b = group.worker("b");
  const auto beats = [&] { return group.table().workers["a"]; };
  const std::uint64_t before = beats();
  // More signs of life than there are in two durations, all while its reader takes nothing.
  ASSERT_TRUE(Group::until([&] { return beats() > before + 100; }));
  EXPECT_EQ(group.shares(), (std::map<std::string, std::size_t>{{"a", 1}}));
  a->full = false;
  ASSERT_TRUE(group.seen.awaitIds({0, 1, 2, 3, 4}));
  EXPECT_EQ(group.seen.count("b"), 0u);
}

TEST(KinesisWorkers, AWorkerThatComesBackGoesOnWithWhatItsOwnSinkHas) {
  Group group;
  group.addRoots({"s0"});
  {
    auto a = group.worker("a");
    ASSERT_TRUE(group.seen.awaitIds(group.put(0, 10)));
    a->leave();
  }
  const auto again = group.worker("a");
  ASSERT_TRUE(group.seen.awaitIds(group.put(10, 5)));
  for (std::int64_t id = 0; id < 15; ++id) EXPECT_EQ(group.seen.count(id), 1u) << id;
}

}  // namespace
}  // namespace tidegate::kinesis
