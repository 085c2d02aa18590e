/// What happens when sinks and sources fail.
#include <gtest/gtest.h>

#include "engine/engine_rig.h"

namespace tidegate {
namespace {

using namespace std::chrono_literals;
using test::SinkCall;

const Error kBusy(ErrorCode::queryFailed, Retry::later, "the sink is busy");
const Error kGone(ErrorCode::connectionFailed, Retry::later, "the sink went away");
const Error kBad(ErrorCode::queryFailed, Retry::never, "the value does not fit");

class Failure : public test::EngineRig {
 protected:
  Failure() {
    db->createTable(test::peopleSchema("people"));
    db->createTable(test::peopleSchema("orders"));
    db->insert("people", {1, "Ada", 10});
  }
  PipelineSpec letters(const std::string& name = "replica") {
    PipelineSpec spec = pipeline(name);
    spec.onFailure = FailurePolicy::deadLetter;
    spec.deadLetters = store;
    return spec;
  }
  std::shared_ptr<DeadLetters> store = memoryDeadLetters();
};

TEST_F(Failure, AFailedFlushNeverLosesItsBatch) {
  make({pipeline()});
  run();
  for (const SinkCall call : {SinkCall::apply, SinkCall::commit}) {
    target().failNext(call, kBusy, 2);
    db->insert("people", {10 + static_cast<int>(call), "x", 1});
    run();
    expectSame();
  }
  EXPECT_EQ(observer->count("retry"), 4u);
}

TEST_F(Failure, ACommitWhoseAnswerIsLostIsNotRepeated) {
  make({pipeline()});
  run();
  for (const bool happened : {true, false}) {
    target().failNext(SinkCall::commit, Error(ErrorCode::connectionFailed, Retry::outcomeUnknown, "lost"), 1, happened);
    db->insert("people", {happened ? 2 : 3, "x", 1});
    run();
    expectSame();
  }
}

TEST_F(Failure, BackOffGrowsWithJitterAndASuccessResetsIt) {
  auto spec = pipeline();
  spec.retry = {.attempts = 10, .firstDelay = 100ms, .maxDelay = 1s};
  make({spec});
  run();
  for (int round = 0; round < 2; ++round) {
    target().failNext(SinkCall::apply, kBusy, 6);
    db->insert("people", {10 + round, "x", 1});
    run();
  }
  ASSERT_EQ(observer->delays.size(), 12u);
  for (std::size_t i = 0; i < 12; ++i) {
    const auto full = std::min<std::chrono::milliseconds>(100ms * (1 << (i % 6)), 1s);
    EXPECT_GE(observer->delays[i], full / 2 - 1ms) << i;
    EXPECT_LE(observer->delays[i], full) << i;
  }
}

TEST_F(Failure, LostConnectionsAreTriedForEver) {
  make({pipeline()});
  run();
  target().failNext(SinkCall::apply, kGone);
  target().failNext(SinkCall::open, kGone, 50);
  db->insert("people", {2, "x", 1});
  run();
  expectSame();
}

TEST_F(Failure, AFailingPipelineIsIsolatedAndHoldsTheAcknowledgementOfItsSource) {
  make({pipeline("good"), pipeline("bad")});
  run();
  engine->runInline({});
  const Position before = source().lastAckedPosition();
  target("bad").poison("2", kBad);
  db->insert("people", {2, "x", 1});
  db->insert("people", {3, "y", 1});
  run();
  expectSame("people", "good");
  EXPECT_EQ(status("bad").state, PipelineState::isolated);
  clock.advance(1h);
  run();
  EXPECT_EQ(source().lastAckedPosition(), before);
  EXPECT_THROW(engine->awaitReady(0ms), Error);
  EXPECT_EQ(observer->count("isolated bad queryFailed"), 1u);

  target("bad").cure();
  engine->retryIsolated("bad");
  run();
  expectSame("people", "bad");
  EXPECT_EQ(observer->count("baselineBegin bad"), 1u) << "it went on from its checkpoint";
  engine->stop();
  EXPECT_EQ(source().lastAckedPosition(), source().end());
}

TEST_F(Failure, AcknowledgingPastAnIsolationNeedsWordsAndAReload) {
  sourceOptions.forgetsAcknowledged = true;
  auto bad = pipeline("bad");
  bad.acknowledgePastIsolation = true;
  make({pipeline("good"), bad});
  run();
  target("bad").poison("2", kBad);
  db->insert("people", {2, "x", 1});
  run();
  clock.advance(1h);
  db->insert("people", {3, "y", 1});
  run();
  clock.advance(1h);
  run();
  EXPECT_EQ(source().lastAckedPosition(), source().end());
  target("bad").cure();
  engine->retryIsolated("bad");
  run();
  expectSame("people", "bad");
  EXPECT_EQ(observer->count("baselineBegin bad"), 2u);
}

TEST_F(Failure, APipelineThatWasAcknowledgedPastIsReadAnewAfterARestartToo) {
  sourceOptions.forgetsAcknowledged = true;
  const auto both = [&] {
    auto bad = pipeline("bad");
    bad.acknowledgePastIsolation = true;
    return std::vector<PipelineSpec>{pipeline("good"), bad};
  };
  make(both());
  run();
  target("bad").poison("2", kBad);
  db->insert("people", {2, "x", 1});
  run();
  clock.advance(1h);
  db->insert("people", {3, "y", 1});
  run();
  clock.advance(1h);
  run();
  crash();
  target("bad").cure();
  make(both());
  run();
  expectSame("people", "bad");
  EXPECT_EQ(observer->count("positionLost"), 0u);
}

TEST_F(Failure, APoisonChangeIsSingledOutAndTheOthersGoOn) {
  make({letters()});
  run();
  target().poison("5", kBad);
  db->commit([](TestTransaction& t) {
    for (int i = 2; i < 9; ++i) t.insert("people", {i, "x", i});
  });
  db->insert("people", {9, "later", 1});
  run();
  EXPECT_EQ(target().rows("people").size(), 8u);
  ASSERT_EQ(store->count("replica"), 1u);
  const DeadLetter letter = store->read("replica", 0, 10)[0];
  EXPECT_EQ(letter.key, "id=5");
  EXPECT_EQ(letter.table, "people");
  EXPECT_NE(letter.error.find("does not fit"), std::string::npos);
  EXPECT_EQ(status().deadLetters, 1u);
  EXPECT_EQ(observer->count("deadLetter replica id=5"), 1u);

  EXPECT_EQ(engine->replayDeadLetters("replica"), 0u);
  EXPECT_EQ(store->count("replica"), 1u);
  target().cure();
  EXPECT_EQ(engine->replayDeadLetters("replica"), 1u);
  EXPECT_EQ(store->count("replica"), 0u);
  expectSame();
}

TEST_F(Failure, ADeadLetterFromBeforeASchemaChangeIsReplayedAsTheTableIsNow) {
  make({letters()});
  run();
  target().poison("5", kBad);
  db->insert("people", {5, "five", 5});
  run();
  TableSchema wider = test::peopleSchema();
  wider.columns.erase(wider.columns.begin() + 2);
  wider.columns.push_back({.name = "mail", .kind = ValueKind::text});
  db->commit([&](TestTransaction& t) { t.alter({.schema = wider}); });
  db->insert("people", {6, "six", "six@example.org"});
  run();
  target().cure();
  EXPECT_EQ(engine->replayDeadLetters("replica"), 1u);
  expectSame();
}

TEST_F(Failure, APoisonRowOfABaselineIsADeadLetterOfItsOwn) {
  for (int i = 2; i < 40; ++i) db->insert("people", {i, "x", i});
  target().poison("7", kBad);
  target().poison("8", kBad);
  make({letters()});
  run();
  EXPECT_EQ(target().rows("people").size(), 37u);
  EXPECT_EQ(store->count("replica"), 2u);
  EXPECT_EQ(status().state, PipelineState::streaming);
}

TEST_F(Failure, ATransactionLargerThanMemoryIsSingledOutThroughTheStream) {
  auto spec = letters();
  spec.commitBytes = 200;
  spec.maxQueuedEvents = 20;
  make({spec});
  run();
  target().poison("150", kBad);
  db->commit([](TestTransaction& t) {
    for (int i = 2; i < 300; ++i) t.insert("people", {i, "x", i});
  });
  run();
  EXPECT_EQ(target().rows("people").size(), 298u);
  EXPECT_EQ(store->count("replica"), 1u);
}

TEST_F(Failure, ACommitThatFailsForADeferredReasonSendsItsTransactionToTheDeadLetters) {
  make({letters()});
  run();
  bool poisoned = false;
  target().plan([&](SinkCall call, const ChangeBatch* batch) -> std::optional<test::SinkFault> {
    if (call == SinkCall::open) poisoned = false;
    if (batch != nullptr) {
      for (const ChangeEvent& e : *batch) poisoned = poisoned || (!e.after.empty() && e.after[0] == Value(3));
    }
    if (call == SinkCall::commit && poisoned) return test::SinkFault{kBad};
    return std::nullopt;
  });
  db->insert("people", {2, "before", 1});
  db->commit([](TestTransaction& t) { t.insert("people", {3, "x", 1}).insert("people", {4, "x", 1}); });
  db->insert("people", {5, "after", 1});
  run();
  EXPECT_EQ(texts(target().rows("people")), texts({{1, "Ada", 10}, {2, "before", 1}, {5, "after", 1}}));
  EXPECT_EQ(store->count("replica"), 2u);
}

TEST_F(Failure, AMapFunctionThatThrowsPoisonsItsChangeOnly) {
  auto spec = letters();
  spec.tables[0].transforms = {Transform::map("name", ValueKind::text, [](const Value& v) {
    if (v == Value("bad")) throw std::runtime_error("cannot map");
    return v;
  })};
  make({spec});
  run();
  db->insert("people", {2, "bad", 1});
  db->insert("people", {3, "good", 1});
  run();
  EXPECT_EQ(target().rows("people").size(), 2u);
  EXPECT_EQ(store->count("replica"), 1u);
}

/// Refuses letters while it is told to.
class FullStore final : public DeadLetters {
 public:
  explicit FullStore(std::shared_ptr<DeadLetters> inner) : inner_(std::move(inner)) {}
  void add(const DeadLetter& letter) override {
    if (refusals > 0) {
      --refusals;
      throw Error(ErrorCode::storeUnavailable, Retry::later, "the disk is full");
    }
    inner_->add(letter);
  }
  std::vector<DeadLetter> read(std::string_view p, std::uint64_t after, std::size_t limit) const override {
    return inner_->read(p, after, limit);
  }
  std::uint64_t count(std::string_view p) const override { return inner_->count(p); }
  bool remove(std::uint64_t id) override { return inner_->remove(id); }
  std::uint64_t purge(std::string_view p) override { return inner_->purge(p); }
  int refusals = 0;

 private:
  std::shared_ptr<DeadLetters> inner_;
};

TEST_F(Failure, TheEngineDoesNotGoPastAChangeThatNoStoreKeeps) {
  auto full = std::make_shared<FullStore>(store);
  full->refusals = 20;
  auto spec = letters();
  spec.deadLetters = full;
  make({spec});
  run();
  target().poison("2", kBad);
  db->insert("people", {2, "x", 1});
  db->insert("people", {3, "x", 1});
  run();
  EXPECT_EQ(full->refusals, 0);
  EXPECT_EQ(store->count("replica"), 1u);
  EXPECT_EQ(target().rows("people").size(), 2u);
}

TEST_F(Failure, AFencedPipelineEndsAtOnceWhateverItsPolicy) {
  make({letters()});
  run();
  target().failNext(SinkCall::commit, Error(ErrorCode::fenced, Retry::afterOperator, "another writer took over"), 100);
  db->insert("people", {2, "x", 1});
  run();
  EXPECT_EQ(status().state, PipelineState::isolated);
  EXPECT_EQ(observer->count("retry"), 0u);
  EXPECT_EQ(store->count("replica"), 0u);
}

TEST_F(Failure, StopSourceStopsItsPipelinesAndRetryIsolatedBringsThemBack) {
  auto bad = pipeline("bad");
  bad.onFailure = FailurePolicy::stopSource;
  make({pipeline("good"), bad});
  run();
  target("bad").poison("2", kBad);
  db->insert("people", {2, "x", 1});
  run();
  const auto rows = target("good").rows("people").size();
  db->insert("people", {3, "x", 1});
  run();
  EXPECT_EQ(target("good").rows("people").size(), rows);
  EXPECT_THROW(engine->awaitReady(0ms), Error);
  target("bad").cure();
  engine->retryIsolated("bad");
  run();
  expectSame("people", "good");
  expectSame("people", "bad");
}

TEST_F(Failure, StopAllStopsEverySource) {
  auto bad = pipeline("bad");
  bad.onFailure = FailurePolicy::stopAll;
  auto other = pipeline("other");
  other.source = "second";
  source("second");
  auto given = options({bad, other});
  given.sources.push_back({.name = "second", .source = sources_["second"]});
  makeWith(given);
  run();
  target("bad").poison("2", kBad);
  db->insert("people", {2, "x", 1});
  run();
  const auto rows = target("other").rows("people").size();
  db->insert("people", {3, "x", 1});
  run();
  EXPECT_EQ(target("other").rows("people").size(), rows);
  EXPECT_TRUE(engine->status().sources[1].lastError.has_value());
}

TEST_F(Failure, ASourceThatGaveUpIsTriedAgainWithItsOwnBackOff) {
  make({pipeline()});
  run();
  source().failAtEvent(1, kBusy);
  db->insert("people", {2, "x", 1});
  db->insert("people", {3, "x", 1});
  run();
  expectSame();
  EXPECT_GE(observer->count("warning shop"), 1u);
}

TEST_F(Failure, ALostPlaceIsReadAnewWithoutEmptyingTheTarget) {
  sourceOptions.forgetsAcknowledged = true;
  make({pipeline()});
  run();
  crash();
  db->insert("people", {2, "x", 1});
  db->erase("people", {1});
  db->loseLog();
  db->insert("people", {3, "x", 1});
  make({pipeline()});
  run();
  expectSame();
  EXPECT_EQ(observer->count("positionLost"), 1u);
  EXPECT_EQ(observer->count("baselineBegin"), 2u);
}

TEST_F(Failure, ALostPlaceMayStopTheSourceInstead) {
  const auto stopping = [&] {
    auto given = options({pipeline()});
    given.sources[0].onPositionLost = PositionLostPolicy::stop;
    return given;
  };
  makeWith(stopping());
  run();
  crash();
  db->insert("people", {2, "x", 1});
  db->loseLog();
  makeWith(stopping());
  run();
  EXPECT_EQ(observer->count("positionLost"), 1u);
  EXPECT_EQ(observer->count("baselineBegin"), 1u);
  EXPECT_THROW(engine->awaitReady(0ms), Error);
}

TEST_F(Failure, ATableThatCannotBeReadFailsTheStartAndSaysWhy) {
  db->setIssue("people", ErrorCode::noReplicaIdentity, true);
  make({pipeline()});
  try {
    engine->start();
    FAIL() << "it started";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::noReplicaIdentity);
    EXPECT_NE(e.message().find("people"), std::string::npos);
  }
  EXPECT_EQ(observer->count("issue shop people"), 1u);
}

}  // namespace
}  // namespace tidegate
