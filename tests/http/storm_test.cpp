// Clients that do anything, against a server whose answers come from another thread, until it is stopped in the middle.
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "http/server_rig.h"
#include "support/property.h"

namespace tidegate::http {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::kGet;
using test::RawClient;

/// Answers on a thread of its own, in bursts, and writes to the streams that are open.
class OtherThread {
 public:
  void answer(Responder responder) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(responder));
    wake_.notify_one();
  }
  void feed(const BodyStream& stream) {
    const std::lock_guard lock(mutex_);
    streams_.push_back(stream);
    wake_.notify_one();
  }

 private:
  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      std::vector<Responder> burst;
      std::vector<BodyStream> streams;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, stop, [this] { return !waiting_.empty() || !streams_.empty(); });
        burst.swap(waiting_);
        streams.swap(streams_);
      }
      for (Responder& responder : burst) responder.send({.body = "answered elsewhere"});
      for (const BodyStream& stream : streams) {
        if (stream.write("data: x\n\n") < (1u << 16)) stream.post([this, stream] { feed(stream); });
      }
    }
  }

  std::mutex mutex_{};
  std::condition_variable_any wake_{};
  std::vector<Responder> waiting_{};
  std::vector<BodyStream> streams_{};
  std::jthread thread_{[this](const std::stop_token& stop) { run(stop); }};
};

/// What one client does with one connection.
void misbehave(RawClient client, tidegate::test::Random& random) {
  if (!client.connected()) return;
  const auto get = [](const std::string& path) { return "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"; };
  switch (random.index(8)) {
    case 0:  // a good one
      client.send(get("/elsewhere"));
      client.readAnswer();
      break;
    case 1:  // many at once, of which only some are read
      client.send(get("/elsewhere") + get("/here") + get("/poll") + get("/elsewhere"));
      for (std::size_t i = random.index(3); i > 0; --i) client.readAnswer();
      break;
    case 2:  // a stream, left
      client.send(get("/stream"));
      client.readUntil("data: x");
      break;
    case 3:  // a stream, reset at once
      client.send(get("/stream"));
      client.reset();
      return;
    case 4:  // half a request
      client.send("POST /here HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf");
      break;
    case 5:  // no request
      client.send("nonsense\n");
      client.readAnswer();
      break;
    case 6:  // all said, then reading
      client.send(get("/here") + get("/elsewhere"));
      client.halfClose();
      client.readAll();
      break;
    default:  // a long poll, left or answered by its timer
      client.send(get("/poll"));
      if (random.chance(50)) client.readAnswer();
      break;
  }
  if (random.chance(30)) client.reset();
}

TEST(HttpStorm, EndsEveryExchangeWhateverClientsDo) {
  tidegate::test::forEachSeed(2, [](std::uint64_t seed) {
    OtherThread other;
    const auto alive = std::make_shared<int>(0);  // held by every exchange's callbacks
    test::Rig rig(
        [&other, alive](Request&& request, Responder answer) {
          if (request.path == "/here") return test::echo(std::move(request), std::move(answer));
          answer.onGone([alive] {});
          if (request.path == "/elsewhere") return other.answer(std::move(answer));
          if (request.path == "/stream") {
            const BodyStream stream = answer.stream(200, {{"content-type", "text/event-stream"}});
            stream.onDrained([alive] {});
            stream.after(1ms, [stream, alive] { stream.write(": beat\n\n"); });
            return other.feed(stream);
          }
          const auto kept = std::make_shared<Responder>(std::move(answer));
          kept->after(2ms, [kept, alive] { kept->send({.status = 204}); });
        },
        {.threads = 2});
    std::atomic<bool> over{false};
    std::atomic<int> rounds{0};
    std::vector<std::jthread> clients;
    for (std::uint64_t i = 0; i < 4; ++i) {
      clients.emplace_back([&, i, port = rig.server.port()] {
        tidegate::test::Random random(seed * 100 + i);
        while (!over) {
          misbehave(RawClient(port), random);
          ++rounds;
        }
      });
    }
    EXPECT_TRUE(eventually([&] { return rounds > 400; }));
    rig.server.stop(50ms);
    over = true;
    clients.clear();
    EXPECT_EQ(rig.server.stats().open, 0u);
    EXPECT_EQ(rig.server.stats().streams, 0u);
    EXPECT_EQ(alive.use_count(), 2);  // this one, and the handler's
  });
}

}  // namespace
}  // namespace tidegate::http
