/// The laws of the engine over random histories: whatever fails and whenever the process dies, each change is applied
/// exactly once, and the source is never told more than every pipeline has made durable.
#include <gtest/gtest.h>

#include <set>

#include "core/detail/json_tree.h"
#include "engine/detail/event_json.h"
#include "engine/engine_rig.h"
#include "engine/random_writer.h"
#include "support/property.h"

namespace tidegate {
namespace {

using namespace std::chrono_literals;
using test::Random;
using test::SinkCall;

class EngineLaws : public ::testing::Test {
 protected:
  struct World {
    explicit World(std::uint64_t seed) : random(seed) {}
    Random random;
    test::ManualClock clock;
    test::ManualScheduler scheduler{clock};
    std::shared_ptr<TestDatabase> db;
    std::unique_ptr<test::RandomWriter> writer;
    std::map<std::string, std::shared_ptr<test::FakeTarget>> targets;
    std::shared_ptr<TestSource> source;
    std::shared_ptr<test::RecordingObserver> observer = std::make_shared<test::RecordingObserver>();
    std::unique_ptr<Engine> engine;
    bool fullImages = true;
    bool wholeTransactions = true;
    bool reloads = false;   ///< tables; what a baseline holds already is then left out of transactions
    bool isolates = false;  ///< after a few failures, until it is asked to come back
    bool drops = false;     ///< what does not fit the queues
    std::shared_ptr<DeadLetters> letters;
    std::string ackFault;
    unsigned faultPercent = 0;
    int writesLeft = 0;

    ~World() {
      for (auto& [name, target] : targets) target->crash();
      engine.reset();
    }
  };

  /// Checks each acknowledgement against the checkpoints that are durable at that moment.
  class AckChecker final : public EngineObserver {
   public:
    explicit AckChecker(World& world) : world_(world) {}
    void onAck(std::string_view, std::string_view text) override {
      const Position acked = world_.source->positionFromText(text);
      for (const auto& [name, target] : world_.targets) {
        const auto checkpoint = target->checkpoint();
        if (!checkpoint) {
          world_.ackFault = "an ack before " + name + " had a checkpoint";
          return;
        }
        const detail::JsonTree tree(*checkpoint);
        const detail::JsonRef at = tree.root().member("position");
        const detail::JsonRef hole = tree.root().member("hole");
        if (!hole.isNull()) {
          const Position before = world_.source->positionFromText(hole.member("before").string());
          if (world_.source->comparePositions(acked, before) > 0) {
            world_.ackFault = "ack " + std::string(text) + " is past what was dropped: " + *checkpoint;
          }
        }
        if (at.isNull() || world_.source->comparePositions(acked, world_.source->positionFromText(at.string())) > 0) {
          world_.ackFault = "ack " + std::string(text) + " is past " + *checkpoint;
        }
      }
    }

   private:
    World& world_;
  };

  static void makeWorld(World& world) {
    Random& random = world.random;
    world.fullImages = random.chance(60);
    world.wholeTransactions = random.chance(70);
    world.reloads = random.chance(50);
    world.isolates = random.chance(30);
    world.drops = random.chance(25);
    world.db = std::make_shared<TestDatabase>(&world.clock, world.fullImages ? BeforeImage::full : BeforeImage::key);
    world.db->createTable(test::peopleSchema("people"));
    world.db->createTable(test::peopleSchema("orders"));
    world.writer =
        std::make_unique<test::RandomWriter>(*world.db, random, std::vector<std::string>{"people", "orders"});
    const std::size_t pipelines = 1 + random.index(3);
    for (std::size_t i = 0; i < pipelines; ++i) {
      auto target = std::make_shared<test::FakeTarget>();
      world.targets["p" + std::to_string(i)] = target;
      target->plan([&world](SinkCall call, const ChangeBatch*) -> std::optional<test::SinkFault> {
        if (!world.random.chance(world.faultPercent)) return std::nullopt;
        if (call == SinkCall::commit && world.random.chance(40)) {
          return test::SinkFault{Error(ErrorCode::connectionFailed, Retry::outcomeUnknown, "the answer was lost"),
                                 world.random.chance(50)};
        }
        if (world.random.chance(50)) {
          return test::SinkFault{Error(ErrorCode::connectionFailed, Retry::later, "the sink went away")};
        }
        return test::SinkFault{Error(ErrorCode::queryFailed, Retry::later, "the sink is busy")};
      });
    }
  }

  static Filter filterOf(std::size_t pipeline, const World& world) {
    // Exact only with full images; see docs/engine.md.
    if (pipeline != 1 || !world.fullImages) return {};
    return Filter::compare("score", Comparison::lt, 50);
  }

  static std::vector<std::string> tablesOf(std::size_t pipeline) {
    if (pipeline == 2) return {"orders"};
    return {"people", "orders"};
  }

  static void startProcess(World& world) {
    Random& random = world.random;
    TestSourceOptions options;
    options.batchEvents = 1 + random.index(12);
    options.forgetsAcknowledged = true;
    options.onIdle = [&world] {
      if (world.writesLeft <= 0) return false;
      --world.writesLeft;
      world.writer->transaction();
      return true;
    };
    options.onBaselineBatch = [&world] {
      if (world.random.chance(30)) world.writer->transaction();
    };
    world.source = std::make_shared<TestSource>(world.db, options);
    EngineOptions engine{.sources = {{.name = "shop",
                                      .source = world.source,
                                      .onPositionLost = PositionLostPolicy::stop,
                                      .retry = {.attempts = UINT32_MAX, .firstDelay = 1ms, .maxDelay = 10ms}}},
                         .observer = observers({world.observer, std::make_shared<AckChecker>(world)}),
                         .clock = &world.clock,
                         .scheduler = &world.scheduler,
                         .jitterSeed = random.bits() | 1,
                         .ackInterval = std::chrono::milliseconds(random.chance(50) ? 0 : 50)};
    std::size_t i = 0;
    for (const auto& [name, target] : world.targets) {
      PipelineSpec spec;
      spec.name = name;
      spec.source = "shop";
      for (const std::string& table : tablesOf(i))
        spec.tables.push_back({.table = table, .filter = filterOf(i, world)});
      spec.sink = std::make_shared<test::FakeSink>(
          target, test::FakeSinkOptions{.traits = {.wholeTransactions = world.wholeTransactions},
                                        .exactlyOnce = !world.drops,
                                        .newRows = !world.letters,
                                        .everyChange = i == 0 && !world.reloads && !world.drops && !world.letters});
      spec.maxQueuedEvents = 1 + random.index(60);
      spec.commitEvents = 1 + random.index(30);
      spec.commitBytes = random.chance(20) ? 1 : 1u << 20;
      spec.commitInterval = std::chrono::milliseconds(random.index(20));
      spec.retry = {.attempts = world.isolates ? 1 : UINT32_MAX, .firstDelay = 1ms, .maxDelay = 20ms};
      if (world.letters) {
        spec.retry.attempts = 2;
        spec.onFailure = FailurePolicy::deadLetter;
        spec.deadLetters = world.letters;
      }
      if (world.drops) spec.overflow = OverflowPolicy::dropOldest;
      engine.pipelines.push_back(std::move(spec));
      ++i;
    }
    world.engine = std::make_unique<Engine>(std::move(engine));
  }

  static void run(World& world, int writes) {
    world.writesLeft = writes;
    for (int tries = 0; tries < 200; ++tries) {
      try {
        world.engine->runInline({});
        return;
      } catch (const Error& e) {
        // A sink that fails while it is opened fails the start.
        ASSERT_TRUE(e.code() == ErrorCode::connectionFailed || e.code() == ErrorCode::queryFailed) << e.what();
        startProcess(world);
      }
    }
  }

  static void crash(World& world) {
    for (auto& [name, target] : world.targets) target->crash();
    world.engine.reset();
    startProcess(world);
  }

  static void bringBack(World& world, unsigned percent) {
    if (!world.engine->status().running && world.random.chance(percent)) {
      for (const auto& [name, target] : world.targets) world.engine->retryIsolated(name);
    }
  }

  static void reloadEverything(World& world) {
    std::size_t i = 0;
    for (const auto& [name, target] : world.targets) {
      for (const std::string& table : tablesOf(i)) world.engine->reload(name, table);
      ++i;
    }
  }

  static void disturb(World& world) {
    Random& random = world.random;
    switch (random.below(8)) {
      case 0:
        return crash(world);
      case 1:
        return world.source->disconnect();
      case 2:
        return world.source->failAtEvent(random.index(20), Error(ErrorCode::queryFailed, Retry::later, "as planned"));
      case 3: {
        // Dies at some call of some sink.
        auto& target =
            *std::next(world.targets.begin(), static_cast<std::ptrdiff_t>(random.index(world.targets.size())))->second;
        target.failNext(random.chance(50) ? SinkCall::apply : SinkCall::commit,
                        Error(ErrorCode::connectionFailed, Retry::outcomeUnknown, "lost"),
                        1 + static_cast<std::uint32_t>(random.index(3)), random.chance(50));
        return;
      }
      case 4:
        if (world.reloads && world.engine->status().ready) {
          const std::size_t i = random.index(world.targets.size());
          world.engine->reload("p" + std::to_string(i), "orders");
        }
        return;
      case 5:
        world.faultPercent = static_cast<unsigned>(random.index(25));
        return;
      default:
        return;
    }
  }

  static void expectModel(World& world) {
    std::size_t i = 0;
    for (const auto& [name, target] : world.targets) {
      EXPECT_EQ(target->complaints(), "") << name;
      for (const std::string& table : tablesOf(i)) {
        std::vector<test::Values> rows;
        for (const auto& row : world.db->rows(table)) {
          if (i != 1 || !world.fullImages || row[2].as<std::int64_t>() < 50) rows.push_back(row);
        }
        EXPECT_EQ(test::EngineRig::texts(target->rows(table)), test::EngineRig::texts(rows)) << name << " " << table;
      }
      ++i;
    }
    EXPECT_EQ(world.ackFault, "");
    EXPECT_EQ(world.observer->count("positionLost"), 0u);
  }
};

TEST_F(EngineLaws, EachChangeIsAppliedOnceOrADeadLetterOnceNeverBothAndNeverNeither) {
  test::forEachSeed(1000, [](std::uint64_t seed) {
    World world(seed);
    makeWorld(world);
    world.isolates = world.drops = world.reloads = false;
    while (world.targets.size() < 2) world.targets["p1"] = std::make_shared<test::FakeTarget>();
    while (world.targets.size() > 2) world.targets.erase("p2");
    world.fullImages = false;  // no filter
    world.targets["p1"]->plan({});
    world.letters = memoryDeadLetters();
    startProcess(world);
    run(world, 0);
    const Error bad(ErrorCode::queryFailed, Retry::never, "the value does not fit");
    for (int i = 0; i < 6; ++i) world.targets["p0"]->poison(std::to_string(world.random.between(0, 45)), bad);
    for (std::size_t round = 0; round < 6; ++round) {
      world.faultPercent = static_cast<unsigned>(world.random.index(15));
      if (world.random.chance(30)) crash(world);
      run(world, static_cast<int>(world.random.index(12)));
    }
    world.faultPercent = 0;
    // A truncate that fails is no change of a row: it isolates.
    bringBack(world, 100);
    run(world, 0);
    std::multiset<std::string> all;
    for (const std::string& stamp : world.targets["p0"]->positions()) all.insert(stamp);
    for (const DeadLetter& letter : world.letters->read("p0", 0, SIZE_MAX)) {
      const ChangeEvent event = detail::eventFromJson(letter.event, *world.source);
      all.insert(event.position.octets + "/" + letter.table + "/" + std::string(toString(event.op)));
    }
    const auto whole = world.targets["p1"]->positions();
    const std::multiset<std::string> expected(whole.begin(), whole.end());
    for (const std::string& stamp : expected) EXPECT_EQ(all.count(stamp), 1u) << ::testing::PrintToString(stamp);
    for (const std::string& stamp : all) EXPECT_EQ(expected.count(stamp), 1u) << ::testing::PrintToString(stamp);
    EXPECT_EQ(world.targets["p0"]->complaints(), "");
    EXPECT_EQ(world.ackFault, "");
  });
}

TEST_F(EngineLaws, WhateverFailsEachChangeIsAppliedOnceAndNothingIsAcknowledgedEarly) {
  test::forEachSeed(1000, [](std::uint64_t seed) {
    World world(seed);
    makeWorld(world);
    startProcess(world);
    for (std::size_t round = 0; round < 12; ++round) {
      disturb(world);
      bringBack(world, 50);
      run(world, static_cast<int>(world.random.index(15)));
    }
    world.faultPercent = 0;
    bringBack(world, 100);
    run(world, 5);
    if (world.drops) reloadEverything(world);
    run(world, 0);
    expectModel(world);
    if (HasFailure()) std::cout << world.observer->all();
  });
}

}  // namespace
}  // namespace tidegate
