/// Queues, units of work, baselines, acknowledgement and life of an engine.
#include <gtest/gtest.h>

#include "core/detail/json_tree.h"
#include "engine/engine_rig.h"

namespace tidegate {
namespace {

using namespace std::chrono_literals;
using test::SinkCall;

const Error kAway(ErrorCode::connectionFailed, Retry::later, "the sink went away");

class Flow : public test::EngineRig {
 protected:
  Flow() {
    db->createTable(test::peopleSchema("people"));
    db->createTable(test::peopleSchema("orders"));
    db->insert("people", {1, "Ada", 10});
    db->insert("orders", {1, "first", 10});
  }
  void insertMany(int from, int to) {
    for (int i = from; i < to; ++i) db->insert("people", {i, "x", i});
  }
  /// The sink cannot be reached for a while; then `then` happens.
  void away(std::uint32_t tries) {
    target().failNext(SinkCall::apply, kAway);
    target().failNext(SinkCall::open, kAway, tries);
  }
  std::size_t mostQueued = 0;
  void watchQueue() {
    target().plan([this](SinkCall, const ChangeBatch*) {
      mostQueued = std::max(mostQueued, status().queuedEvents);
      return std::nullopt;
    });
  }
};

TEST_F(Flow, AFullQueueBlocksTheSourceAndLosesNothing) {
  auto spec = pipeline();
  spec.maxQueuedEvents = 10;
  sourceOptions.batchEvents = 4;
  make({spec});
  run();
  away(30);
  insertMany(10, 200);
  std::size_t most = 0;
  idle = [&] {
    most = std::max(most, status().queuedEvents);
    return false;
  };
  run();
  expectSame();
  EXPECT_GT(source().declined(), 0u) << "the source was told that there is no room";
  EXPECT_LE(most, 10u);
}

TEST_F(Flow, AHandlerSaysFullWithin200Milliseconds) {
  auto spec = pipeline();
  spec.maxQueuedEvents = 1;
  spec.retry = {.attempts = 1, .firstDelay = 10s, .maxDelay = 10s};
  sourceOptions.batchEvents = 1;
  make({spec});
  run();
  away(1);
  insertMany(10, 13);
  const auto before = clock.steadyNow();
  run();
  expectSame();
  // The sink was away for 10 to 20 s; a source that is asked every 200 ms can answer keep-alives.
  EXPECT_GE(source().declined(), static_cast<std::uint64_t>((clock.steadyNow() - before) / 250ms));
}

TEST_F(Flow, DropOldestNeverAcknowledgesWhatItDroppedUntilAReload) {
  sourceOptions.batchEvents = 5;
  sinkOptions.exactlyOnce = false;
  auto spec = pipeline();
  spec.overflow = OverflowPolicy::dropOldest;
  spec.maxQueuedEvents = 20;
  make({spec});
  run();
  clock.advance(1min);
  db->insert("people", {5, "before", 1});
  run();
  clock.advance(1min);
  run();
  const Position whole = source().lastAckedPosition();
  away(40);
  insertMany(10, 200);
  run();
  clock.advance(1min);
  db->insert("people", {500, "after", 1});
  run();
  EXPECT_LT(target().rows("people").size(), db->rows("people").size());
  EXPECT_GT(status().dropped, 0u);
  EXPECT_GT(observer->count("dropped replica"), 0u);
  EXPECT_EQ(target().rows("people").size() + status().dropped, db->rows("people").size());
  clock.advance(1h);
  run();
  EXPECT_TRUE(source().comparePositions(source().lastAckedPosition(), source().end()) < 0);
  const Position held = source().lastAckedPosition();
  EXPECT_TRUE(source().comparePositions(held, whole) >= 0);

  // A restart does not forget it.
  crash();
  make({spec = pipeline()});
  run();
  clock.advance(1h);
  run();
  EXPECT_LT(target().rows("people").size(), db->rows("people").size());
  EXPECT_TRUE(source().comparePositions(source().lastAckedPosition(), source().end()) < 0);

  engine->reload("replica", "people");
  run();
  expectSame();
  engine->stop();
  EXPECT_EQ(source().lastAckedPosition(), source().end());
}

TEST_F(Flow, TheErrorPolicyIsolatesThePipelineThatIsTooSlow) {
  sourceOptions.batchEvents = 5;
  auto slow = pipeline("slow");
  slow.overflow = OverflowPolicy::error;
  slow.maxQueuedEvents = 10;
  make({slow, pipeline("fast")});
  run();
  target("slow").failNext(SinkCall::apply, kAway);
  target("slow").failNext(SinkCall::open, kAway, 10);
  insertMany(10, 100);
  run();
  EXPECT_EQ(status("slow").state, PipelineState::isolated);
  EXPECT_NE(status("slow").lastError->find("full"), std::string::npos);
  expectSame("people", "fast");
  engine->retryIsolated("slow");
  run();
  expectSame("people", "slow");
}

TEST_F(Flow, ATransactionLargerThanTheQueuePassesInPiecesAndCommitsOnce) {
  sourceOptions.batchEvents = 7;
  auto spec = pipeline();
  spec.maxQueuedEvents = 10;
  spec.commitEvents = 5;
  spec.commitBytes = 500;
  make({spec});
  run();
  const auto commits = target().commits();
  db->commit([](TestTransaction& t) {
    for (int i = 10; i < 500; ++i) t.insert("people", {i, "x", i});
  });
  run();
  expectSame();
  EXPECT_EQ(target().commits(), commits + 1);
}

TEST_F(Flow, ALargeTransactionWhoseSinkFailsInTheMiddleComesAgainThroughTheSource) {
  sourceOptions.batchEvents = 7;
  auto spec = pipeline();
  spec.commitBytes = 500;
  make({spec, pipeline("other")});
  run();
  int calls = 0;
  target().plan([&](SinkCall call, const ChangeBatch*) -> std::optional<test::SinkFault> {
    if (call == SinkCall::apply && ++calls == 40) return test::SinkFault{kAway};
    return std::nullopt;
  });
  db->commit([](TestTransaction& t) {
    for (int i = 10; i < 500; ++i) t.insert("people", {i, "x", i});
  });
  run();
  EXPECT_GE(calls, 40);
  expectSame();
  expectSame("people", "other");
}

TEST_F(Flow, ASinkWithoutWholeTransactionsMayCommitWithinThem) {
  sourceOptions.batchEvents = 7;
  sinkOptions.traits.wholeTransactions = false;
  auto spec = pipeline();
  spec.commitEvents = 5;
  make({spec});
  run();
  const auto commits = target().commits();
  db->commit([](TestTransaction& t) {
    for (int i = 10; i < 100; ++i) t.insert("people", {i, "x", i});
  });
  run();
  expectSame();
  EXPECT_GT(target().commits(), commits + 5);
}

TEST_F(Flow, SmallTransactionsShareACommitAndALargeBatchIsCutAtItsLastBorder) {
  sourceOptions.batchEvents = 10;
  auto spec = pipeline();
  spec.commitEvents = 8;
  make({spec});
  run();
  const auto commits = target().commits();
  for (int i = 0; i < 20; ++i) {
    db->commit([i](TestTransaction& t) {
      for (int k = 0; k < 3; ++k) t.insert("people", {100 + i * 3 + k, "x", k});
    });
  }
  run();
  expectSame();
  EXPECT_LE(target().commits() - commits, 8u) << "60 events in batches of 10";
}

TEST_F(Flow, SeveralPipelinesAtDifferentPlacesResumeFromTheEarliest) {
  sourceOptions.forgetsAcknowledged = true;
  make({pipeline("ahead"), pipeline("behind")});
  run();
  target("behind").failNext(SinkCall::apply, kAway);
  target("behind").failNext(SinkCall::open, kAway, 1000);
  insertMany(10, 50);
  std::stop_source stop;
  target("ahead").plan([&](SinkCall call, const ChangeBatch*) -> std::optional<test::SinkFault> {
    if (call == SinkCall::commit) stop.request_stop();
    return std::nullopt;
  });
  engine->runInline(stop.get_token());
  target("ahead").plan({});
  crash();
  EXPECT_LT(target("behind").rows("people").size(), target("ahead").rows("people").size());
  make({pipeline("ahead"), pipeline("behind")});
  run();
  expectSame("people", "ahead");
  expectSame("people", "behind");
  EXPECT_EQ(observer->count("positionLost"), 0u);
}

TEST_F(Flow, ANewTableAndANewPipelineOnAnOldSourceAreBaselined) {
  make({pipeline("old")});
  run();
  crash();
  db->insert("orders", {2, "second", 1});
  make({pipeline("old", {"people", "orders"}), pipeline("new")});
  run();
  expectSame("people", "old");
  expectSame("orders", "old");
  expectSame("people", "new");
  EXPECT_EQ(observer->count("baselineBegin old people"), 1u);
}

TEST_F(Flow, AReloadMakesTheTargetExactWhileItsReadersKeepTheirRows) {
  make({pipeline("replica", {"people", "orders"})});
  run();
  target().edit("people", [](auto& rows) {
    rows.begin()->second[1] = "wrong";
    rows["stray"] = {99, "stray", 1};
  });
  crash();
  make({pipeline("replica", {"people", "orders"})});
  run();
  engine->reload("replica", "people");
  std::size_t fewest = 100;
  target().plan([&](SinkCall, const ChangeBatch*) {
    fewest = std::min(fewest, target().rows("people").size());
    return std::nullopt;
  });
  EXPECT_FALSE(engine->awaitReady(0ms));
  run();
  EXPECT_TRUE(engine->awaitReady(0ms));
  expectSame();
  EXPECT_GE(fewest, 1u);
  EXPECT_THROW(engine->reload("replica", "nowhere"), Error);
  EXPECT_THROW(engine->reload("nobody", "people"), Error);
}

TEST_F(Flow, ACrashWithinABaselineBeginsItAnew) {
  insertMany(10, 300);
  sourceOptions.batchEvents = 10;
  auto spec = pipeline();
  spec.commitEvents = 10;
  make({spec});
  int commits = 0;
  target().plan([&](SinkCall call, const ChangeBatch*) -> std::optional<test::SinkFault> {
    if (call == SinkCall::commit && ++commits == 10) target().crash();
    return std::nullopt;
  });
  spec.retry.attempts = 0;
  std::stop_source stop;
  sourceOptions.onBaselineBatch = [] {};
  try {
    idle = [&] {
      stop.request_stop();
      return false;
    };
    stop.request_stop();
    engine->runInline(stop.get_token());
  } catch (const Error&) {
  }
  target().plan({});
  crash();
  db->erase("people", {20});
  idle = {};
  make({pipeline()});
  run();
  expectSame();
}

TEST_F(Flow, AnIdlePipelineDoesNotHoldTheAcknowledgementBack) {
  sinkOptions.everyChange = false;
  make({pipeline("busy"), pipeline("quiet", {"orders"})});
  run();
  for (int i = 0; i < 5; ++i) {
    db->insert("people", {10 + i, "x", 1});
    run();
    clock.advance(2s);
    run();
  }
  EXPECT_EQ(source().lastAckedPosition(), source().end());
}

TEST_F(Flow, AcknowledgesAtMostAnIntervalLate) {
  auto given = options({pipeline()});
  given.ackInterval = 1s;
  makeWith(given);
  run();
  clock.advance(5s);
  db->insert("people", {2, "x", 1});
  run();
  EXPECT_EQ(source().lastAckedPosition(), source().end()) << "the interval was over already";
  db->insert("people", {3, "x", 1});
  run();
  EXPECT_NE(source().lastAckedPosition(), source().end());
  clock.advance(1s);
  idle = [] { return false; };
  run();
  EXPECT_EQ(source().lastAckedPosition(), source().end());
}

TEST_F(Flow, PauseLosesNothing) {
  make({pipeline()});
  run();
  engine->pause();
  EXPECT_TRUE(engine->status().paused);
  db->insert("people", {2, "x", 1});
  int asked = 0;
  idle = [&] { return ++asked < 3; };
  run();
  EXPECT_EQ(target().rows("people").size(), 1u);
  engine->resume();
  run();
  expectSame();
}

TEST_F(Flow, ASourceThatEmitsWhilePausedIsMadeToWait) {
  make({pipeline()});
  run();
  engine->pause();
  source().resume();
  db->insert("people", {2, "x", 1});
  std::stop_source stop;
  const auto until = clock.steadyNow() + 10s;
  class StopAt final : public Scheduler {
   public:
    StopAt(test::ManualClock& c, std::stop_source& s, Clock::Micros u) : clock_(c), stop_(s), until_(u) {}
    bool waitFor(std::chrono::microseconds duration, std::stop_token token) override {
      clock_.advance(duration);
      if (clock_.steadyNow() > until_) stop_.request_stop();
      return !token.stop_requested();
    }

   private:
    test::ManualClock& clock_;
    std::stop_source& stop_;
    Clock::Micros until_;
  };
  StopAt stopping(clock, stop, until);
  auto given = options({pipeline()});
  given.scheduler = &stopping;
  crash();
  given = options({pipeline()});
  given.scheduler = &stopping;
  makeWith(given);
  engine->pause();
  source().resume();
  engine->runInline(stop.get_token());
  EXPECT_EQ(target().rows("people").size(), 1u);
  engine->resume();
  run();
  expectSame();
}

TEST_F(Flow, StopSaysWhetherEverythingIsDurable) {
  make({pipeline()});
  run();
  EXPECT_EQ(engine->stop(), StopOutcome::drained);
  EXPECT_EQ(engine->stop(), StopOutcome::drained);
  EXPECT_THROW(engine->start(), Error);
  EXPECT_EQ(status().state, PipelineState::stopped);

  make({pipeline()});
  sources_.clear();
  crash();
  make({pipeline()});
  run();
  target().failNext(SinkCall::apply, kAway);
  target().failNext(SinkCall::open, kAway, 1'000'000);
  db->insert("people", {2, "x", 1});
  std::stop_source stop;
  int tries = 0;
  target().plan({});
  idle = [&] {
    if (++tries > 2) stop.request_stop();
    return tries <= 3;
  };
  engine->runInline(stop.get_token());
  EXPECT_EQ(engine->stop(1s), StopOutcome::rolledBack);
  EXPECT_EQ(target().rows("people").size(), 1u);
}

TEST_F(Flow, OptionsThatCannotWorkAreRefused) {
  const auto refused = [&](const std::function<void(EngineOptions&)>& change) {
    auto given = options({pipeline()});
    change(given);
    try {
      Engine made(std::move(given));
    } catch (const Error& e) {
      return e.code() == ErrorCode::invalidConfig;
    }
    return false;
  };
  EXPECT_FALSE(refused([](EngineOptions&) {}));
  EXPECT_TRUE(refused([](EngineOptions& o) { o.sources[0].name = ""; }));
  EXPECT_TRUE(refused([](EngineOptions& o) { o.sources[0].source = nullptr; }));
  EXPECT_TRUE(refused([](EngineOptions& o) { o.sources.push_back(o.sources[0]); }));
  EXPECT_TRUE(refused([](EngineOptions& o) { o.pipelines.clear(); }));
  EXPECT_TRUE(refused([](EngineOptions& o) { o.pipelines.push_back(o.pipelines[0]); }));
  EXPECT_TRUE(refused([](EngineOptions& o) { o.pipelines[0].source = "nowhere"; }));
  EXPECT_TRUE(refused([](EngineOptions& o) { o.pipelines[0].sink = nullptr; }));
  EXPECT_TRUE(refused([](EngineOptions& o) { o.pipelines[0].tables.clear(); }));
  EXPECT_TRUE(refused([](EngineOptions& o) { o.pipelines[0].onFailure = FailurePolicy::deadLetter; }));
  EXPECT_TRUE(refused([](EngineOptions& o) { o.pipelines[0].maxQueuedEvents = 0; }));
  EXPECT_TRUE(refused([](EngineOptions& o) {
    auto second = o.pipelines[0];
    second.name = "second";
    o.pipelines.push_back(second);
  })) << "a shared sink";
}

TEST_F(Flow, SourcesWithoutOrderNeedSinksThatTakeAChangeTwice) {
  sinkOptions.traits.idempotent = false;
  for (const auto order : {OrderingGuarantee::perTable, OrderingGuarantee::perPartition}) {
    sourceOptions.ordering = order;
    EXPECT_THROW(make({pipeline()}), Error);
  }
  sourceOptions.ordering = OrderingGuarantee::bestEffort;
  EXPECT_THROW(make({pipeline()}), Error);
  sinkOptions.traits.idempotent = true;
  sinkOptions.exactlyOnce = false;
  make({pipeline()});
  run();
  target().failNext(SinkCall::apply, kAway);
  insertMany(10, 60);
  run();
  expectSame();
}

TEST_F(Flow, OnASourceThatIsNotTotallyOrderedPipelinesBeginAtWhatIsDurable) {
  sourceOptions.ordering = OrderingGuarantee::perTable;
  sourceOptions.batchEvents = 5;
  make({pipeline()});
  run();
  for (int round = 0; round < 5; ++round) {
    target().failNext(SinkCall::apply, kAway);
    source().failAtEvent(7, Error(ErrorCode::queryFailed, Retry::later, "as planned"));
    insertMany(10 + round * 50, 60 + round * 50);
    run();
    expectSame();
  }
}

TEST_F(Flow, ASinkWithoutCheckpointsBeginsWithABaseline) {
  sinkOptions.traits.keepsCheckpoints = false;
  sinkOptions.exactlyOnce = false;
  make({pipeline()});
  run();
  target().failNext(SinkCall::apply, kAway);
  db->insert("people", {2, "x", 1});
  run();
  expectSame();
  EXPECT_EQ(observer->count("baselineBegin"), 1u) << "a failure within the process needs none";
  crash();
  db->erase("people", {2});
  make({pipeline()});
  run();
  expectSame();
  EXPECT_EQ(observer->count("baselineBegin"), 2u);
}

TEST_F(Flow, ASourceThatCannotResumeIsReadAnewByEachProcess) {
  sourceOptions.resumes = false;
  make({pipeline()});
  run();
  target().failNext(SinkCall::apply, kAway);
  db->insert("people", {2, "x", 1});
  run();
  expectSame();
  crash();
  db->erase("people", {1});
  make({pipeline()});
  run();
  expectSame();
  EXPECT_EQ(observer->count("baselineBegin"), 2u);
}

TEST_F(Flow, ACheckpointOfAnotherSourceSaysNothing) {
  make({pipeline()});
  run();
  crash();
  auto spec = pipeline();
  spec.source = "moved";
  auto given = options({spec});
  given.sources[0].name = "moved";
  makeWith(given);
  run();
  expectSame();
  EXPECT_EQ(observer->count("baselineBegin"), 2u);
}

TEST_F(Flow, TheStatusSaysWhatThereIsToDraw) {
  make({pipeline("replica", {"people", "orders"})});
  run();
  db->insert("people", {2, "x", 1});
  run();
  const EngineStatus s = engine->status();
  EXPECT_TRUE(s.ready);
  ASSERT_EQ(s.pipelines.size(), 1u);
  EXPECT_EQ(s.pipelines[0].state, PipelineState::streaming);
  EXPECT_EQ(s.pipelines[0].tables[0].table, "people");
  EXPECT_EQ(s.pipelines[0].tables[0].baselineRows, 1u);
  EXPECT_EQ(s.pipelines[0].tables[0].changes, 1u);
  EXPECT_EQ(s.pipelines[0].durablePosition, source().positionToText(source().end()));
  EXPECT_EQ(s.sources[0].receivedPosition, s.pipelines[0].durablePosition);
  EXPECT_GT(s.pipelines[0].eventsPerSecond, 0);
  EXPECT_EQ(s.pipelines[0].lag, 0ms);
  EXPECT_EQ(s.pipelines[0].queuedEvents, 0u);
  EXPECT_GT(s.pipelines[0].commits, 0u);
  const std::string json = toJson(s);
  const detail::JsonTree tree(json);
  EXPECT_EQ(tree.root().member("pipelines").items()[0].member("state").string(), "streaming");
  EXPECT_EQ(tree.root().member("sources").items()[0].member("name").string(), "shop");
}

TEST_F(Flow, TwoSourcesOnOneThreadBothArrive) {
  auto second = pipeline("second", {"orders"});
  second.source = "other";
  source("other");
  auto given = options({pipeline(), second});
  given.sources.push_back({.name = "other", .source = sources_["other"]});
  makeWith(given);
  run();
  for (int i = 0; i < 50; ++i) {
    db->insert("people", {100 + i, "x", 1});
    db->insert("orders", {100 + i, "y", 1});
  }
  run();
  expectSame("people", "replica");
  expectSame("orders", "second");
}

}  // namespace
}  // namespace tidegate
