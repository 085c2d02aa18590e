/// The sink under a model engine, killed at any operation: each change is in its stream once, in order.
#include <gtest/gtest.h>

#include <charconv>

#include "durable_streams/detail/make_sink.h"
#include "durable_streams/fault_log.h"
#include "support/property.h"
#include "tidegate/durable_streams/state_protocol.h"

namespace tidegate::durable_streams {
namespace {

using tidegate::test::Fault;
using tidegate::test::FaultLog;
using tidegate::test::FaultPlan;
using tidegate::test::Random;

constexpr int kTables = 3;

Shape counterTable(int n) {
  static const std::vector<Shape> shapes = [] {
    std::vector<Shape> all;
    for (int i = 0; i < kTables; ++i) {
      all.push_back(makeShape({.table = "t" + std::to_string(i),
                               .columns = {{.name = "id", .kind = ValueKind::int64}},
                               .primaryKey = {"id"}}));
    }
    return all;
  }();
  return shapes[static_cast<std::size_t>(n)];
}

/// The source: change n inserts row n into a table that n alone decides. A transaction ends at every third change.
void addChange(ChangeBatch& batch, std::uint64_t n) {
  ChangeEvent& e = batch.add(ChangeOp::insert, counterTable(static_cast<int>(n * 7 / 3 % kTables)));
  e.after = {static_cast<std::int64_t>(n)};
  e.transactionBegin = n % 3 == 0;
  e.transactionEnd = n % 3 == 2;
  e.transactionId = n / 3 + 1;
  e.position.octets = std::to_string(n);
}

/// One process with a sink: applies changes from its checkpoint on.
class Bridge {
 public:
  Bridge(std::shared_ptr<StreamStore> store, StreamLayout layout, std::size_t bound)
      : plan_(std::make_shared<FaultPlan>()) {
    SinkOptions options{.store = store, .layout = layout};
    options.batchBytes = options.pendingBytes = options.segmentBytes = bound;
    sink_ = detail::makeSink(
        options, [store, plan = plan_] { return std::make_unique<FaultLog>(detail::storeLog(store), plan); });
  }
  FaultPlan& plan() { return *plan_; }
  void open() {
    const auto checkpoint = sink_->open({.pipeline = "p"});
    next_ = 0;
    if (checkpoint) std::from_chars(checkpoint->data(), checkpoint->data() + checkpoint->size(), next_);
    for (int i = 0; i < kTables; ++i) sink_->prepareTable(counterTable(i));
  }
  /// A unit of `transactions` whole transactions.
  void unit(std::uint64_t transactions, Random& random) {
    std::uint64_t n = next_;
    while (n < next_ + 3 * transactions) {
      ChangeBatch batch;
      for (std::uint64_t i = 1 + random.below(4); i > 0 && n < next_ + 3 * transactions; --i) addChange(batch, n++);
      sink_->apply(batch);
    }
    if (random.chance(10)) return sink_->rollback();
    sink_->commit(std::to_string(n));
    next_ = n;
  }
  std::uint64_t next() const { return next_; }

 private:
  std::shared_ptr<FaultPlan> plan_;
  std::shared_ptr<Sink> sink_;
  std::uint64_t next_ = 0;
};

/// Each stream holds exactly the changes below `count` that belong to it, in order, with their transactions' borders.
void expectExactly(const std::shared_ptr<StreamStore>& store, StreamLayout layout, std::uint64_t count) {
  std::map<std::string, std::vector<std::uint64_t>> expected, found;
  for (std::uint64_t n = 0; n < count; ++n) {
    const std::string table = "t" + std::to_string(n * 7 / 3 % kTables);
    expected[layout == StreamLayout::perTable ? table : "p"].push_back(n);
  }
  for (const auto& [path, all] : expected) {
    std::string open;
    std::vector<std::uint64_t>& told = found[path];  // a binding of its own: clang 14 captures none of the structured
    detail::storeLog(store)->read(path, {},
                                  [&](std::string_view text) {
                                    const StateMessage parsed = parseStateMessage(text);
                                    const auto& message = std::get<ChangeMessage>(parsed);
                                    told.push_back(std::stoull(message.key));
                                    EXPECT_TRUE(open.empty() || open == message.txid)
                                        << "transactions are mixed: " << text;
                                    open = message.last == std::optional(false) ? message.txid : "";
                                  },
                                  {});
    EXPECT_EQ(open, "") << "a transaction without an end in " << path;
  }
  EXPECT_EQ(found, expected);
}

void runHistory(std::uint64_t seed, StreamLayout layout, std::size_t bound) {
  Random random(seed);
  const auto store = memoryStreamStore();
  auto bridge = std::make_unique<Bridge>(store, layout, bound);
  bool isOpen = false;
  for (int step = 0; step < 60 || !isOpen; ++step) {
    // Late steps are without faults, so that it ends.
    bridge->plan() = [&random, step] {
      if (step > 60 || !random.chance(6)) return Fault::none;
      return random.chance(50) ? Fault::before : Fault::after;
    };
    try {
      if (!isOpen) bridge->open();
      isOpen = true;
      bridge->unit(1 + random.below(6), random);
    } catch (const Error& e) {
      ASSERT_EQ(e.code(), ErrorCode::connectionFailed) << e.what();
      isOpen = false;
      if (random.chance(50)) bridge = std::make_unique<Bridge>(store, layout, bound);  // a crash; else the same again
    }
  }
  expectExactly(store, layout, bridge->next());
}

TEST(DurableStreamSink, EachChangeIsInItsStreamOnceWhateverCrashesAndWhen) {
  tidegate::test::forEachSeed(60, [](std::uint64_t seed) {
    runHistory(seed, StreamLayout::perTable, seed % 3 == 0 ? 150 : seed % 3 == 1 ? 1'000 : 1u << 20);
  });
}

TEST(DurableStreamSink, EachChangeIsInThePipelinesStreamOnceWhateverCrashesAndWhen) {
  tidegate::test::forEachSeed(60, [](std::uint64_t seed) {
    runHistory(seed, StreamLayout::perPipeline, seed % 3 == 0 ? 150 : seed % 3 == 1 ? 1'000 : 1u << 20);
  });
}

/// A bridge that stops in the middle of whatever it does, while another one takes over and works; then it wakes up.
TEST(DurableStreamSink, AWriterThatWakesUpAfterItWasReplacedNeitherLosesNorRepeats) {
  std::uint64_t histories = 0, fencedOnes = 0;
  tidegate::test::forEachSeed(400, [&](std::uint64_t seed) {
    ++histories;
    Random random(seed);
    const StreamLayout layout = random.chance(50) ? StreamLayout::perTable : StreamLayout::perPipeline;
    const std::size_t bound = random.chance(50) ? 200 : 1u << 20;
    const auto store = memoryStreamStore();
    Bridge sleeper(store, layout, bound), other(store, layout, bound);
    sleeper.open();
    for (std::uint64_t i = random.below(4); i > 0; --i) sleeper.unit(1 + random.below(4), random);
    std::uint64_t left = 1 + random.below(12);
    bool replaced = false;
    sleeper.plan() = [&] {
      if (left > 0 && --left == 0) {
        replaced = true;
        other.open();
        for (std::uint64_t i = random.below(4); i > 0; --i) other.unit(1 + random.below(4), random);
      }
      return Fault::none;
    };
    try {
      for (int i = 0; i < 12; ++i) sleeper.unit(1 + random.below(4), random);
      EXPECT_FALSE(replaced) << "a writer that was replaced went on";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::fenced) << e.what();
      EXPECT_EQ(e.retry(), Retry::afterOperator);
      ++fencedOnes;
    }
    if (!replaced) other.open();
    other.unit(2, random);
    other.open();  // what was rolled back is not there
    expectExactly(store, layout, other.next());
  });
  EXPECT_TRUE(histories < 20 || fencedOnes > histories / 4) << fencedOnes << " of " << histories << " were replaced";
}

}  // namespace
}  // namespace tidegate::durable_streams
