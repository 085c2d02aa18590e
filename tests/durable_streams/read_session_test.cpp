/// The reader's machine, fed by hand.
#include "durable_streams/detail/read_session.h"

#include <gtest/gtest.h>

namespace tidegate::durable_streams {
namespace {

using detail::ReadSession;
using Mode = ReadSession::Mode;

constexpr const char* kUrl = "http://host/stream?a=b";

http::Response answer(std::string offset, std::string body, bool upToDate = true, bool closed = false,
                      std::string type = "text/plain") {
  http::Response response{.headers = {{"content-type", std::move(type)}}, .body = std::move(body)};
  if (!offset.empty()) response.headers.set("stream-next-offset", std::move(offset));
  if (upToDate) response.headers.set("Stream-Up-To-Date", "true");
  if (closed) response.headers.set("stream-closed", "TRUE");
  return response;
}

std::string offsetAsked(const ReadSession& session) { return session.want().query.at(0).second; }

StreamFailure failureOf(const std::function<void()>& act) {
  try {
    act();
  } catch (const StreamError& e) {
    EXPECT_FALSE(e.message().empty());
    return e.failure();
  }
  ADD_FAILURE() << "nothing was thrown";
  return StreamFailure::badRequest;
}

/// One that has caught up, at offset 01.
struct CaughtUp : ReadSession {
  explicit CaughtUp(Live how, std::string type = "text/plain") : ReadSession({.live = how}, kUrl) {
    answer(durable_streams::answer("01", "", true, false, std::move(type)));
    take();
  }
};

http::Response eventHead(bool base64 = false) {
  http::Response head{.headers = {{"content-type", "text/event-stream; charset=utf-8"}}};
  if (base64) head.headers.set("stream-sse-data-encoding", "base64");
  return head;
}

TEST(ReadSession, ReadsAnswerAfterAnswerUntilItIsUpToDate) {
  ReadSession session({}, kUrl);
  EXPECT_EQ(offsetAsked(session), "-1");
  session.answer(answer("01", "ab", false));
  EXPECT_EQ(offsetAsked(session), "01");
  EXPECT_FALSE(session.ended());
  session.answer(answer("02", "cd", true));
  EXPECT_TRUE(session.ended());
  EXPECT_EQ(session.take()->data, "ab");
  const auto last = session.take();
  EXPECT_EQ(last->data, "cd");
  EXPECT_EQ(last->nextOffset, "02");
  EXPECT_TRUE(last->upToDate);
  EXPECT_FALSE(last->closed);
  EXPECT_EQ(session.take(), std::nullopt);
}

TEST(ReadSession, GoesOnLiveWhereItIsUpToDate) {
  for (const Live how : {Live::sse, Live::automatic}) EXPECT_EQ(CaughtUp(how).mode(), Mode::events);
  CaughtUp session(Live::longPoll);
  EXPECT_EQ(session.mode(), Mode::longPoll);
  http::Response more = answer("02", "x");
  more.headers.set("stream-cursor", "77");
  session.answer(more);
  const auto want = session.want();
  EXPECT_EQ(want.query, (detail::Query{{"offset", "02"}, {"live", "long-poll"}, {"cursor", "77"}}));
  EXPECT_EQ(want.timeout.count(), 0);
}

TEST(ReadSession, EndsWhereTheStreamIsClosedAlsoWhenLive) {
  ReadSession session({.live = Live::sse}, kUrl);
  session.answer(answer("01", "last", true, true));
  EXPECT_TRUE(session.ended());
  EXPECT_TRUE(session.take()->closed);
}

TEST(ReadSession, TellsOnceThatItIsUpToDateAndNotForEachEmptyAnswer) {
  ReadSession session({.live = Live::longPoll}, kUrl);
  session.answer(answer("01", ""));
  EXPECT_TRUE(session.take()->upToDate);
  http::Response none = answer("01", "");
  none.status = 204;
  session.answer(none);
  EXPECT_FALSE(session.hasChunk());
}

TEST(ReadSession, StaysWhereItWasAfterAnAnswerThatIsNone) {
  ReadSession session({}, kUrl);
  const auto bad = [&](http::Response response) { return failureOf([&] { session.answer(std::move(response)); }); };
  EXPECT_EQ(bad(answer("", "ab")), StreamFailure::badAnswer) << "no offset";
  EXPECT_EQ(bad(answer("now", "ab")), StreamFailure::badAnswer) << "a sentinel";
  EXPECT_EQ(bad(answer("a=b", "ab")), StreamFailure::badAnswer);
  EXPECT_EQ(bad(answer("01", "[1,", true, false, "application/json")), StreamFailure::badAnswer);
  EXPECT_EQ(offsetAsked(session), "-1");
  EXPECT_FALSE(session.hasChunk());
  session.answer(answer("01", "[1]", true, false, "application/json; charset=utf-8"));
  const auto chunk = session.take();
  EXPECT_EQ(chunk->messages(), std::vector<std::string_view>{"1"});
}

TEST(ReadSession, RefusesAnOffsetThatWentBackOrStoodStillWithData) {
  ReadSession session({.offset = "05"}, kUrl);
  EXPECT_EQ(failureOf([&] { session.answer(answer("04", "x")); }), StreamFailure::gone);
  EXPECT_EQ(failureOf([&] { session.answer(answer("05", "x")); }), StreamFailure::badAnswer);
  EXPECT_FALSE(session.hasChunk());
}

TEST(ReadSession, TakesAnEmptyAnswerWithoutProgressForTheEnd) {
  ReadSession session({.offset = "05"}, kUrl);
  session.answer(answer("05", "", false));
  EXPECT_TRUE(session.ended());
}

TEST(ReadSession, NamesRefusalsByWhatTheyMean) {
  const auto refusalOf = [](int status, http::Headers headers = {}) {
    ReadSession session({}, kUrl);
    return failureOf([&] { session.answer({.status = status, .headers = headers, .body = "why"}); });
  };
  EXPECT_EQ(refusalOf(400), StreamFailure::badRequest);
  EXPECT_EQ(refusalOf(401), StreamFailure::unauthenticated);
  EXPECT_EQ(refusalOf(403), StreamFailure::forbidden);
  EXPECT_EQ(refusalOf(404), StreamFailure::notFound);
  EXPECT_EQ(refusalOf(405), StreamFailure::notAllowed);
  EXPECT_EQ(refusalOf(410), StreamFailure::gone);
  EXPECT_EQ(refusalOf(206), StreamFailure::badAnswer);
}

TEST(ReadSession, EndsAnUnchangedConditionalRead) {
  ReadSession session({.ifNoneMatch = "\"tag\""}, kUrl);
  EXPECT_EQ(session.want().headers.get("if-none-match"), "\"tag\"");
  session.answer({.status = 304});
  EXPECT_TRUE(session.ended());
  EXPECT_TRUE(session.notModified());
}

TEST(ReadSession, GathersDataEventsUntilTheirControlEvent) {
  CaughtUp session(Live::sse);
  session.beginEvents(eventHead());
  session.event({.type = "data", .data = "ab"});
  session.event({.type = "data", .data = "c\nd"});
  EXPECT_FALSE(session.hasChunk());
  session.event({.type = "future", .data = "{"});
  session.event({.type = "control", .data = R"({"streamNextOffset":"03","streamCursor":"9","upToDate":true})"});
  const auto chunk = session.take();
  EXPECT_EQ(chunk->data, "abc\nd");
  EXPECT_EQ(chunk->nextOffset, "03");
  EXPECT_EQ(offsetAsked(session), "03");
}

TEST(ReadSession, ForgetsDataWhoseControlEventNeverCame) {
  CaughtUp session(Live::sse);
  session.beginEvents(eventHead());
  session.event({.type = "data", .data = "half"});
  session.endEvents();
  EXPECT_EQ(offsetAsked(session), "01");
  session.beginEvents(eventHead());
  session.event({.type = "data", .data = "whole"});
  session.event({.type = "control", .data = R"({"streamNextOffset":"02"})"});
  EXPECT_EQ(session.take()->data, "whole");
}

TEST(ReadSession, DecodesBase64EventByEvent) {
  CaughtUp session(Live::sse, "application/octet-stream");
  session.beginEvents(eventHead(true));
  session.event({.type = "data", .data = "AQI\nDBA=="});
  session.event({.type = "data", .data = "/w=="});
  session.event({.type = "data", .data = ""});
  session.event({.type = "control", .data = R"({"streamNextOffset":"02"})"});
  EXPECT_EQ(session.take()->data, std::string("\x01\x02\x03\x04\xff"));
  EXPECT_EQ(failureOf([&] { session.event({.type = "data", .data = "AQ="}); }), StreamFailure::badAnswer);
}

TEST(ReadSession, SplitsJsonEventsIntoMessages) {
  CaughtUp session(Live::sse, "application/json");
  session.beginEvents(eventHead());
  session.event({.type = "data", .data = "[\n{\"k\":\"v\"},\n{\"k\":1.0}\n]"});
  session.event({.type = "data", .data = "[7]"});
  session.event({.type = "control", .data = R"({"streamNextOffset":"02"})"});
  const auto chunk = session.take();
  EXPECT_EQ(chunk->messages(), (std::vector<std::string_view>{"{\"k\":\"v\"}", "{\"k\":1.0}", "7"}));
  EXPECT_EQ(chunk->data, "[{\"k\":\"v\"},{\"k\":1.0},7]");
}

TEST(ReadSession, RefusesControlEventsThatAreNone) {
  CaughtUp session(Live::sse);
  session.beginEvents(eventHead());
  for (const char* bad : {"", "{invalid", "[]", "7", "{}", R"({"streamNextOffset":7})", R"({"streamNextOffset":""})",
                          R"({"streamNextOffset":"-1"})", R"({"streamNextOffset":"2","upToDate":"yes"})"}) {
    EXPECT_EQ(failureOf([&] { session.event({.type = "control", .data = bad}); }), StreamFailure::badAnswer) << bad;
  }
}

TEST(ReadSession, EndsOnAClosedControlEventWithoutACursor) {
  CaughtUp session(Live::sse);
  session.beginEvents(eventHead());
  session.event({.type = "control", .data = R"({"streamNextOffset":"01","streamClosed":true})"});
  EXPECT_TRUE(session.ended());
  const auto chunk = session.take();
  EXPECT_TRUE(chunk->closed && chunk->upToDate && chunk->data.empty());
}

TEST(ReadSession, RefusesAnEventStreamThatIsNone) {
  CaughtUp session(Live::sse);
  EXPECT_EQ(failureOf([&] {
              session.beginEvents({.headers = {{"content-type", "text/html"}}});
            }),
            StreamFailure::badAnswer);
  EXPECT_EQ(failureOf([&] { session.beginEvents({.status = 404}); }), StreamFailure::notFound);
}

TEST(ReadSession, BoundsWhatComesBeforeAControlEvent) {
  ReadSession session({.live = Live::sse, .maxChunkBytes = 10}, kUrl);
  session.answer(answer("01", ""));
  session.beginEvents(eventHead());
  session.event({.type = "data", .data = "12345678"});
  EXPECT_EQ(failureOf([&] { session.event({.type = "data", .data = "901"}); }), StreamFailure::badAnswer);
}

TEST(ReadSession, WaitsAtOnceFromNow) {
  const ReadSession session({.offset = std::string(kStreamNow), .live = Live::longPoll}, kUrl);
  EXPECT_EQ(session.mode(), Mode::longPoll);
  EXPECT_EQ(offsetAsked(session), "now");
}

}  // namespace
}  // namespace tidegate::durable_streams
