/// The engine with threads and real time.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "engine/engine_rig.h"

namespace tidegate {
namespace {

using namespace std::chrono_literals;

/// Who works on the sink: its pipeline's thread alone; or the source's too, which applies, and may commit.
enum class Way { pipelineAlone, sourceApplies, sourceMayCommit, sourceCommits };

class EngineThreads : public ::testing::TestWithParam<Way> {
 protected:
  EngineThreads() { db->createTable(test::peopleSchema()); }
  void TearDown() override { EXPECT_EQ(target->complaints(), ""); }

  EngineOptions options() {
    PipelineSpec spec;
    spec.name = "replica";
    spec.source = "shop";
    spec.tables = {{.table = "people"}};
    spec.sink = std::make_shared<test::FakeSink>(target, sinkOptions());
    // Small units, so that the source has some that are full.
    if (GetParam() == Way::sourceMayCommit || GetParam() == Way::sourceCommits) spec.commitEvents = 3;
    return {.sources = {{.name = "shop", .source = source}},
            .pipelines = {spec},
            .observer = observer,
            .ackInterval = 10ms};
  }
  static test::FakeSinkOptions sinkOptions() {
    const Way way = GetParam();
    return {.traits = {.applyNeverWaits = way != Way::pipelineAlone},
            .tryCommit = way == Way::sourceCommits     ? test::TryCommit::always
                         : way == Way::sourceMayCommit ? test::TryCommit::everySecond
                                                       : test::TryCommit::never};
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

std::string nameOf(const ::testing::TestParamInfo<Way>& info) {
  static const std::map<Way, std::string> names{{Way::pipelineAlone, "OfThePipelineAlone"},
                                                {Way::sourceApplies, "AppliedToByTheSource"},
                                                {Way::sourceMayCommit, "CommittedHereAndThere"},
                                                {Way::sourceCommits, "CommittedByTheSource"}};
  return names.at(info.param);
}
const auto kWays = ::testing::Values(Way::pipelineAlone, Way::sourceApplies, Way::sourceMayCommit, Way::sourceCommits);
INSTANTIATE_TEST_SUITE_P(Sinks, EngineThreads, kWays, nameOf);

TEST_P(EngineThreads, ARowReachesTheSinkAndIsAcknowledged) {
  for (int i = 0; i < 500; ++i) db->insert("people", {i, "old", i});
  Engine engine(options());
  engine.start();
  ASSERT_TRUE(engine.awaitReady(10s));
  for (int i = 500; i < 1000; ++i) db->insert("people", {i, "new", i});
  EXPECT_TRUE(eventually([&] { return same(); }));
  EXPECT_TRUE(eventually([&] { return source->lastAckedPosition() == source->end(); }));
  EXPECT_EQ(engine.stop(), StopOutcome::drained);
}

TEST_P(EngineThreads, StopDrainsWhatWasReceived) {
  Engine engine(options());
  engine.start();
  ASSERT_TRUE(engine.awaitReady(10s));
  for (int i = 0; i < 2000; ++i) db->insert("people", {i, "x", i});
  ASSERT_TRUE(source->awaitDelivered(10s));
  EXPECT_EQ(engine.stop(), StopOutcome::drained);
  EXPECT_TRUE(same());
  EXPECT_EQ(source->lastAckedPosition(), source->end());
}

TEST_P(EngineThreads, WritersPausesAndFailuresAtOnceLoseNothing) {
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

/// The system's clock, which can be put forward, and counts how often it is asked.
class CountingClock final : public Clock {
 public:
  Micros wallNow() const override { return systemClock().wallNow() + ahead.load(); }
  Micros steadyNow() const override {
    ++asked;
    return systemClock().steadyNow() + ahead.load();
  }
  std::atomic<Micros> ahead{Micros(0)};
  mutable std::atomic<std::uint64_t> asked{0};
};

TEST_P(EngineThreads, ASweepThatIsDueWithinATransactionComesBehindItsEndAndKeepsNoCoreBusy) {
  CountingClock clock;
  auto given = options();
  given.clock = &clock;
  given.ackInterval = 24h;  // nothing but the sweep wakes the pipeline behind the transaction's end
  given.pipelines[0].tables[0].ttl = TimeToLive{.column = "score", .age = 1h, .sweepInterval = 60s};
  // The second half of the transaction comes so much later.
  given.sources[0].source = std::make_shared<TestSource>(db, TestSourceOptions{.batchEvents = 2, .delay = 200ms});
  target->plan([&](test::SinkCall call, const ChangeBatch* batch) -> std::optional<test::SinkFault> {
    if (call == test::SinkCall::apply && (*batch)[0].op == ChangeOp::insert) clock.ahead = 2h;
    return std::nullopt;
  });
  const std::int64_t now = clock.wallNow().count() / 1'000'000;
  Engine engine(std::move(given));
  engine.start();
  ASSERT_TRUE(engine.awaitReady(10s));
  db->commit([&](TestTransaction& t) {
    for (int i = 0; i < 4; ++i) t.insert("people", {i, "x", i == 0 ? now : now + 7200});
  });
  EXPECT_TRUE(eventually([&] { return observer->count("expired replica people 1") == 1; })) << observer->all();
  EXPECT_EQ(target->rows("people").size(), 3u);
  EXPECT_LT(clock.asked, 3'000u) << "a thread that only asks what time it is does so millions of times here";
  engine.stop();
}

TEST_P(EngineThreads, NoCallbackComesAfterStop) {
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

TEST_P(EngineThreads, AtItsDeadlineStopTellsSinksToGiveUpAndRollsBack) {
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

TEST_P(EngineThreads, ASlowSinkBlocksTheSourceButNotItsAnswers) {
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

TEST_P(EngineThreads, VerifyRepairReloadAndReplayRunBesideTheStream) {
  auto given = options();
  test::FakeSinkOptions lenient = sinkOptions();
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

TEST_P(EngineThreads, UnitsEndWhereTheyAreFullHoweverFastTheSourceIs) {
  auto given = options();
  given.pipelines[0].commitEvents = 10;
  std::atomic<std::uint64_t> applied{0}, largest{0};
  target->plan([&](test::SinkCall call, const ChangeBatch* batch) -> std::optional<test::SinkFault> {
    if (call == test::SinkCall::apply) applied += batch->size();
    if (call == test::SinkCall::commit) largest = std::max<std::uint64_t>(largest, applied.exchange(0));
    return std::nullopt;
  });
  Engine engine(std::move(given));
  engine.start();
  ASSERT_TRUE(engine.awaitReady(10s));
  for (int t = 0; t < 1000; ++t) {
    db->commit([t](TestTransaction& transaction) {
      for (int i = 0; i < 3; ++i) transaction.insert("people", {3 * t + i, "x", i});
    });
  }
  EXPECT_TRUE(eventually([&] { return same(); }));
  EXPECT_EQ(engine.stop(), StopOutcome::drained);
  EXPECT_LE(largest, 10u + 2 * TestSourceOptions{}.batchEvents);
}

TEST_P(EngineThreads, AStartThatFailsLeavesNothingRunning) {
  target->failNext(test::SinkCall::open, Error(ErrorCode::connectionFailed, Retry::later, "away"));
  Engine engine(options());
  EXPECT_THROW(engine.start(), Error);
  EXPECT_FALSE(engine.status().running);
  EXPECT_FALSE(engine.awaitReady(0ms));
}

TEST_P(EngineThreads, AStartThatFailedIsTriedAgain) {
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

TEST_P(EngineThreads, AFaultOfTheSourceItselfIsToldAtTheStart) {
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

TEST_P(EngineThreads, AnEngineThatNeverStartedClosesWhatItsStartOpened) {
  target->failNext(test::SinkCall::open, Error(ErrorCode::connectionFailed, Retry::later, "away"));
  {
    Engine engine(options());
    EXPECT_THROW(engine.start(), Error);
    engine.stop();
    EXPECT_THROW(engine.start(), Error) << "after stop there is no start";
  }
  EXPECT_EQ(source->state(), SourceState::closed);
}

/// Notes which threads call what.
class ThreadNotes {
 public:
  void note(const char* what) {
    const std::lock_guard lock(mutex_);
    threads_[what].insert(std::this_thread::get_id());
  }
  bool met(const char* one, const char* other) {
    const std::lock_guard lock(mutex_);
    return std::any_of(threads_[one].begin(), threads_[one].end(),
                       [&](std::thread::id id) { return threads_[other].contains(id); });
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::set<std::thread::id>> threads_;
};

class SourceThreadObserver : public EngineObserver {
 public:
  explicit SourceThreadObserver(ThreadNotes& notes) : notes_(notes) {}
  void onSourceState(std::string_view, const SourceStateChange& change) override {
    if (change.to == SourceState::streaming) notes_.note("source");
  }

 private:
  ThreadNotes& notes_;
};

class EngineHandOver : public EngineThreads {
 protected:
  EngineOptions noted() {
    EngineOptions given = options();
    given.observer = std::make_shared<SourceThreadObserver>(notes);
    target->plan([this](test::SinkCall call, const ChangeBatch*) -> std::optional<test::SinkFault> {
      if (call == test::SinkCall::apply) notes.note("apply");
      if (call == test::SinkCall::commit) notes.note("commit");
      return std::nullopt;
    });
    return given;
  }
  /// Writes row by row until the source's thread has applied one, or so many are written.
  void write(int atMost) {
    for (int i = 0; i < atMost && !notes.met("source", "apply"); ++i) {
      db->insert("people", {i, "x", i});
      EXPECT_TRUE(eventually([&] { return same(); }));
    }
  }
  ThreadNotes notes;
};
INSTANTIATE_TEST_SUITE_P(Sinks, EngineHandOver, kWays, nameOf);

TEST_P(EngineHandOver, OnlyASinkThatNeverWaitsIsAppliedToOnTheSourcesThread) {
  EngineOptions given = noted();
  given.pipelines[0].commitEvents = 1'000;
  given.pipelines[0].commitInterval = 1h;
  Engine engine(std::move(given));
  engine.start();
  ASSERT_TRUE(engine.awaitReady(10s));
  write(GetParam() != Way::pipelineAlone ? 10'000 : 50);
  engine.stop();
  EXPECT_EQ(notes.met("source", "apply"), GetParam() != Way::pipelineAlone);
  EXPECT_FALSE(notes.met("source", "commit")) << "of a few rows";
}

TEST_P(EngineHandOver, AUnitThatIsFullIsCommittedOnTheSourcesThreadWhereTheSinkCan) {
  EngineOptions given = noted();
  given.pipelines[0].commitEvents = 1;
  Engine engine(std::move(given));
  engine.start();
  ASSERT_TRUE(engine.awaitReady(10s));
  const bool may = GetParam() == Way::sourceMayCommit || GetParam() == Way::sourceCommits;
  for (int i = 0; i < (may ? 10'000 : 50) && !notes.met("source", "commit"); ++i) {
    db->insert("people", {i, "x", i});
    EXPECT_TRUE(eventually([&] { return same(); }));
  }
  EXPECT_EQ(notes.met("source", "commit"), may);
  EXPECT_TRUE(eventually([&] { return source->lastAckedPosition() == source->end(); }));
  EXPECT_EQ(engine.stop(), StopOutcome::drained);
}

TEST_P(EngineHandOver, AFunctionOfTheHostsIsNeverCalledOnTheSourcesThread) {
  EngineOptions given = noted();
  given.pipelines[0].tables[0].transforms = {Transform::map("name", ValueKind::text, [this](const Value& name) {
    notes.note("function");
    return name;
  })};
  Engine engine(std::move(given));
  engine.start();
  ASSERT_TRUE(engine.awaitReady(10s));
  write(50);
  engine.stop();
  EXPECT_TRUE(notes.met("commit", "function"));
  EXPECT_FALSE(notes.met("source", "function"));
}

}  // namespace
}  // namespace tidegate
