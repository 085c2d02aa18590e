#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "http/server_rig.h"

namespace tidegate::http {
namespace {

using namespace std::chrono_literals;
using test::echo;
using test::eventually;
using test::kGet;
using test::RawClient;
using test::Rig;

/// Keeps the streams that a server's handler begins.
struct Streams {
  std::mutex mutex;
  std::vector<BodyStream> all;

  Handler handler(Headers headers = {{"content-type", "text/event-stream"}}) {
    return [this, headers](Request&&, Responder answer) {
      const std::lock_guard lock(mutex);
      all.push_back(answer.stream(200, headers));
    };
  }
  BodyStream first() {
    EXPECT_TRUE(eventually([this] {
      const std::lock_guard lock(mutex);
      return !all.empty();
    }));
    const std::lock_guard lock(mutex);
    return all.front();
  }
};

TEST(HttpStream, WritesPiecesAsChunksThenServesTheNextRequest) {
  Streams streams;
  Rig rig(streams.handler());
  RawClient client = rig.client();
  client.send(kGet);
  const BodyStream stream = streams.first();
  EXPECT_NE(client.readUntil("\r\n\r\n").find("Transfer-Encoding: chunked"), std::string::npos);
  EXPECT_EQ(rig.server.stats().streams, 1u);
  stream.write("one");
  EXPECT_EQ(client.readUntil("one\r\n"), "3\r\none\r\n");
  stream.write("two");
  stream.end();
  EXPECT_EQ(client.readUntil("0\r\n\r\n"), "3\r\ntwo\r\n0\r\n\r\n");
  EXPECT_EQ(stream.write("three"), BodyStream::kGone);
  client.send(kGet);
  EXPECT_NE(client.readUntil("\r\n\r\n").find("200 OK"), std::string::npos);
  EXPECT_EQ(rig.server.stats().streams, 1u);
}

TEST(HttpStream, WritesPlainlyToHttp10AndClosesAtTheEnd) {
  Streams streams;
  Rig rig(streams.handler());
  RawClient client = rig.client();
  client.send("GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  const BodyStream stream = streams.first();
  stream.write("one");
  stream.write("two");
  stream.end();
  const std::string all = client.readAll();
  EXPECT_TRUE(all.ends_with("\r\n\r\nonetwo")) << all;
  EXPECT_EQ(all.find("chunked"), std::string::npos);
}

TEST(HttpStream, CutsWhatIsAborted) {
  Streams streams;
  Rig rig(streams.handler());
  RawClient client = rig.client();
  client.send(kGet);
  const BodyStream stream = streams.first();
  stream.write("part");
  client.readUntil("part\r\n");
  stream.abort();
  EXPECT_TRUE(client.closedByServer());
  EXPECT_EQ(client.readAll(), "");
  EXPECT_EQ(stream.write("more"), BodyStream::kGone);
}

TEST(HttpStream, TellsWhenThePeerHasGone) {
  for (const bool reset : {false, true}) {
    std::atomic<int> gone{0};
    Streams streams;
    Rig rig([&](Request&&, Responder answer) {
      answer.onGone([&] { ++gone; });
      const std::lock_guard lock(streams.mutex);
      streams.all.push_back(answer.stream(200, {}));
    });
    RawClient client = rig.client();
    client.send(kGet);
    client.readUntil("\r\n\r\n");
    if (reset) {
      client.reset();
    } else {
      client.close();
    }
    EXPECT_TRUE(eventually([&] { return gone == 1; }));
    EXPECT_EQ(streams.first().write("x"), BodyStream::kGone);
    EXPECT_TRUE(eventually([&] { return rig.server.stats().open == 0; }));
  }
}

TEST(HttpStream, TellsALongPollThatItsClientHasGone) {
  std::mutex mutex;
  std::vector<Responder> waiting;
  std::atomic<bool> gone{false};
  Rig rig([&](Request&&, Responder answer) {
    answer.onGone([&] { gone = true; });
    const std::lock_guard lock(mutex);
    waiting.push_back(std::move(answer));
  });
  {
    RawClient client = rig.client();
    client.send(kGet);
    ASSERT_TRUE(eventually([&] {
      const std::lock_guard lock(mutex);
      return !waiting.empty();
    }));
  }
  EXPECT_TRUE(eventually([&] { return gone.load(); }));
  waiting.front().send({.body = "nobody reads this"});
}

TEST(HttpStream, AnswersALongPollByItsTimer) {
  Rig rig([](Request&&, Responder answer) {
    const auto shared = std::make_shared<Responder>(std::move(answer));
    shared->after(20ms, [shared] { shared->send({.body = "timeout"}); });
  });
  RawClient client = rig.client();
  EXPECT_EQ(client.ask(kGet).body, "timeout");
  EXPECT_EQ(client.ask(kGet).body, "timeout");
}

TEST(HttpStream, DropsTheTimersOfAnExchangeThatIsOver) {
  std::atomic<int> fired{0};
  const auto kept = std::make_shared<int>(0);
  Rig rig([&](Request&&, Responder answer) {
    answer.after(1h, [&fired, kept] { ++fired; });
    answer.after(0ms, [&fired, kept] { ++fired; });
    answer.send({.body = "done"});
  });
  RawClient client = rig.client();
  EXPECT_EQ(client.ask(kGet).body, "done");
  EXPECT_EQ(client.ask(kGet).body, "done");
  EXPECT_TRUE(eventually([&] { return kept.use_count() == 1; }));
  EXPECT_EQ(fired, 0);
}

TEST(HttpStream, WritesKeepAlivesFromTimers) {
  struct Beat {
    static void next(const BodyStream& stream, int left) {
      if (stream.write(": beat\n\n") == BodyStream::kGone) return;
      if (left == 0) return stream.end();
      stream.after(1ms, [stream, left] { next(stream, left - 1); });
    }
  };
  Rig rig([](Request&&, Responder answer) { Beat::next(answer.stream(200, {}), 5); });
  RawClient client = rig.client();
  const auto answer = client.ask(kGet);
  EXPECT_EQ(answer.body.size(), 6 * std::string(": beat\n\n").size());
}

TEST(HttpStream, TellsWhenItsQueueHasDrained) {
  std::atomic<int> rounds{0};
  Rig rig([&](Request&&, Responder answer) {
    const BodyStream stream = answer.stream(200, {{"content-type", "application/octet-stream"}});
    stream.onDrained([stream, &rounds] {
      if (++rounds > 50) return stream.end();
      EXPECT_GE(stream.write(std::string(100'000, 'x')), 100'000u);
    });
    stream.write("begin");
  });
  RawClient client = rig.client();
  const auto answer = client.ask(kGet);
  EXPECT_EQ(answer.body.size(), 5 + 50 * 100'000u);
  EXPECT_EQ(rounds, 51);
}

TEST(HttpStream, CountsWhatIsNotYetSent) {
  Streams streams;
  Rig rig(streams.handler({}));
  RawClient client = rig.client();
  client.send(kGet);
  const BodyStream stream = streams.first();
  const std::string piece(1 << 20, 'x');
  std::size_t pending = 0;
  while (pending < (16u << 20)) pending = stream.write(piece);  // more than any socket buffer takes
  EXPECT_GE(stream.pending(), 1u << 20);
  stream.end();
  EXPECT_GE(client.readAnswer().body.size(), 16u << 20);
  EXPECT_TRUE(eventually([&] { return stream.pending() == BodyStream::kGone; }));
}

TEST(HttpStream, TakesWritesFromManyThreads) {
  Streams streams;
  Rig rig(streams.handler({}));
  RawClient client = rig.client();
  client.send(kGet);
  const BodyStream stream = streams.first();
  {
    std::vector<std::jthread> writers;
    for (int i = 0; i < 4; ++i) {
      writers.emplace_back([stream] {
        for (int n = 0; n < 500; ++n) stream.write("0123456789");
      });
    }
  }
  stream.end();
  EXPECT_EQ(client.readAnswer().body.size(), 4 * 500 * 10u);
}

TEST(HttpStream, RunsPostedCallbacksOnTheConnectionsThread) {
  std::jthread other;
  Rig rig([&](Request&&, Responder answer) {
    const auto own = std::this_thread::get_id();
    const auto shared = std::make_shared<Responder>(std::move(answer));
    other = std::jthread([shared, own] {
      shared->post([shared, own] { shared->send({.body = std::this_thread::get_id() == own ? "same" : "other"}); });
    });
  });
  RawClient client = rig.client();
  EXPECT_EQ(client.ask(kGet).body, "same");
}

TEST(HttpStream, CutsAWriterThatMakesNoProgress) {
  std::atomic<bool> gone{false};
  Streams streams;
  Rig rig(
      [&](Request&&, Responder answer) {
        answer.onGone([&] { gone = true; });
        const BodyStream stream = answer.stream(200, {});
        stream.write(std::string(32 << 20, 'x'));
      },
      {.limits = {.writeTimeout = 100ms}});
  RawClient client = rig.client();
  client.send(kGet);  // and reads nothing
  EXPECT_TRUE(eventually([&] { return gone.load(); }));
}

}  // namespace
}  // namespace tidegate::http
