/// The idempotent producer's machine: batches, order, and what each answer means.
#include <gtest/gtest.h>

#include "durable_streams/core_rig.h"

namespace tidegate::durable_streams {
namespace {

using detail::ProducerCore;
using detail::ProducerSend;
using std::chrono::milliseconds;
using namespace durable_streams::test;
using tidegate::test::ManualClock;

ProducerOptions eager(std::size_t inFlight = 5, Claim claim = Claim::never) {
  return {
      .id = "p", .epoch = 0, .claim = claim, .maxBatchBytes = 1, .maxInFlight = inFlight, .linger = milliseconds(0)};
}

struct ProducerMachine : ::testing::Test {
  ManualClock clock;
  Clock::Micros now() const { return clock.steadyNow(); }
  std::vector<ProducerSend> due(ProducerCore& core) {
    std::vector<ProducerSend> all;
    while (auto send = core.nextSend(now())) all.push_back(*send);
    return all;
  }
  /// Adds and has the first batch acknowledged, so that pipelining has begun.
  void establish(ProducerCore& core) {
    core.add("first", now());
    const auto sends = due(core);
    ASSERT_EQ(sends.size(), 1u);
    core.answered(sends[0].batch, answerOf(200), now());
  }
};

TEST_F(ProducerMachine, SendsABatchOnceItIsFullOrHasWaited) {
  ProducerCore core = makeCore({.id = "p", .maxBatchBytes = 4, .linger = milliseconds(5)}, clock);
  core.add("ab", now());
  EXPECT_TRUE(due(core).empty());
  EXPECT_EQ(core.wakeAt(), now() + milliseconds(5));
  core.add("cd", now());
  const auto full = due(core);
  ASSERT_EQ(full.size(), 1u);
  EXPECT_EQ(full[0].body, "abcd");
  core.answered(full[0].batch, answerOf(200), now());
  core.add("e", now());
  clock.advance(milliseconds(5));
  ASSERT_EQ(due(core).size(), 1u);
}

TEST_F(ProducerMachine, KeepsJsonMessagesApart) {
  ProducerCore core = makeCore({.id = "p", .linger = milliseconds(0)}, clock);
  core.setJson(true);
  core.setFlushing(true);
  core.add("[1,2]", now());
  core.add("{\"a\": 1}", now());
  const auto sends = due(core);
  ASSERT_EQ(sends.size(), 1u);
  EXPECT_EQ(sends[0].body, "[[1,2],{\"a\": 1}]");
  EXPECT_EQ(core.unacknowledged(), (std::vector<std::string>{"[1,2]", "{\"a\": 1}"}));
}

TEST_F(ProducerMachine, BoundsBatchesByMessagesAndTheQueueByBytes) {
  ProducerCore core =
      makeCore({.id = "p", .maxBatchMessages = 2, .linger = milliseconds(0), .maxQueuedBytes = 3}, clock);
  core.add("a", now());
  core.add("b", now());
  core.add("c", now());
  EXPECT_FALSE(core.hasRoomFor(1));
  const auto first = due(core);
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].body, "ab");
  core.answered(first[0].batch, answerOf(200), now());
  EXPECT_TRUE(core.hasRoomFor(2));
  EXPECT_FALSE(core.hasRoomFor(3));
}

TEST_F(ProducerMachine, SendsOneBatchAloneUntilItsEpochIsKnown) {
  ProducerCore core = makeCore(eager(), clock);
  for (const char* m : {"a", "b", "c"}) core.add(m, now());
  const auto first = due(core);
  ASSERT_EQ(first.size(), 1u);
  core.answered(first[0].batch, answerOf(200), now());
  const auto rest = due(core);
  ASSERT_EQ(rest.size(), 2u);
  EXPECT_EQ(rest[0].seq, 1u);
  EXPECT_EQ(rest[1].seq, 2u);
}

TEST_F(ProducerMachine, KeepsToItsBoundOfBatchesUnderWay) {
  ProducerCore core = makeCore(eager(2), clock);
  establish(core);
  for (const char* m : {"a", "b", "c"}) core.add(m, now());
  EXPECT_EQ(due(core).size(), 2u);
  EXPECT_EQ(core.inFlight(), 2u);
}

TEST_F(ProducerMachine, TellsReceiptsInOrderWhateverTheOrderOfAnswers) {
  ProducerCore core = makeCore(eager(), clock);
  establish(core);
  core.takeReceipts();
  core.add("a", now());
  core.add("b", now());
  const auto sends = due(core);
  core.answered(sends[1].batch, answerOf(200, {{"stream-next-offset", "3"}}), now());
  EXPECT_TRUE(core.takeReceipts().empty());
  core.answered(sends[0].batch, answerOf(200, {{"stream-next-offset", "2"}}), now());
  const auto receipts = core.takeReceipts();
  ASSERT_EQ(receipts.size(), 2u);
  EXPECT_EQ(receipts[0].first, 1u);
  EXPECT_EQ(receipts[0].offset, "2");
  EXPECT_EQ(receipts[1].first, 2u);
  EXPECT_TRUE(core.idle());
}

TEST_F(ProducerMachine, SendsWhatOvertookAgainBehindWhatItOvertook) {
  ProducerCore core = makeCore(eager(), clock);
  establish(core);
  core.add("a", now());
  core.add("b", now());
  const auto sends = due(core);
  core.answered(sends[1].batch, answerOf(409, {{"producer-expected-seq", "1"}, {"producer-received-seq", "2"}}), now());
  EXPECT_TRUE(due(core).empty()) << "not before the first is there";
  core.answered(sends[0].batch, answerOf(200), now());
  const auto again = due(core);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].seq, 2u);
  EXPECT_EQ(core.finalFailure(), std::nullopt);
}

TEST_F(ProducerMachine, HoldsBackWhatFollowsABatchThatMustBeSentAgain) {
  ProducerCore core = makeCore(eager(), clock);
  establish(core);
  core.add("a", now());
  const auto first = due(core);
  core.failed(first[0].batch, broken(true), now());
  core.add("b", now());
  EXPECT_TRUE(due(core).empty());
  ASSERT_TRUE(core.wakeAt());
  clock.advance(*core.wakeAt() - now());
  const auto sends = due(core);
  ASSERT_EQ(sends.size(), 2u);
  EXPECT_EQ(sends[0].seq, 1u);
  EXPECT_EQ(sends[1].seq, 2u);
}

TEST_F(ProducerMachine, TakesADuplicateOfItsOwnRepetitionForSuccess) {
  ProducerCore core = makeCore(eager(), clock);
  core.add("a", now());
  core.failed(due(core)[0].batch, broken(true), now());
  clock.advance(std::chrono::seconds(1));
  const auto again = due(core);
  ASSERT_EQ(again.size(), 1u);
  core.answered(again[0].batch, answerOf(204), now());
  EXPECT_TRUE(core.idle());
  EXPECT_EQ(core.stats().duplicates, 1u);
}

TEST_F(ProducerMachine, RefusesWhatAnotherLifeWroteUnderItsSequence) {
  ProducerCore core = makeCore(eager(), clock);
  core.add("a", now());
  core.answered(due(core)[0].batch, answerOf(204, {{"producer-seq", "9"}}), now());
  ASSERT_TRUE(core.finalFailure());
  EXPECT_EQ(core.finalFailure()->code(), ErrorCode::fenced);
  EXPECT_EQ(core.unacknowledged(), std::vector<std::string>{"a"});
}

TEST_F(ProducerMachine, AcceptsWhatAnotherLifeWroteWhereAllWriteTheSame) {
  ProducerOptions options = eager();
  options.acceptForeignDuplicates = true;
  ProducerCore core = makeCore(options, clock);
  core.add("a", now());
  core.answered(due(core)[0].batch, answerOf(204, {{"producer-seq", "9"}}), now());
  EXPECT_TRUE(core.idle());
  EXPECT_TRUE(core.takeReceipts().at(0).duplicate);
}

TEST_F(ProducerMachine, ClaimsTheNextEpochWhereItsOwnIsStaleAtItsStart) {
  ProducerCore core = makeCore(eager(5, Claim::first), clock);
  core.add("a", now());
  core.add("b", now());
  core.answered(due(core)[0].batch, answerOf(403, {{"producer-epoch", "5"}}), now());
  EXPECT_GE(core.epoch(), 6u);
  const auto first = due(core);
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].epoch, core.epoch());
  EXPECT_EQ(first[0].seq, 0u);
  core.answered(first[0].batch, answerOf(200), now());
  const auto second = due(core);
  EXPECT_EQ(second.at(0).seq, 1u);
  EXPECT_EQ(second.at(0).body, "b");
}

TEST_F(ProducerMachine, ClaimsWhereAnotherLifeUsedTheSameEpoch) {
  ProducerCore core = makeCore(eager(5, Claim::first), clock);
  core.add("a", now());
  core.answered(due(core)[0].batch, answerOf(204, {{"producer-epoch", "0"}, {"producer-seq", "3"}}), now());
  EXPECT_GE(core.epoch(), 1u);
  EXPECT_EQ(due(core).at(0).seq, 0u);
}

TEST_F(ProducerMachine, TakesAnEpochFromTheClockWhereNoneIsGiven) {
  ProducerCore core = makeCore({.id = "p"}, clock);
  EXPECT_EQ(core.epoch(), static_cast<std::uint64_t>(clock.wallNow().count()));
  core.add("a", now());
  core.setFlushing(true);
  core.answered(due(core).at(0).batch, answerOf(403, {{"producer-epoch", "9000000000000000"}}), now());
  EXPECT_GT(core.epoch(), 9000000000000000u) << "the clock of an earlier life was ahead";
  EXPECT_EQ(makeCore({.id = "p", .claim = Claim::never}, clock).epoch(), 0u);
  EXPECT_EQ(makeCore({.id = "p", .epoch = 7}, clock).epoch(), 7u);
}

TEST_F(ProducerMachine, YieldsToWhoeverTookOverAfterItsStart) {
  ProducerCore core = makeCore(eager(5, Claim::first), clock);
  establish(core);
  core.add("a", now());
  core.answered(due(core)[0].batch, answerOf(403, {{"producer-epoch", "1"}}), now());
  ASSERT_TRUE(core.finalFailure());
  EXPECT_EQ(core.finalFailure()->failure(), StreamFailure::staleEpoch);
  EXPECT_EQ(core.finalFailure()->retry(), Retry::never);
  EXPECT_TRUE(due(core).empty());
}

TEST_F(ProducerMachine, TakesItsIdBackWhereToldTo) {
  ProducerCore core = makeCore(eager(5, Claim::always), clock);
  establish(core);
  core.add("a", now());
  core.add("b", now());
  const auto sends = due(core);
  core.answered(sends[1].batch, answerOf(403, {{"producer-epoch", "4"}}), now());
  EXPECT_TRUE(due(core).empty()) << "not while anything is under way";
  core.answered(sends[0].batch, answerOf(200), now());
  const auto again = due(core);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_GE(again[0].epoch, 5u);
  EXPECT_EQ(again[0].seq, 0u);
  EXPECT_EQ(again[0].body, "b");
}

TEST_F(ProducerMachine, NeverClaimsWhileABatchMayHaveBeenAppended) {
  ProducerCore core = makeCore(eager(5, Claim::always), clock);
  establish(core);
  core.add("a", now());
  core.failed(due(core)[0].batch, broken(true), now());
  clock.advance(std::chrono::seconds(1));
  core.answered(due(core).at(0).batch, answerOf(403, {{"producer-epoch", "4"}}), now());
  ASSERT_TRUE(core.finalFailure());
  EXPECT_EQ(core.finalFailure()->retry(), Retry::outcomeUnknown);
}

TEST_F(ProducerMachine, SaysThatAFencedBatchMayBeThereWhereItsAnswerWasLost) {
  ProducerCore core = makeCore(eager(), clock);
  establish(core);
  core.add("a", now());
  core.failed(due(core)[0].batch, broken(true), now());
  clock.advance(std::chrono::seconds(1));
  core.answered(due(core).at(0).batch, answerOf(403, {{"producer-epoch", "1"}}), now());
  EXPECT_EQ(core.finalFailure()->retry(), Retry::outcomeUnknown);
}

TEST_F(ProducerMachine, EndsWhereTheServerForgotWhatItHadAcknowledged) {
  ProducerCore core = makeCore(eager(), clock);
  establish(core);
  core.add("a", now());
  core.answered(due(core)[0].batch, answerOf(409, {{"producer-expected-seq", "0"}, {"producer-received-seq", "1"}}),
                now());
  ASSERT_TRUE(core.finalFailure());
  EXPECT_EQ(core.finalFailure()->failure(), StreamFailure::producerGap);
}

TEST_F(ProducerMachine, EndsWhereTheStreamIsClosed) {
  ProducerCore core = makeCore(eager(), clock);
  core.add("a", now());
  core.answered(due(core)[0].batch, answerOf(409, {{"stream-closed", "true"}, {"stream-next-offset", "8"}}), now());
  ASSERT_TRUE(core.finalFailure());
  EXPECT_EQ(core.finalFailure()->failure(), StreamFailure::closed);
  EXPECT_EQ(core.finalFailure()->details().offset, "8");
}

TEST_F(ProducerMachine, TellsOnceThatRetriesAreUsedUpAndGoesOnWhenAsked) {
  ProducerCore core = makeCore(eager(), clock, 1);
  core.add("a", now());
  core.answered(due(core)[0].batch, answerOf(503), now());
  EXPECT_EQ(core.takeFailure(), std::nullopt);
  clock.advance(std::chrono::seconds(60));
  core.answered(due(core).at(0).batch, answerOf(503), now());
  const auto failure = core.takeFailure();
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->failure(), StreamFailure::unavailable);
  EXPECT_EQ(core.takeFailure(), std::nullopt);
  core.answered(due(core).at(0).batch, answerOf(200), now());
  EXPECT_TRUE(core.idle());
}

TEST_F(ProducerMachine, ObeysRetryAfter) {
  ProducerCore core = makeCore(eager(), clock);
  core.add("a", now());
  core.answered(due(core)[0].batch, answerOf(429, {{"retry-after", "7"}}), now());
  ASSERT_TRUE(core.wakeAt());
  EXPECT_GE(*core.wakeAt() - now(), std::chrono::seconds(7));
}

TEST_F(ProducerMachine, ClosesBehindEverythingElse) {
  ProducerCore core = makeCore(eager(), clock);
  establish(core);
  core.add("a", now());
  core.addClose("last");
  const auto before = due(core);
  ASSERT_EQ(before.size(), 1u);
  core.answered(before[0].batch, answerOf(200), now());
  const auto close = due(core);
  ASSERT_EQ(close.size(), 1u);
  EXPECT_TRUE(close[0].closes);
  EXPECT_EQ(close[0].body, "last");
  core.answered(close[0].batch, answerOf(204), now());
  EXPECT_TRUE(core.idle()) << "204 is what a close is answered with";
}

TEST_F(ProducerMachine, KeepsWhatWaitsForTheOperatorAndTriesAgain) {
  ProducerCore core = makeCore(eager(), clock);
  core.add("a", now());
  core.answered(due(core)[0].batch, answerOf(401), now());
  ASSERT_TRUE(core.takeFailure());
  EXPECT_EQ(core.finalFailure(), std::nullopt);
  EXPECT_EQ(due(core).size(), 1u);
}

TEST(ProducerOptions, AreRefusedWhereTheyCannotWork) {
  const auto refused = [](ProducerOptions options, const std::string& name) {
    try {
      options.validate();
      ADD_FAILURE() << name << " was accepted";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::invalidConfig);
      EXPECT_NE(e.message().find(name), std::string::npos) << e.message();
    }
  };
  refused({}, "id");
  refused({.id = "a\nb"}, "id");
  refused({.id = "p", .epoch = 1ULL << 53}, "epoch");
  refused({.id = "p", .maxBatchBytes = 0}, "maxBatchBytes");
  refused({.id = "p", .maxBatchBytes = static_cast<std::size_t>(-1)}, "maxBatchBytes");
  refused({.id = "p", .maxBatchMessages = 0}, "maxBatchMessages");
  refused({.id = "p", .maxInFlight = 0}, "maxInFlight");
  refused({.id = "p", .linger = milliseconds(-1)}, "linger");
  refused({.id = "p", .maxQueuedBytes = 0}, "maxQueuedBytes");
}

}  // namespace
}  // namespace tidegate::durable_streams
