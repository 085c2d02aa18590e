/// What one shape's reader makes of refusals, malformed answers and broken streams.
#include <gtest/gtest.h>

#include "electric/source_reader_rig.h"

namespace tidegate::electric::test {
namespace {

using namespace std::chrono_literals;

TEST(ShapeReaderFailure, EachRefusalSaysWhatToDo) {
  struct Case {
    int status;
    std::string body;
    ErrorCode code;
    Retry retry;
  };
  const Case cases[] = {
      {400, R"({"errors":{"table":["Table \"items\" does not exist"]}})", ErrorCode::tableNotFound,
       Retry::afterOperator},
      {400, R"({"errors":{"where":["syntax error"]}})", ErrorCode::queryFailed, Retry::afterOperator},
      {401, "", ErrorCode::authenticationFailed, Retry::afterOperator},
      {403, "no", ErrorCode::permissionDenied, Retry::afterOperator},
      {404, "", ErrorCode::tableNotFound, Retry::afterOperator},
      {410, "", ErrorCode::tableNotFound, Retry::afterOperator},
      {301, "", ErrorCode::invalidConfig, Retry::afterOperator},
      {408, "", ErrorCode::connectionFailed, Retry::later},
      {429, "slow down", ErrorCode::connectionFailed, Retry::later},
      {500, "oops", ErrorCode::connectionFailed, Retry::later},
      {503, "{\"message\":\"starting\"}", ErrorCode::connectionFailed, Retry::later},
  };
  for (const Case& c : cases) {
    ReaderRig rig;
    rig.refuse(rig.ask(), c.status, c.body);
    ASSERT_NE(rig.failure(), nullptr) << c.status;
    EXPECT_EQ(rig.failure()->code(), c.code) << c.status;
    EXPECT_EQ(rig.failure()->retry(), c.retry) << c.status;
    EXPECT_NE(rig.complaint().find("shape \"items\""), std::string::npos) << rig.complaint();
    EXPECT_NE(rig.complaint().find(std::to_string(c.status)), std::string::npos) << rig.complaint();
    EXPECT_EQ(rig.reader().fatal() != nullptr, c.retry != Retry::later) << c.status;
  }
}

TEST(ShapeReaderFailure, CredentialsThatMayBeRenewedAreTriedAgain) {
  ReaderRig rig({.table = "items"}, {.auth = [] { return http::Headers{}; }});
  rig.refuse(rig.ask(), 401, "");
  EXPECT_NE(rig.reader().failing(), nullptr);
  EXPECT_EQ(rig.reader().fatal(), nullptr);
}

TEST(ShapeReaderFailure, WhatAServerSaysIsShownWithoutItsSecrets) {
  ReaderRig rig;
  rig.refuse(rig.ask(), 403, "password=hunter2 is\nwrong");
  EXPECT_EQ(rig.complaint().find("hunter2"), std::string::npos) << rig.complaint();
  EXPECT_EQ(rig.complaint().find('\n'), std::string::npos);
}

TEST(ShapeReaderFailure, WaitsAsLongAsTheServerAsks) {
  ReaderRig rig;
  rig.refuse(rig.ask(), 429, "", {{"retry-after", "7"}});
  EXPECT_GE(*rig.reader().due(), rig.clock.steadyNow() + 7s);
  EXPECT_FALSE(rig.reader().nextRequest(rig.clock.steadyNow()));
  rig.clock.advance(7s);
  EXPECT_TRUE(rig.reader().nextRequest(rig.clock.steadyNow()));
  ReaderRig absurd;
  absurd.refuse(absurd.ask(), 503, "", {{"retry-after", "4000000000"}});
  EXPECT_LE(*absurd.reader().due(), absurd.clock.steadyNow() + 5min) << "but no longer than makes sense";
}

TEST(ShapeReaderFailure, GivesUpWhenTheRetriesAreUsedUp) {
  ReaderRig rig({.table = "items"}, {.backoff = {.maxRetries = 2}});
  for (int i = 0; i < 3; ++i) {
    rig.clock.advance(1min);
    rig.reader().onFailure(rig.ask(), Error(ErrorCode::connectionFailed, Retry::later, "refused"));
  }
  ASSERT_NE(rig.reader().fatal(), nullptr);
  EXPECT_NE(rig.complaint().find("gave up after 3 tries"), std::string::npos) << rig.complaint();
}

TEST(ShapeReaderFailure, AMalformedAnswerIsNamedAndTakenInNoPart) {
  const std::string good = row("insert", R"({"id":"1","name":"a","price":"1"})");
  struct Case {
    std::string body, says;
    http::Headers headers{};
  };
  const Case cases[] = {
      {"<html>", "JSON"},
      {"[" + good + ",", "JSON"},
      {"[" + good + ",7]", "[1]"},
      {R"([{"headers":{}}])", "operation or a control"},
      {R"([{"headers":{"operation":"merge"},"value":{}}])", "insert, update or delete"},
      {"[" + good + "," + row("insert", R"({"id":"2","name":"a"})") + "]", "without column \"price\""},
      {"[" + row("insert", R"({"id":"2","name":"a","price":"1","extra":"x"})") + "]", "column \"extra\""},
      {"[" + row("insert", R"({"id":null,"name":"a","price":"1"})") + "]", "column \"id\" is null"},
      {"[" + row("insert", R"({"id":"2","name":["a"],"price":"1"})") + "]", "value.name"},
      {"[" + row("insert", R"({"id":"2","name":"a","price":"1"})", R"(,"lsn":"-5")") + "]", "lsn"},
      {"[]", "neither goes on nor ends", {{"electric-offset", "-1"}}},
      {"[" + good + "]", "electric-offset", {{"electric-offset", "tomorrow"}}},
      {"[]", "no electric-handle", {{"electric-handle", ""}}},
      {"[]", "electric-schema", {{"electric-schema", "[]"}}},
      {"[]", "type", {{"electric-schema", R"({"id":{}})"}}},
  };
  for (const Case& c : cases) {
    ReaderRig rig;
    rig.answer(rig.ask(), c.body, "0_inf", c.headers);
    ASSERT_NE(rig.reader().failing(), nullptr) << c.body;
    EXPECT_EQ(rig.reader().failing()->code(), ErrorCode::parseError) << c.body;
    EXPECT_NE(rig.complaint().find("shape \"items\""), std::string::npos) << rig.complaint();
    EXPECT_NE(rig.complaint().find(c.says), std::string::npos) << c.says << ": " << rig.complaint();
    const std::string told = rig.ops();
    EXPECT_EQ(told.find("read"), std::string::npos) << "all of a page or none: " << told;
    // The same page, whole, is taken as if nothing had been.
    rig.clock.advance(1min);
    rig.answer(rig.ask(), "[" + good + "]", "0_inf");
    EXPECT_EQ(rig.failure(), nullptr) << rig.complaint();
    EXPECT_NE((told + rig.ops()).find("baselineBegin read "), std::string::npos);
  }
}

TEST(ShapeReaderFailure, AConditionWithASubqueryIsRefusedInSoManyWords) {
  ReaderRig rig;
  rig.becomeLive();
  rig.answer(rig.ask(), R"([{"headers":{"event":"move-out","patterns":[{"pos":0,"value":"x"}]}}])", "110_0");
  ASSERT_NE(rig.reader().fatal(), nullptr);
  EXPECT_EQ(rig.reader().fatal()->code(), ErrorCode::typeUnsupported);
}

TEST(ShapeReaderFailure, ServersThatDoNotLetRequestsWaitAreNotAskedWithoutAPause) {
  ReaderRig rig;
  rig.becomeLive();
  int asked = 0;
  for (; asked < 100; ++asked) {
    const auto request = rig.reader().nextRequest(rig.clock.steadyNow());
    if (!request) break;
    rig.answer(*request, "[" + upToDate(100) + "]", "0_inf");
  }
  EXPECT_LT(asked, 100);
  EXPECT_EQ(rig.failure(), nullptr) << "it is no failure";
  EXPECT_GT(*rig.reader().due(), rig.clock.steadyNow());
}

TEST(ShapeReaderFailure, EventStreamsThatDoNotWorkGiveWayToLongPolls) {
  const SourceOptions events{.live = LiveMode::events};
  ReaderRig cut({.table = "items"}, events);
  cut.becomeLive();
  for (int i = 0; i < 3; ++i) {
    const ReadRequest stream = cut.ask();
    ASSERT_EQ(stream.kind, RequestKind::events);
    cut.reader().onEventsBegin(stream, {{"content-type", "text/event-stream"}, {"electric-handle", "h1"}});
    cut.reader().onEventsEnd(stream);
    cut.clock.advance(1s);
  }
  EXPECT_EQ(cut.ask().kind, RequestKind::poll);
  EXPECT_EQ(cut.warnings.size(), 1u);

  ReaderRig none({.table = "items"}, events);
  none.becomeLive();
  const ReadRequest stream = none.ask();
  EXPECT_FALSE(none.reader().onEventsBegin(stream, {{"content-type", "application/json"}, {"electric-handle", "h1"}}));
  none.answer(stream, "[" + row("delete", R"({"id":"1"})", placed(110, 0)) + "," + upToDate(110) + "]", "110_0");
  EXPECT_EQ(none.ops(), "erase ") << "what came instead is a long poll's answer";
  EXPECT_EQ(none.ask().kind, RequestKind::poll);

  ReaderRig wrong({.table = "items"}, events);
  wrong.becomeLive();
  const ReadRequest bad = wrong.ask();
  wrong.reader().onEventsBegin(bad, {{"content-type", "text/event-stream"}, {"electric-handle", "h1"}});
  wrong.reader().onEvent(bad, row("delete", R"({"id":"1"})", placed(110, 0)));
  wrong.reader().onEvent(bad, row("delete", R"({"id":"2"})", placed(110, 0)));
  ASSERT_NE(wrong.reader().failing(), nullptr) << "a place that is past";
  EXPECT_EQ(wrong.ops(), "erase ");
}

}  // namespace
}  // namespace tidegate::electric::test
