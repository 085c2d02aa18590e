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

TEST(HttpDrain, ClosesIdleConnectionsAtOnce) {
  Rig rig(echo);
  RawClient client = rig.client();
  EXPECT_EQ(client.ask(kGet).status, 200);
  EXPECT_TRUE(rig.server.stop(test::kPatience));
  EXPECT_TRUE(client.closedByServer());
  EXPECT_FALSE(rig.client().connected());
  EXPECT_TRUE(rig.server.stop(0ms));
}

TEST(HttpDrain, LetsRunningAnswersFinish) {
  std::atomic<bool> begun{false};
  Rig rig([&](Request&&, Responder answer) {
    const auto shared = std::make_shared<Responder>(std::move(answer));
    shared->after(50ms, [shared] { shared->send({.body = "whole"}); });
    begun = true;
  });
  RawClient client = rig.client();
  client.send(kGet);
  ASSERT_TRUE(eventually([&] { return begun.load(); }));
  EXPECT_TRUE(rig.server.stop(test::kPatience));
  const auto answer = client.readAnswer();
  EXPECT_EQ(answer.body, "whole");
  EXPECT_EQ(RawClient::field(answer.head, "Connection"), "close");
}

TEST(HttpDrain, CutsAtTheDeadlineWhatDoesNotEnd) {
  std::vector<Responder> kept;
  std::atomic<bool> gone{false};
  Rig rig([&](Request&&, Responder answer) {
    answer.onGone([&] { gone = true; });
    kept.push_back(std::move(answer));
  });
  RawClient client = rig.client();
  client.send(kGet);
  ASSERT_TRUE(eventually([&] { return rig.server.stats().bytesIn > 0; }));
  EXPECT_FALSE(rig.server.stop(10ms));
  EXPECT_TRUE(client.closedByServer());
  EXPECT_TRUE(gone);
  kept.front().send({.body = "too late, and harmless"});
}

TEST(HttpDrain, KeepsNoCallbackThatComesAfterTheEnd) {
  std::vector<Responder> kept;
  std::atomic<int> asked{0};
  Rig rig([&](Request&&, Responder answer) {
    kept.push_back(std::move(answer));
    ++asked;
  });
  RawClient first = rig.client(), second = rig.client();
  first.send(kGet);
  ASSERT_TRUE(eventually([&] { return asked == 1; }));
  second.send(kGet);
  ASSERT_TRUE(eventually([&] { return asked == 2; }));
  EXPECT_FALSE(rig.server.stop(0ms));
  for (Responder& answer : kept) {
    auto held = std::make_shared<int>(1);
    const std::weak_ptr<int> watch = held;
    answer.onGone([held] {});
    answer.post([held] {});
    answer.after(1h, [held] {});
    answer.onGone([held = std::move(held)] {});
    EXPECT_TRUE(watch.expired());
  }
}

TEST(HttpDrain, EndsEventStreamsInGoodOrderAndCutsDownloads) {
  std::mutex mutex;
  std::vector<BodyStream> streams;
  Rig rig([&](Request&& request, Responder answer) {
    const std::lock_guard lock(mutex);
    streams.push_back(answer.stream(200, {{"content-type", request.path.substr(1)}}));
    streams.back().write("half");
  });
  RawClient events = rig.client();
  RawClient download = rig.client();
  events.send("GET /text/event-stream HTTP/1.1\r\nHost: a\r\n\r\n");
  download.send("GET /application/octet-stream HTTP/1.1\r\nHost: a\r\n\r\n");
  events.readUntil("half\r\n");
  download.readUntil("half\r\n");
  EXPECT_FALSE(rig.server.stop(100ms));
  EXPECT_EQ(events.readAll(), "0\r\n\r\n");
  EXPECT_EQ(download.readAll(), "");
}

TEST(HttpDrain, SaysThatItBeginsSoThatStreamsCanSayGoodbye) {
  std::mutex mutex;
  std::vector<BodyStream> streams;
  Rig rig([&](Request&&, Responder answer) {
    const std::lock_guard lock(mutex);
    streams.push_back(answer.stream(200, {{"content-type", "text/event-stream"}}));
  });
  int told = 0;
  rig.server.onStopping([&] {
    ++told;
    const std::lock_guard lock(mutex);
    for (const BodyStream& stream : streams) {
      stream.write("event: bye\n\n");
      stream.end();
    }
  });
  RawClient client = rig.client();
  client.send(kGet);
  client.readUntil("\r\n\r\n");
  EXPECT_TRUE(rig.server.stop(test::kPatience));
  EXPECT_NE(client.readAll().find("event: bye"), std::string::npos);
  EXPECT_EQ(told, 1);
}

TEST(HttpDrain, RunsNoCallbackAfterItHasStopped) {
  std::atomic<bool> stopped{false};
  std::atomic<int> late{0};
  std::vector<std::shared_ptr<Responder>> kept;
  {
    Rig rig([&](Request&&, Responder answer) {
      const auto shared = std::make_shared<Responder>(std::move(answer));
      kept.push_back(shared);
      shared->onGone([&] { late += stopped ? 1 : 0; });
      shared->after(1ms, [&, shared] {
        late += stopped ? 1 : 0;
        shared->after(1ms, [&] { late += stopped ? 1 : 0; });
      });
    });
    RawClient client = rig.client();
    client.send(kGet);
    ASSERT_TRUE(eventually([&] { return rig.server.stats().bytesIn > 0; }));
    rig.server.stop(5ms);
    stopped = true;
    for (const auto& responder : kept) {
      responder->post([&] { ++late; });
      responder->onGone([&] { ++late; });
      responder->after(0ms, [&] { ++late; });
      responder->stream(200, {}).write("x");
    }
  }
  EXPECT_EQ(late, 0);
}

TEST(HttpDrain, StopsWhileManyClientsComeAndGo) {
  std::atomic<bool> over{false};
  std::atomic<int> answered{0};
  std::vector<std::jthread> clients;
  {
    Rig rig(echo, {.threads = 2});
    const std::uint16_t port = rig.server.port();
    for (int i = 0; i < 4; ++i) {
      clients.emplace_back([&, port] {
        while (!over) {
          RawClient client(port);
          if (client.connected() && client.ask(kGet).status == 200) ++answered;
        }
      });
    }
    ASSERT_TRUE(eventually([&] { return answered > 50; }));
    rig.server.stop(test::kPatience);
    over = true;
  }
  clients.clear();
}

TEST(HttpDrain, NeverStartedIsStoppedAlready) {
  Server server({}, echo);
  EXPECT_TRUE(server.stop(0ms));
}

}  // namespace
}  // namespace tidegate::http
