/// Reading across everything that a connection can do: from our own HTTP server, with faults on demand.
#include <gtest/gtest.h>

#include <thread>

#include "durable_streams/client_rig.h"
#include "support/property.h"

namespace tidegate::durable_streams {
namespace {

using namespace durable_streams::test;
using std::chrono::milliseconds;
using std::chrono::seconds;
using tidegate::test::forEachSeed;
using tidegate::test::Random;

struct ReaderOverHttp : ClientRig {
  ReaderOverHttp() : ClientRig({.longPoll = milliseconds(50)}) {}

  /// What a live reader tells until it has seen so much data.
  static std::string until(Reader& reader, std::size_t octets) {
    std::string data;
    while (data.size() < octets) {
      const auto chunk = reader.next(seconds(20));
      if (!chunk) break;
      data += chunk->data;
    }
    return data;
  }
};

TEST_F(ReaderOverHttp, ReadsWhatIsThereAndEnds) {
  DurableStream stream = made();
  stream.append("ab");
  stream.append("cd");
  Reader reader = stream.reader();
  const auto chunk = reader.next(seconds(10));
  ASSERT_TRUE(chunk);
  EXPECT_EQ(chunk->data, "abcd");
  EXPECT_EQ(reader.offset(), chunk->nextOffset);
  EXPECT_TRUE(reader.ended());
  EXPECT_EQ(reader.next(seconds(10)), std::nullopt);
  EXPECT_EQ(reader.place().contentType, "text/plain");
}

TEST_F(ReaderOverHttp, GoesOnFromAnOffsetThatWasKept) {
  DurableStream stream = made();
  const std::string kept = stream.append("old").offset;
  stream.append("new");
  EXPECT_EQ(all(stream, {.offset = kept}), "new");
  EXPECT_EQ(all(stream, {.offset = std::string(kStreamNow)}), "");
}

TEST_F(ReaderOverHttp, TellsAnUnchangedStreamByItsTag) {
  DurableStream stream = made();
  stream.append("ab");
  const ReadEnd first = stream.read({}, [](Chunk&&) { return true; });
  ASSERT_FALSE(first.etag.empty());
  int chunks = 0;
  const auto count = [&chunks](Chunk&&) { return ++chunks > 0; };
  EXPECT_TRUE(stream.read({.ifNoneMatch = first.etag}, count).notModified);
  EXPECT_EQ(chunks, 0);
  stream.append("cd");
  EXPECT_FALSE(stream.read({.ifNoneMatch = first.etag}, count).notModified);
  EXPECT_EQ(chunks, 1);
}

TEST_F(ReaderOverHttp, ReadsAgainWhatWasCutInTheMiddle) {
  DurableStream stream = made();
  stream.append(std::string(10'000, 'x'));
  server.inject({.method = "GET", .count = 3, .cutAfter = 777});
  EXPECT_EQ(all(stream), std::string(10'000, 'x'));
  EXPECT_EQ(requests("GET"), 4u);
}

TEST_F(ReaderOverHttp, AsksAgainAfterRefusalsThatPass) {
  DurableStream stream = made();
  stream.append("ab");
  server.inject({.method = "GET", .status = 500});
  server.inject({.method = "GET", .drop = true});
  server.inject({.method = "GET", .status = 429, .retryAfter = "0"});
  Reader reader = stream.reader();
  EXPECT_EQ(reader.next(seconds(20))->data, "ab");
  EXPECT_GE(reader.stats().retries, 2u) << "libcurl repeats a GET itself where a kept connection breaks";
}

TEST_F(ReaderOverHttp, GivesUpAfterItsRetriesAndCanBeAskedAgain) {
  made().append("ab");
  server.inject({.method = "GET", .count = 3, .status = 503});
  Reader reader = client(2).stream("/s").reader();
  const StreamError error = thrownBy([&] { reader.next(seconds(20)); });
  EXPECT_EQ(error.failure(), StreamFailure::unavailable);
  EXPECT_EQ(reader.next(seconds(20))->data, "ab");
}

TEST_F(ReaderOverHttp, SaysWhatItCannotReadAndStaysWhereItWas) {
  DurableStream stream = made("application/json");
  stream.append("{\"a\": 1}");
  Reader reader = stream.reader();
  for (Fault fault :
       {Fault{.truncate = 5}, Fault{.removeHeader = "stream-next-offset"}, Fault{.body = "XY"}, Fault{.body = "[1,"}}) {
    fault.method = "GET";
    server.inject(fault);
    EXPECT_EQ(thrownBy([&] { reader.next(seconds(10)); }).failure(), StreamFailure::badAnswer);
    EXPECT_EQ(reader.offset(), kStreamStart);
  }
  EXPECT_EQ(reader.next(seconds(10))->messages(), std::vector<std::string_view>{"{\"a\":1}"});
}

TEST_F(ReaderOverHttp, WaitsWithLongPolls) {
  DurableStream stream = made();
  Reader reader = stream.reader({.live = Live::longPoll});
  EXPECT_TRUE(reader.next(seconds(10))->upToDate);
  EXPECT_EQ(reader.next(milliseconds(0)), std::nullopt);
  stream.append("ab");
  EXPECT_EQ(until(reader, 2), "ab");
  stream.close({.last = "end"});
  EXPECT_EQ(until(reader, 3), "end");
  EXPECT_TRUE(reader.ended());
  EXPECT_TRUE(reader.place().closed);
  bool echoed = false;
  for (const auto& request : server.seen()) echoed |= http::queryParameter(request.query, "cursor") == "7";
  EXPECT_TRUE(echoed) << "a cursor is given back";
}

TEST_F(ReaderOverHttp, FollowsEventsOnOneConnection) {
  DurableStream stream = made("application/json");
  stream.append("1");
  Reader reader = stream.reader({.live = Live::sse});
  EXPECT_EQ(reader.next(seconds(10))->messages(), std::vector<std::string_view>{"1"});
  for (int i = 2; i < 8; ++i) {
    stream.append(std::to_string(i));
    EXPECT_EQ(reader.next(seconds(10))->data, "[" + std::to_string(i) + "]");
  }
  stream.close();
  EXPECT_TRUE(reader.next(seconds(10))->closed);
  EXPECT_TRUE(reader.ended());
  EXPECT_EQ(requests("GET"), 2u);
}

TEST_F(ReaderOverHttp, DecodesOctetsThatEventsCarryAsBase64) {
  DurableStream stream = made("application/octet-stream");
  Reader reader = stream.reader({.live = Live::sse});
  reader.next(seconds(10));
  std::string octets;
  for (int i = 0; i < 256; ++i) octets += static_cast<char>(i);
  stream.append(octets);
  EXPECT_EQ(until(reader, octets.size()), octets);
}

TEST_F(ReaderOverHttp, TakesEventsHoweverTheirOctetsArrive) {
  DurableStream stream = made();
  const std::string events =
      "event: data\r\ndata: one\r\n\r\n: a comment\nevent: data\ndata:two\n\nevent: control\n"
      "data: {\"streamNextOffset\":\"000000000009\",\ndata: \"streamClosed\":true}\n\n";
  Fault fault{.live = "sse"};
  for (const char c : events) fault.pieces.emplace_back(1, c);
  server.inject(fault);
  EXPECT_EQ(all(stream, {.live = Live::sse}), "onetwo");
}

TEST_F(ReaderOverHttp, ReconnectsFromTheLastOffsetThatWasTold) {
  DurableStream stream = made();
  stream.append("a");
  Reader reader = stream.reader({.live = Live::sse});
  EXPECT_EQ(until(reader, 1), "a");
  stream.append("b");
  // Data without its control event does not count: it comes again.
  server.inject({.live = "sse",
                 .pieces = {"event: data\ndata: b\n\n", "event: control\ndata: {\"streamNextOff"},
                 .cutAtEnd = true});
  EXPECT_EQ(until(reader, 1), "b");
  stream.append("c");
  EXPECT_EQ(until(reader, 1), "c");
  EXPECT_GE(reader.stats().reconnects, 1u);
}

TEST_F(ReaderOverHttp, SaysWhatItCannotReadOfEvents) {
  for (const char* bad : {"event: control\ndata: {invalid\n\n", "event: control\ndata:\n\n",
                          "event: control\ndata: {\"upToDate\":true}\n\n"}) {
    DurableStream stream = made();
    Reader reader = stream.reader({.live = Live::sse});
    reader.next(seconds(10));
    server.inject({.live = "sse", .pieces = {bad}, .goOn = true});
    EXPECT_EQ(thrownBy([&] { reader.next(seconds(10)); }).failure(), StreamFailure::badAnswer) << bad;
    stream.append("after");
    EXPECT_EQ(until(reader, 5), "after") << "it goes on behind the error";
    stream.remove();
  }
}

TEST_F(ReaderOverHttp, RefusesBase64ThatIsNone) {
  DurableStream stream = made("application/octet-stream");
  Reader reader = stream.reader({.live = Live::sse});
  reader.next(seconds(10));
  server.inject({.live = "sse", .pieces = {"event: data\ndata: AB=C\n\n"}, .goOn = true});
  EXPECT_EQ(thrownBy([&] { reader.next(seconds(10)); }).failure(), StreamFailure::badAnswer);
}

TEST_F(ReaderOverHttp, PassesOverEventsOfLaterProtocols) {
  DurableStream stream = made();
  Reader reader = stream.reader({.live = Live::sse});
  reader.next(seconds(10));
  server.inject({.live = "sse", .pieces = {"event: future\ndata: {\n\n", ":\n\n"}, .goOn = true});
  stream.append("ab");
  EXPECT_EQ(until(reader, 2), "ab");
}

TEST_F(ReaderOverHttp, FallsBackToLongPollsWhereEventStreamsEndAtOnce) {
  DurableStream stream = made();
  server.inject({.live = "sse", .count = 100, .pieces = {":\n\n"}});
  Reader reader = stream.reader({.live = Live::automatic});
  reader.next(seconds(10));
  stream.append("ab");
  EXPECT_EQ(until(reader, 2), "ab");
  std::size_t events = 0;
  for (const auto& request : server.seen()) events += http::queryParameter(request.query, "live") == "sse";
  EXPECT_EQ(events, 3u);
}

TEST_F(ReaderOverHttp, GivesUpOnEventStreamsThatEndAtOnceWhereNothingElseIsAllowed) {
  made();
  server.inject({.live = "sse", .count = 100, .pieces = {":\n\n"}});
  Reader reader = client(3).stream("/s").reader({.live = Live::sse});
  reader.next(seconds(10));
  EXPECT_EQ(thrownBy([&] { reader.next(seconds(20)); }).failure(), StreamFailure::badAnswer);
}

TEST_F(ReaderOverHttp, LeavesAServerThatHasFallenSilent) {
  DurableStream stream = made();
  Reader reader = stream.reader({.live = Live::sse, .silence = milliseconds(80)});
  reader.next(seconds(10));
  server.inject({.live = "sse", .delay = seconds(3)});
  stream.append("ab");
  EXPECT_EQ(until(reader, 2), "ab");
  EXPECT_GE(reader.stats().requests, 3u);
}

TEST_F(ReaderOverHttp, IsToldThatTheStreamWasRemoved) {
  DurableStream stream = made();
  Reader reader = stream.reader({.live = Live::longPoll});
  reader.next(seconds(10));
  stream.remove();
  EXPECT_EQ(thrownBy([&] { reader.next(seconds(10)); }).failure(), StreamFailure::notFound);
}

TEST_F(ReaderOverHttp, EndsAReadWhenStopped) {
  DurableStream stream = made();
  std::stop_source stop;
  std::jthread stopper;
  const ReadEnd end = stream.read(
      {.live = Live::sse},
      [&](Chunk&& chunk) {
        if (chunk.upToDate) stopper = std::jthread([&stop] { stop.request_stop(); });
        return true;
      },
      stop.get_token());
  EXPECT_FALSE(end.closed);
  EXPECT_EQ(end.offset, ModelStreams::offsetAt(0));
}

TEST_F(ReaderOverHttp, EndsAReadWhereItsCallbackHasEnough) {
  DurableStream stream = made();
  stream.append("ab");
  const ReadEnd end = stream.read({.live = Live::sse}, [](const Chunk& chunk) { return chunk.data.empty(); });
  EXPECT_EQ(end.offset, ModelStreams::offsetAt(1));
}

TEST_F(ReaderOverHttp, RefusesAnAnswerOverItsBound) {
  DurableStream stream = made();
  stream.append(std::string(5000, 'x'));
  EXPECT_EQ(thrownBy([&] { all(stream, {.maxChunkBytes = 4000}); }).failure(), StreamFailure::badAnswer);
}

/// Every message once and in order, whatever breaks, in each live mode.
TEST_F(ReaderOverHttp, LosesNothingAndRepeatsNothingUnderRandomFaults) {
  forEachSeed(12, [this](std::uint64_t seed) {
    Random random(seed);
    const std::string path = "/random" + std::to_string(seed);
    DurableStream stream = client().stream(path);
    stream.create({.contentType = "application/json"});
    const Live live = random.pick(std::vector<Live>{Live::longPoll, Live::sse, Live::automatic});
    Reader reader = client(50).stream(path).reader({.live = live});
    Texts told;
    for (int i = 0; told.size() < 60; ++i) {
      ASSERT_LT(i, 2000);
      if (random.chance(40)) {
        Fault fault{.method = "GET", .path = path};
        switch (random.below(4)) {
          case 0:
            fault.drop = true;
            break;
          case 1:
            fault.status = random.chance(50) ? 500 : 503;
            break;
          case 2:
            fault.cutAfter = random.index(6);
            break;
          default:
            fault.live = "sse";
            fault.pieces = {"event: data\ndata: [1000]\n\n", "event: contr"};
            fault.cutAtEnd = random.chance(50);
        }
        server.inject(fault);
      }
      const std::size_t there = stored(path).size();
      if (there < 60) stream.append(std::to_string(there));
      if (const auto chunk = reader.next(milliseconds(random.chance(50) ? 20 : 0))) {
        for (const std::string_view message : chunk->messages()) told.emplace_back(message);
      }
    }
    server.clearFaults();
    Texts expected;
    for (int i = 0; i < 60; ++i) expected.push_back(std::to_string(i));
    EXPECT_EQ(told, expected);
  });
}

}  // namespace
}  // namespace tidegate::durable_streams
