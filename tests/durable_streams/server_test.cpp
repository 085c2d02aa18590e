/// What the outside conformance suite does not ask: access, chunks, slow readers, stopping.
#include <gtest/gtest.h>

#include "core/detail/octet_text.h"
#include "durable_streams/detail/protocol.h"
#include "durable_streams/server_rig.h"
#include "tidegate/core/error.h"

namespace tidegate::durable_streams::testing {
namespace {

using namespace std::chrono_literals;

TEST(DurableStreamServerAccess, AsksTheHostForEveryRequest) {
  std::vector<std::pair<StreamAction, std::string>> asked;
  ServerRig rig({.authorise = [&](const AccessRequest& access) {
    asked.emplace_back(access.action, access.path);
    return access.action == StreamAction::remove ? Access::forbidden : Access::allowed;
  }});
  rig.put("a/b");
  rig.post("a/b", "x");
  rig.get("a/b");
  rig.ask("HEAD", "a/b");
  EXPECT_EQ(rig.ask("DELETE", "a/b").status, 403);
  EXPECT_EQ(rig.get("a/b").body, "x") << "a refused request does nothing";
  rig.get("__ds/subscriptions/s1");
  rig.get("__ds/jwks.json");
  using enum StreamAction;
  EXPECT_EQ(asked, (std::vector<std::pair<StreamAction, std::string>>{{create, "a/b"},
                                                                      {append, "a/b"},
                                                                      {read, "a/b"},
                                                                      {read, "a/b"},
                                                                      {remove, "a/b"},
                                                                      {read, "a/b"},
                                                                      {subscribe, "s1"},
                                                                      {keys, ""}}));
}

TEST(DurableStreamServerAccess, AForkMustBeAllowedToReadItsSource) {
  ServerRig rig({.authorise = [](const AccessRequest& access) {
    return access.action == StreamAction::read && access.path == "secret" ? Access::forbidden : Access::allowed;
  }});
  rig.put("secret", "x");
  EXPECT_EQ(rig.ask("PUT", "copy", {{"Stream-Forked-From", "/v1/stream/secret"}}).status, 403);
  EXPECT_EQ(rig.get("copy").status, 404);
}

TEST(DurableStreamServerAccess, ABearerTokenIsNeededWordForWord) {
  ServerRig rig({.authorise = bearerToken("correct horse")});
  EXPECT_EQ(rig.put("a").status, 401);
  EXPECT_EQ(rig.put("a").headers.get("WWW-Authenticate"), "Bearer");
  EXPECT_EQ(rig.ask("PUT", "a", {{"Authorization", "Bearer correct"}}).status, 401);
  EXPECT_EQ(rig.ask("PUT", "a", {{"Authorization", "Bearer correct horse"}}).status, 201);
  EXPECT_EQ(rig.get("__ds/jwks.json").status, 200) << "public keys are public";
  EXPECT_THROW(bearerToken(""), Error);
}

TEST(DurableStreamServer, CutsLongReadsIntoChunksThatAReaderJoins) {
  ServerRig rig({.chunkBytes = 100});
  rig.put("j", "[]", "application/json");
  for (int i = 0; i < 20; ++i) rig.post("j", "{\"number\":" + std::to_string(i) + "}", "application/json");
  std::string offset = "-1";
  int messages = 0;
  int chunks = 0;
  while (true) {
    const http::Response part = rig.get("j?offset=" + offset);
    ASSERT_EQ(part.status, 200);
    for (const auto& message : nlohmann::json::parse(part.body)) EXPECT_EQ(message["number"], messages++);
    offset = part.headers.get("Stream-Next-Offset");
    ++chunks;
    if (part.headers.has("Stream-Up-To-Date")) break;
  }
  EXPECT_EQ(messages, 20);
  EXPECT_GT(chunks, 2);
}

TEST(DurableStreamServer, AClosedStreamSaysSoOnlyWithItsLastChunk) {
  ServerRig rig({.chunkBytes = 10});
  rig.put("a", "0123456789");
  rig.post("a", "next");
  rig.ask("POST", "a", {{"Stream-Closed", "TRUE"}});
  const http::Response first = rig.get("a");
  EXPECT_FALSE(first.headers.has("Stream-Closed"));
  const http::Response last = rig.get("a?offset=" + std::string(first.headers.get("Stream-Next-Offset")));
  EXPECT_EQ(last.body, "next");
  EXPECT_EQ(last.headers.get("Stream-Closed"), "true");
}

TEST(DurableStreamServer, TheEtagChangesWithTheClosure) {
  ServerRig rig;
  rig.put("a", "x");
  const std::string open(rig.get("a").headers.get("ETag"));
  EXPECT_EQ(rig.get("a", {{"If-None-Match", "\"other\", W/" + open}}).status, 304);
  rig.ask("POST", "a", {{"Stream-Closed", "true"}});
  const http::Response closed = rig.get("a", {{"If-None-Match", open}});
  EXPECT_EQ(closed.status, 200);
  EXPECT_EQ(closed.headers.get("Stream-Closed"), "true");
}

TEST(DurableStreamServer, RefusesAnOffsetOfAnotherStream) {
  ServerRig rig;
  rig.put("a", "12345");
  EXPECT_EQ(rig.get("a?offset=0000000000000000_0000000000000003").status, 400);
  EXPECT_EQ(rig.get("a?offset=0000000000000000_0000000000000099").status, 400);
  EXPECT_EQ(rig.get("a?offset=0000000000000099_0000000000000005&live=sse").status, 400);
  EXPECT_EQ(rig.get("a?live=telegraph").status, 400);
}

TEST(DurableStreamServer, EveryReadResetsTheTimeToLive) {
  ServerRig rig;
  rig.ask("PUT", "a", {{"Content-Type", "text/plain"}, {"Stream-TTL", "10"}});
  rig.clock.advance(9s);
  EXPECT_EQ(rig.get("a?offset=now").status, 200);
  rig.clock.advance(9s);
  EXPECT_EQ(rig.ask("POST", "a", {{"Stream-Closed", "true"}}).status, 204);
  rig.clock.advance(9s);
  EXPECT_EQ(rig.ask("HEAD", "a").status, 200);
  rig.clock.advance(2s);
  EXPECT_EQ(rig.ask("HEAD", "a").status, 404);
}

TEST(DurableStreamServer, RemovesWhatHasExpiredWithoutBeingAsked) {
  ServerRig rig;
  rig.ask("PUT", "a", {{"Stream-TTL", "10"}});
  rig.clock.advance(11s);
  EXPECT_TRUE(eventually([&] { return rig.store->size() == 0; }));
}

TEST(DurableStreamServerLive, ALongPollEndsWithDataAndWithTheClosure) {
  ServerRig rig({.longPollTimeout = 60s});
  rig.put("a", "x");
  const std::string tail(rig.ask("HEAD", "a").headers.get("Stream-Next-Offset"));
  http::Response data, closure;
  {
    const std::jthread reader([&] { data = rig.get("a?live=long-poll&offset=" + tail); });
    ASSERT_TRUE(eventually([&] { return rig.streams->stats().liveReaders == 1; }));
    rig.post("a", "y");
  }
  EXPECT_EQ(data.status, 200);
  EXPECT_EQ(data.body, "y");
  EXPECT_TRUE(data.headers.has("Stream-Cursor"));
  const std::string next(data.headers.get("Stream-Next-Offset"));
  {
    const std::jthread reader([&] { closure = rig.get("a?live=long-poll&offset=" + next); });
    ASSERT_TRUE(eventually([&] { return rig.streams->stats().liveReaders == 1; }));
    rig.ask("POST", "a", {{"Stream-Closed", "true"}});
  }
  EXPECT_EQ(closure.status, 204);
  EXPECT_EQ(closure.headers.get("Stream-Closed"), "true");
  EXPECT_EQ(rig.streams->stats().liveReaders, 0u);
}

TEST(DurableStreamServerLive, ADeletionEndsThoseWhoWait) {
  ServerRig rig({.longPollTimeout = 60s});
  rig.put("a");
  http::Response poll;
  EventsOf events(rig.url("a?live=sse&offset=-1"));
  events.control();
  {
    const std::jthread reader([&] { poll = rig.get("a?live=long-poll&offset=now"); });
    ASSERT_TRUE(eventually([&] { return rig.streams->stats().liveReaders == 2; }));
    rig.ask("DELETE", "a");
  }
  EXPECT_EQ(poll.status, 404);
  EXPECT_TRUE(eventually([&] { return events.ended(); }));
}

TEST(DurableStreamServerLive, EachDataEventIsFollowedByItsControlEvent) {
  ServerRig rig;
  rig.put("j", "[1,2]", "application/json");
  EventsOf events(rig.url("j?live=sse&offset=-1"));
  EXPECT_EQ(events.next().data, "[1,2]");
  EXPECT_EQ(events.control()["upToDate"], true);
  rig.post("j", "3", "application/json");
  EXPECT_EQ(events.next().data, "[3]");
  const auto control = events.control();
  EXPECT_EQ(control["streamNextOffset"], std::string(rig.ask("HEAD", "j").headers.get("Stream-Next-Offset")));
  EXPECT_TRUE(control.contains("streamCursor"));
  rig.ask("POST", "j", {{"Content-Type", "application/json"}, {"Stream-Closed", "true"}}, "4");
  EXPECT_EQ(events.next().data, "[4]");
  EXPECT_EQ(events.control()["streamClosed"], true);
  EXPECT_TRUE(eventually([&] { return events.ended(); }));
}

TEST(DurableStreamServerLive, ASlowReaderGetsEverythingInPieces) {
  ServerRig rig({.sseChunkBytes = 10'000, .sseBufferBytes = 20'000});
  rig.put("a");
  std::string whole;
  for (int i = 0; i < 300; ++i) {
    const std::string text(5'000, static_cast<char>('a' + i % 26));
    whole += text;
    rig.post("a", text);
  }
  EventsOf events(rig.url("a?live=sse&offset=-1"));
  std::string got;
  while (got.size() < whole.size()) {
    const http::SseEvent event = events.next();
    if (event.type == "data") got += event.data;
  }
  EXPECT_TRUE(got == whole);
}

TEST(DurableStreamServerLive, RefusesMoreReadersThanItsBound) {
  ServerRig rig({.liveReaders = 1});
  rig.put("a");
  EventsOf events(rig.url("a?live=sse&offset=-1"));
  events.control();
  EXPECT_EQ(rig.get("a?live=long-poll&offset=now").status, 429);
}

TEST(DurableStreamServerLive, AnEventStreamEndsAfterItsTimeAndGoesOnElsewhere) {
  ServerRig rig({.sseDuration = 50ms});
  rig.put("a", "x");
  EventsOf events(rig.url("a?live=sse&offset=-1"));
  EXPECT_EQ(events.next().data, "x");
  const std::string next = events.control()["streamNextOffset"];
  EXPECT_TRUE(eventually([&] { return events.ended(); }));
  rig.post("a", "y");
  EventsOf again(rig.url("a?live=sse&offset=" + next));
  EXPECT_EQ(again.next().data, "y");
}

TEST(DurableStreamServerLive, StoppingEndsAllReadersInGoodOrder) {
  ServerRig rig({.longPollTimeout = 60s});
  rig.put("a");
  EventsOf events(rig.url("a?live=sse&offset=-1"));
  events.control();
  http::Response poll;
  {
    const std::jthread reader([&] { poll = rig.get("a?live=long-poll&offset=now"); });
    ASSERT_TRUE(eventually([&] { return rig.streams->stats().liveReaders == 2; }));
    rig.stop();
  }
  EXPECT_EQ(poll.status, 204);
  EXPECT_TRUE(eventually([&] { return events.ended(); }));
}

TEST(DurableStreamServer, BrowsersMayUseEveryHeaderOfTheProtocol) {
  ServerRig rig;
  const http::Response preflight = rig.ask("OPTIONS", "a",
                                           {{"Origin", "https://app.example"},
                                            {"Access-Control-Request-Method", "PUT"},
                                            {"Access-Control-Request-Headers", "if-none-match"}});
  EXPECT_EQ(preflight.status, 204);
  for (const char* field : {"If-None-Match", "Producer-Id", "Stream-Fork-Sub-Offset", "Authorization"}) {
    EXPECT_NE(preflight.headers.get("Access-Control-Allow-Headers").find(field), std::string_view::npos) << field;
  }
  const http::Response answer = rig.ask("GET", "a", {{"Origin", "https://app.example"}});
  EXPECT_NE(answer.headers.get("Access-Control-Expose-Headers").find("Stream-Next-Offset"), std::string_view::npos);
}

TEST(DurableStreamServer, RefusesOptionsThatCannotWork) {
  EXPECT_THROW(DurableStreamServer({}), Error);
  EXPECT_THROW(DurableStreamServer({.store = memoryStreamStore(), .basePath = "v1"}), Error);
}

TEST(DurableStreamCursors, NeverGoBackAndAlwaysPassTheReaders) {
  test::ManualClock clock(std::chrono::seconds(1'728'432'000 + 2'000));
  const detail::Cursors cursors(clock, 20s, 7);
  EXPECT_EQ(cursors.now(), 100u);
  EXPECT_EQ(cursors.after(""), 100u);
  EXPECT_EQ(cursors.after("99"), 100u);
  EXPECT_EQ(cursors.after("garbage"), 100u);
  for (const char* sent : {"100", "101", "5000"}) {
    const std::uint64_t next = cursors.after(sent);
    EXPECT_GT(next, std::stoull(sent));
    EXPECT_LE(next, std::stoull(sent) + 180);
  }
}

TEST(DurableStreamEvents, KeepLinesAndSpacesOfTheData) {
  for (const std::string text : {"", "plain", " leading", "two\nlines", "\n", "end\n", "a\n\nb", "data: x"}) {
    std::string wire;
    detail::appendEvent(wire, "data", text);
    std::string got = "nothing";
    http::SseParser parser([&](const http::SseEvent& event) { got = event.data; });
    parser.feed(wire);
    EXPECT_EQ(got, text);
  }
}

TEST(DurableStreamTexts, ReadTimestampsAndNumbersAsTheProtocolWritesThem) {
  EXPECT_EQ(detail::rfc3339("1970-01-01T00:00:01Z"), Clock::Micros(1'000'000));
  EXPECT_EQ(detail::rfc3339("1970-01-01T01:00:00.5+01:00"), Clock::Micros(500'000));
  for (const char* text : {"", "soon", "1970-01-01", "1970-01-01T00:00:01", "1970-01-01 00:00:01Z", "infinity"})
    EXPECT_EQ(detail::rfc3339(text), std::nullopt) << text;
  EXPECT_EQ(detail::wholeNumber("3600", true), 3600u);
  for (const char* text : {"", "+1", "-1", "01", "1.0", "1e3", " 1", "9007199254740992"})
    EXPECT_EQ(detail::wholeNumber(text, true), std::nullopt) << text;
  EXPECT_EQ(tidegate::detail::base64Of(std::string("\x00\xff\x10\x7f", 4)), "AP8Qfw==");
  EXPECT_EQ(tidegate::detail::fromBase64Url(tidegate::detail::base64UrlOf("any octets?>")), "any octets?>");
}

}  // namespace
}  // namespace tidegate::durable_streams::testing
