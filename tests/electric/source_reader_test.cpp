/// One shape's reader, answer by answer.
#include <gtest/gtest.h>

#include "electric/source_reader_rig.h"

namespace tidegate::electric::test {
namespace {

using namespace std::chrono_literals;
using ::testing::Test;

const std::string kRow = row("insert", R"({"id":"1","name":"a","price":"1.50"})");

TEST(ShapeReader, ReadsTheSnapshotPieceByPieceAndThenWaitsForNews) {
  ReaderRig rig;
  ReadRequest first = rig.ask();
  EXPECT_EQ(first.kind, RequestKind::page);
  EXPECT_TRUE(first.from.isStart());
  EXPECT_FALSE(rig.reader().nextRequest(rig.clock.steadyNow())) << "one request at a time";
  rig.answer(first, "[" + kRow + "]", "0_0");
  const ReadRequest second = rig.ask();
  EXPECT_EQ(toText(second.from), "0_0");
  EXPECT_EQ(second.handle, "h1");
  rig.answer(second, "[" + kRow + "]", "0_inf");
  rig.answer(rig.ask(), "[" + upToDate(100) + "]", "0_inf", {{"electric-cursor", "77"}});
  EXPECT_EQ(rig.ops(), "baselineBegin read read baselineEnd ");
  const ReadRequest live = rig.ask();
  EXPECT_EQ(live.kind, RequestKind::poll);
  EXPECT_EQ(live.cursor, "77");
  EXPECT_EQ(rig.reader().seenLsn(), 100);
}

TEST(ShapeReader, AnUpdateLeavesWhatWasNotSentAsItWas) {
  ReaderRig rig;
  rig.becomeLive();
  rig.answer(rig.ask(), "[" + row("update", R"({"id":"1","price":"2.00"})", placed(110, 0)) + "," + upToDate(110) + "]",
             "110_0");
  const auto items = rig.drain();
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0].op, ChangeOp::update);
  EXPECT_EQ(items[0].unchanged, std::vector<std::uint32_t>{1}) << "the name was not sent";
  EXPECT_TRUE(items[0].after[2] == Value(Decimal{"2.00"}));
  EXPECT_TRUE(items[0].before.empty());
  EXPECT_EQ(items[0].lsn, 110);
  EXPECT_EQ(items[0].transactionId, 115u) << "txids are kept";
  EXPECT_EQ(toText(items[0].place.at), "110_0") << "and the place, where a request goes on";
}

TEST(ShapeReader, WholeRowsComeWithWhatTheyWereBefore) {
  ReaderRig rig({.table = "items", .replica = ReplicaMode::full});
  rig.becomeLive();
  const std::string update = R"({"key":"k","value":{"id":"1","name":"b","price":null},"old_value":{"name":"a"},)"
                             R"("headers":{"operation":"update","lsn":"110","op_position":0}})";
  rig.answer(rig.ask(), "[" + update + "]", "110_0");
  const auto items = rig.drain();
  ASSERT_EQ(items.size(), 1u);
  EXPECT_TRUE(items[0].before == (std::vector<Value>{std::int64_t{1}, "a", Null{}}));
  EXPECT_TRUE(items[0].after == (std::vector<Value>{std::int64_t{1}, "b", Null{}}));
  EXPECT_TRUE(items[0].unchanged.empty() && items[0].beforeAbsent.empty());
}

TEST(ShapeReader, AChangedKeyIsAnEraseAndAnInsertOfOneTransaction) {
  ReaderRig rig;
  rig.becomeLive();
  rig.answer(rig.ask(),
             "[" + row("delete", R"({"id":"1"})", placed(110, 0, false) + R"(,"key_change_to":"k2")") + "," +
                 row("insert", R"({"id":"2","name":"a","price":null})", placed(110, 1) + R"(,"key_change_from":"k1")") +
                 "]",
             "110_1");
  const auto items = rig.drain();
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(items[0].op, ChangeOp::erase);
  EXPECT_EQ(items[0].beforeAbsent, (std::vector<std::uint32_t>{1, 2})) << "the key alone was sent";
  EXPECT_EQ(items[1].op, ChangeOp::insert);
  EXPECT_EQ(items[0].lsn, items[1].lsn);
  EXPECT_FALSE(items[0].last);
  EXPECT_TRUE(items[1].last);
}

TEST(ShapeReader, ARefetchIsABaselineOfTheNextLog) {
  for (const std::string how : {"status", "status without a handle", "message", "another handle", "event"}) {
    SCOPED_TRACE(how);
    ReaderRig rig({.table = "items"}, {.live = how == "event" ? LiveMode::events : LiveMode::longPoll});
    rig.becomeLive();
    const ReadRequest live = rig.ask();
    const std::string refetch = R"({"headers":{"control":"must-refetch"}})";
    if (how == "status") {
      rig.refuse(live, 409, "[" + refetch + "]", {{"electric-handle", "h2"}});
    } else if (how == "status without a handle") {
      rig.refuse(live, 409, "[" + refetch + "]");
    } else if (how == "message") {
      rig.answer(live, "[" + refetch + "]", "100_0");
    } else if (how == "another handle") {
      rig.answer(live, "[" + upToDate(120) + "]", "0_inf", {{"electric-handle", "h2"}});
    } else {
      ASSERT_TRUE(rig.reader().onEventsBegin(
          live, {{"content-type", "text/event-stream"}, {"electric-handle", "h1"}, {"electric-offset", "0_inf"}}));
      rig.reader().onEvent(live, refetch);
    }
    EXPECT_EQ(rig.warnings.size(), 1u) << "an operator is told";
    const ReadRequest again = rig.ask();
    EXPECT_TRUE(again.from.isStart());
    EXPECT_EQ(again.expired, "h1") << "caches must not answer with the old log";
    EXPECT_NE(again.cacheKey, 0u);
    EXPECT_EQ(again.handle, how == "status" || how == "another handle" ? "h2" : "");
    rig.handle = "h2";
    rig.answer(again, "[" + kRow + "]", "0_inf");
    rig.answer(rig.ask(), "[" + upToDate(130) + "]", "0_inf");
    const auto items = rig.drain();
    ASSERT_EQ(items.size(), 3u);
    EXPECT_EQ(items[0].op, ChangeOp::baselineBegin);
    EXPECT_EQ(items[2].op, ChangeOp::baselineEnd) << "what was not read by then is erased by whoever follows";
    EXPECT_EQ(items[2].place.handle, "h2");
    EXPECT_EQ(rig.failure(), nullptr) << rig.complaint();
  }
}

TEST(ShapeReader, ALateAnswerOfALogThatEndedIsNobodys) {
  ReaderRig rig;
  rig.becomeLive();
  const ReadRequest live = rig.ask();
  rig.newestLsn = 120;
  const ReadRequest probe = rig.reader().probe(rig.clock.steadyNow());
  rig.refuse(live, 409, "[]", {{"electric-handle", "h2"}});
  rig.answer(probe, "[" + row("insert", R"({"id":"9","name":"x","price":null})", placed(110, 0)) + "]", "110_0");
  EXPECT_EQ(rig.ops(), "");
  EXPECT_TRUE(rig.ask().from.isStart());
}

TEST(ShapeReader, AColumnThatCameWithTheNextLogIsTold) {
  ReaderRig rig;
  rig.becomeLive();
  rig.refuse(rig.ask(), 409, "[]", {{"electric-handle", "h2"}});
  rig.handle = "h2";
  rig.schema = kItemsSchema.substr(0, kItemsSchema.size() - 1) + R"(,"size":{"type":"int4"}})";
  rig.answer(rig.ask(), "[" + row("insert", R"({"id":"1","name":"a","price":null,"size":"7"})") + "]", "0_inf");
  const auto items = rig.drain();
  ASSERT_EQ(items.size(), 3u);
  EXPECT_EQ(items[0].op, ChangeOp::schemaChange);
  EXPECT_EQ(items[0].schemaChange->before->columns->size(), 3u);
  EXPECT_EQ(items[1].op, ChangeOp::baselineBegin);
  EXPECT_TRUE(comparePlaces(items[0].place, items[1].place) < 0);
  EXPECT_TRUE(items[2].after.at(3) == Value(std::int64_t{7}));
}

TEST(ShapeReader, ACacheThatAnswersWithAnEndedLogIsPassedBy) {
  ReaderRig rig;
  rig.becomeLive();
  rig.refuse(rig.ask(), 409, "[]", {{"electric-handle", "h2"}});
  std::uint64_t last = 0;
  for (int i = 0; i < 3; ++i) {
    const ReadRequest again = rig.ask();
    EXPECT_NE(again.cacheKey, last) << "each request is one that no cache has seen";
    last = again.cacheKey;
    rig.answer(again, "[" + kRow + "]", "0_inf");  // of h1 still
    EXPECT_EQ(rig.ops(), "");
  }
  EXPECT_EQ(rig.failure(), nullptr);
  rig.answer(rig.ask(), "[" + kRow + "]", "0_inf");
  ASSERT_NE(rig.reader().failing(), nullptr);
  EXPECT_NE(rig.complaint().find("cache"), std::string::npos) << rig.complaint();
  EXPECT_EQ(rig.reader().failing()->retry(), Retry::later);
}

TEST(ShapeReader, ABaselineDoesNotEndWithWhatACacheRemembers) {
  ReaderRig rig;
  rig.answer(rig.ask(), "[" + kRow + "]", "0_inf", {{"age", "30"}});
  rig.answer(rig.ask(), "[" + upToDate(100) + "]", "0_inf", {{"age", "30"}});
  EXPECT_EQ(rig.ops(), "baselineBegin read ");
  const ReadRequest again = rig.ask();
  EXPECT_EQ(again.kind, RequestKind::page);
  EXPECT_NE(again.cacheKey, 0u);
  rig.answer(again, "[" + row("delete", R"({"id":"1"})", placed(110, 0)) + "," + upToDate(110) + "]", "110_0",
             {{"age", "0"}});
  EXPECT_EQ(rig.ops(), "erase baselineEnd ");
}

TEST(ShapeReader, LogsThatEndAgainAndAgainAreAskedForWithPauses) {
  ReaderRig rig;
  for (int i = 0; i < 3; ++i) rig.refuse(rig.ask(), 409, "[]", {{"electric-handle", "h" + std::to_string(i)}});
  EXPECT_EQ(rig.failure(), nullptr);
  rig.refuse(rig.ask(), 409, "[]", {{"electric-handle", "h9"}});
  ASSERT_NE(rig.reader().failing(), nullptr);
  EXPECT_FALSE(rig.reader().nextRequest(rig.clock.steadyNow()));
  EXPECT_GT(*rig.reader().due(), rig.clock.steadyNow());
}

TEST(ShapeReader, WhatIsBehindTheServersLogIsALostPlace) {
  ReaderRig rig;
  rig.becomeLive();
  rig.refuse(rig.ask(), 400, R"({"message":"Invalid request","errors":{"offset":["out of bounds for this shape"]}})");
  ASSERT_NE(rig.reader().fatal(), nullptr);
  EXPECT_EQ(rig.reader().fatal()->code(), ErrorCode::positionLost);
}

TEST(ShapeReader, ALogThatEndedWhileNobodyReadIsALostPlaceUnlessNobodyKnowsMore) {
  for (const bool mayRefetch : {false, true}) {
    ReaderRig rig;
    rig.reader().start({.handle = "h0", .epoch = 5, .at = {90, 2}}, nullptr, mayRefetch);
    const ReadRequest request = rig.ask();
    EXPECT_EQ(toText(request.from), "90_2");
    rig.refuse(request, 409, "[]", {{"electric-handle", "h1"}});
    if (mayRefetch) {
      EXPECT_TRUE(rig.ask().from.isStart());
    } else {
      ASSERT_NE(rig.reader().fatal(), nullptr);
      EXPECT_EQ(rig.reader().fatal()->code(), ErrorCode::positionLost);
    }
  }
}

TEST(ShapeReader, RowsWithoutAPlaceOfTheirOwnAreCountedFromTheRequests) {
  ReaderRig rig;
  rig.becomeLive();
  const std::string one = row("insert", R"({"id":"5","name":"x","price":null})");
  const std::string two = row("insert", R"({"id":"6","name":"y","price":null})");
  rig.answer(rig.ask(), "[" + one + "," + two + "," + upToDate(110) + "]", "110_0");
  const auto items = rig.drain();
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(toText(items[1].place.at), "0_inf");
  EXPECT_EQ(items[1].place.index, 2u);
  EXPECT_EQ(items[1].lsn, -1) << "it stands alone";

  // Another process goes on after the first of them: the second alone is told.
  ReaderRig later;
  later.reader().start(items[0].place, nullptr, false);
  later.answer(later.ask(), "[" + one + "," + two + "," + upToDate(110) + "]", "110_0");
  const auto rest = later.drain();
  ASSERT_EQ(rest.size(), 1u);
  EXPECT_TRUE(rest[0].place == items[1].place);
  // Where the log is another than before, that is seen.
  ReaderRig other;
  other.reader().start(items[0].place, nullptr, false);
  other.answer(other.ask(), "[" + two + "," + upToDate(110) + "]", "110_0");
  ASSERT_NE(other.reader().fatal(), nullptr);
  EXPECT_EQ(other.reader().fatal()->code(), ErrorCode::positionLost);
  ReaderRig shorter;
  shorter.reader().start(items[1].place, nullptr, false);
  shorter.answer(shorter.ask(), "[" + one + "," + upToDate(110) + "]", "110_0");
  ASSERT_NE(shorter.reader().fatal(), nullptr);
}

TEST(ShapeReader, WhatAProbeBroughtIsNotToldAgainByThePollBesideIt) {
  ReaderRig rig;
  rig.becomeLive();
  const ReadRequest poll = rig.ask();
  rig.newestLsn = 110;
  const ReadRequest probe = rig.reader().probe(rig.clock.steadyNow());
  EXPECT_NE(probe.cacheKey, 0u);
  const std::string news = row("update", R"({"id":"1","price":"3"})", placed(110, 0));
  rig.answer(probe, "[" + news + "," + upToDate(110) + "]", "110_0");
  rig.answer(poll, "[" + news + "," + upToDate(110) + "]", "110_0");
  EXPECT_EQ(rig.ops(), "update ");
}

TEST(ShapeReader, AnAnswerWithoutPlacesThatAnotherOvertookIsAskedForAgain) {
  ReaderRig rig;
  rig.becomeLive();
  const ReadRequest poll = rig.ask();
  rig.newestLsn = 110;
  const ReadRequest probe = rig.reader().probe(rig.clock.steadyNow());
  rig.answer(probe, "[" + row("update", R"({"id":"1","price":"3"})", placed(110, 0)) + "," + upToDate(110) + "]",
             "110_0");
  EXPECT_EQ(rig.ops(), "update ");
  const std::string compacted = row("update", R"({"id":"1","price":"4"})");
  rig.answer(poll, "[" + compacted + "," + upToDate(120) + "]", "120_0");
  EXPECT_EQ(rig.ops(), "") << "which of it is new cannot be told";
  const ReadRequest again = rig.ask();
  EXPECT_EQ(toText(again.from), "110_0") << "and nothing of it is passed over";
  rig.answer(again, "[" + compacted + "," + upToDate(120) + "]", "120_0");
  EXPECT_EQ(rig.ops(), "update ");
}

}  // namespace
}  // namespace tidegate::electric::test
