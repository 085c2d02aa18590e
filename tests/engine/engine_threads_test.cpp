/// The engine with threads and real time.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "engine/engine_rig.h"

namespace tidegate {
namespace {

using namespace std::chrono_literals;

class EngineThreads : public ::testing::Test {
 protected:
  EngineThreads() { db->createTable(test::peopleSchema()); }
  void TearDown() override { EXPECT_EQ(target->complaints(), ""); }

  EngineOptions options() {
    PipelineSpec spec;
    spec.name = "replica";
    spec.source = "shop";
    spec.tables = {{.table = "people"}};
    spec.sink = std::make_shared<test::FakeSink>(target);
    return {.sources = {{.name = "shop", .source = source}},
            .pipelines = {spec},
            .observer = observer,
            .ackInterval = 10ms};
  }
  /// Waits for it, for as long as a slow machine may need.
  template <class Condition>
  static bool eventually(const Condition& holds) {
    for (int i = 0; i < 10'000; ++i) {
      if (holds()) return true;
      std::this_thread::sleep_for(1ms);
    }
    return holds();
  }
  bool same() const {
    return test::EngineRig::texts(target->rows("people")) == test::EngineRig::texts(db->rows("people"));
  }

  std::shared_ptr<TestDatabase> db = std::make_shared<TestDatabase>();
  std::shared_ptr<TestSource> source = std::make_shared<TestSource>(db);
  std::shared_ptr<test::FakeTarget> target = std::make_shared<test::FakeTarget>();
  std::shared_ptr<test::RecordingObserver> observer = std::make_shared<test::RecordingObserver>();
};

TEST_F(EngineThreads, ARowReachesTheSinkAndIsAcknowledged) {
  for (int i = 0; i < 500; ++i) db->insert("people", {i, "old", i});
  Engine engine(options());
  engine.start();
  ASSERT_TRUE(engine.awaitReady(10s));
  for (int i = 500; i < 1000; ++i) db->insert("people", {i, "new", i});
  EXPECT_TRUE(eventually([&] { return same(); }));
  EXPECT_TRUE(eventually([&] { return source->lastAckedPosition() == source->end(); }));
  EXPECT_EQ(engine.stop(), StopOutcome::drained);
}

TEST_F(EngineThreads, StopDrainsWhatWasReceived) {
  Engine engine(options());
  engine.start();
  ASSERT_TRUE(engine.awaitReady(10s));
  for (int i = 0; i < 2000; ++i) db->insert("people", {i, "x", i});
  ASSERT_TRUE(source->awaitDelivered(10s));
  EXPECT_EQ(engine.stop(), StopOutcome::drained);
  EXPECT_TRUE(same());
  EXPECT_EQ(source->lastAckedPosition(), source->end());
}

TEST_F(EngineThreads, WritersPausesAndFailuresAtOnceLoseNothing) {
  auto given = options();
  given.pipelines[0].retry = {.attempts = 1000, .firstDelay = 1ms, .maxDelay = 2ms};
  std::atomic<int> calls{0};
  target->plan([&](test::SinkCall, const ChangeBatch*) -> std::optional<test::SinkFault> {
    if (++calls % 7 != 0) return std::nullopt;
    return test::SinkFault{Error(ErrorCode::queryFailed, Retry::later, "as planned")};
  });
  Engine engine(std::move(given));
  for (bool started = false; !started;) {
    try {
      engine.start();
      started = true;
    } catch (const Error&) {
    }
  }
  std::jthread writer([&] {
    for (int i = 0; i < 1000; ++i) db->insert("people", {i, "x", i});
  });
  for (int i = 0; i < 5; ++i) {
    engine.pause();
    std::this_thread::sleep_for(2ms);
    (void)engine.status();
    engine.resume();
    source->disconnect();
  }
  writer.join();
  target->plan({});
  EXPECT_TRUE(eventually([&] { return same(); })) << observer->all();
  engine.stop();
  EXPECT_TRUE(same());
}

}  // namespace
}  // namespace tidegate
