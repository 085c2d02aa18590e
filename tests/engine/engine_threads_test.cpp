/// The engine with threads and real time.
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
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

TEST_F(EngineThreads, NoCallbackComesAfterStop) {
  std::atomic<bool> stopped{false}, late{false};
  class Late final : public EngineObserver {
   public:
    Late(std::atomic<bool>& s, std::atomic<bool>& l) : stopped_(s), late_(l) {}
    void onCommit(std::string_view, std::uint64_t, std::chrono::microseconds) override { note(); }
    void onAck(std::string_view, std::string_view) override { note(); }
    void onLag(std::string_view, const SourceLag&) override { note(); }
    void onSourceState(std::string_view, const SourceStateChange&) override { note(); }
    void onPipelineState(std::string_view, PipelineState, PipelineState, std::string_view) override { note(); }

   private:
    void note() { late_ = late_ || stopped_; }
    std::atomic<bool>&stopped_, &late_;
  };
  auto given = options();
  given.observer = std::make_shared<Late>(stopped, late);
  {
    Engine engine(std::move(given));
    engine.start();
    std::jthread writer([&](std::stop_token stop) {
      for (int i = 0; !stop.stop_requested(); ++i) db->insert("people", {i, "x", i});
    });
    ASSERT_TRUE(engine.awaitReady(10s));
    engine.stop();
    stopped = true;
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_FALSE(late);
}

/// Waits in `commit` until it is told to give up.
class StuckSink final : public Sink {
 public:
  SinkTraits traits() const override { return {}; }
  std::optional<std::string> open(const SinkContext& context) override {
    stop_ = context.stop;
    return std::nullopt;
  }
  void prepareTable(const Shape&) override {}
  void apply(const ChangeBatch&) override {}
  void commit(std::string_view) override {
    std::mutex mutex;
    std::condition_variable_any woken;
    std::unique_lock lock(mutex);
    woken.wait(lock, stop_, [] { return false; });
    throw Error(ErrorCode::queryCancelled, Retry::outcomeUnknown, "told to give up");
  }
  void rollback() noexcept override { ++rollbacks; }
  void close() noexcept override { ++closes; }
  std::atomic<int> rollbacks{0}, closes{0};

 private:
  std::stop_token stop_;
};

TEST_F(EngineThreads, AtItsDeadlineStopTellsSinksToGiveUpAndRollsBack) {
  db->insert("people", {1, "x", 1});
  auto stuck = std::make_shared<StuckSink>();
  auto given = options();
  given.pipelines[0].sink = stuck;
  Engine engine(std::move(given));
  engine.start();
  EXPECT_FALSE(engine.awaitReady(20ms));
  EXPECT_EQ(engine.stop(20ms), StopOutcome::rolledBack);
  EXPECT_GT(stuck->rollbacks, 0);
  EXPECT_GT(stuck->closes, 0);
}

TEST_F(EngineThreads, ASlowSinkBlocksTheSourceButNotItsAnswers) {
  auto given = options();
  given.pipelines[0].maxQueuedEvents = 50;
  target->plan([](test::SinkCall call, const ChangeBatch*) -> std::optional<test::SinkFault> {
    if (call == test::SinkCall::commit) std::this_thread::sleep_for(2ms);
    return std::nullopt;
  });
  Engine engine(std::move(given));
  engine.start();
  std::vector<std::jthread> writers;
  for (int w = 0; w < 2; ++w) {
    writers.emplace_back([this, w] {
      for (int i = 0; i < 500; ++i) db->insert("people", {w * 1000 + i, "x", i});
    });
  }
  writers.clear();
  EXPECT_TRUE(eventually([&] { return same(); }));
  EXPECT_EQ(engine.stop(), StopOutcome::drained);
}

TEST_F(EngineThreads, VerifyRepairReloadAndReplayRunBesideTheStream) {
  auto given = options();
  test::FakeSinkOptions lenient;
  lenient.exactlyOnce = false;
  given.pipelines[0].sink = std::make_shared<test::FakeSink>(target, lenient);
  given.pipelines[0].onFailure = FailurePolicy::deadLetter;
  given.pipelines[0].deadLetters = memoryDeadLetters();
  given.pipelines[0].retry.attempts = 0;
  target->poison("7", Error(ErrorCode::queryFailed, Retry::never, "does not fit"));
  for (int i = 0; i < 50; ++i) db->insert("people", {i, "x", i});
  const auto letters = given.pipelines[0].deadLetters;
  Engine engine(std::move(given));
  engine.start();
  ASSERT_TRUE(engine.awaitReady(10s));
  EXPECT_EQ(letters->count("replica"), 1u);
  target->cure();
  std::jthread writer([&] {
    for (int i = 100; i < 300; ++i) db->insert("people", {i, "y", i});
  });
  EXPECT_EQ(engine.replayDeadLetters("replica"), 1u);
  engine.reload("replica", "people");
  const VerifyReport report = engine.verify({.chunks = 8, .recheckDelay = 100ms, .repair = true});
  writer.join();
  EXPECT_TRUE(engine.awaitReady(10s));
  EXPECT_TRUE(eventually([&] { return same(); }));
  EXPECT_TRUE(eventually([&] { return engine.verify({.rechecks = 1, .recheckDelay = 10ms}).ok(); }));
  engine.stop();
}

TEST_F(EngineThreads, AStartThatFailsLeavesNothingRunning) {
  target->failNext(test::SinkCall::open, Error(ErrorCode::connectionFailed, Retry::later, "away"));
  Engine engine(options());
  EXPECT_THROW(engine.start(), Error);
  EXPECT_FALSE(engine.status().running);
  EXPECT_FALSE(engine.awaitReady(0ms));
}

TEST_F(EngineThreads, AStartThatFailedIsTriedAgain) {
  const Error away(ErrorCode::connectionFailed, Retry::later, "away");
  target->failNext(test::SinkCall::open, away);
  Engine engine(options());
  source->failCalls(TestCall::init, away);
  EXPECT_THROW(engine.start(), Error) << "the source cannot be reached";
  source->failCalls(TestCall::validateTables, away);
  EXPECT_THROW(engine.start(), Error) << "nor its tables be looked at";
  db->setIssue("people", ErrorCode::noReplicaIdentity, true);
  EXPECT_THROW(engine.start(), Error) << "one of them cannot be read";
  db->setIssue("people", ErrorCode::noReplicaIdentity, false);
  EXPECT_THROW(engine.start(), Error) << "the sink cannot be opened";
  EXPECT_NE(source->state(), SourceState::closed);
  engine.start();
  ASSERT_TRUE(engine.awaitReady(10s));
  db->insert("people", {7, "after", 1});
  EXPECT_TRUE(eventually([&] { return same(); }));
  engine.stop();
  EXPECT_EQ(source->state(), SourceState::closed);
}

TEST_F(EngineThreads, AFaultOfTheSourceItselfIsToldAtTheStart) {
  db->setIssue("", ErrorCode::slotInvalid, true);
  Engine engine(options());
  try {
    engine.start();
    FAIL() << "it would fail later, and for a stranger reason";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::slotInvalid) << e.what();
  }
  db->setIssue("", ErrorCode::slotInvalid, false);
  engine.start();
  EXPECT_TRUE(engine.awaitReady(10s));
}

TEST_F(EngineThreads, AnEngineThatNeverStartedClosesWhatItsStartOpened) {
  target->failNext(test::SinkCall::open, Error(ErrorCode::connectionFailed, Retry::later, "away"));
  {
    Engine engine(options());
    EXPECT_THROW(engine.start(), Error);
    engine.stop();
    EXPECT_THROW(engine.start(), Error) << "after stop there is no start";
  }
  EXPECT_EQ(source->state(), SourceState::closed);
}

}  // namespace
}  // namespace tidegate
