/// The client against our own server: what the model server does not know, and connections that break under both.
#include <gtest/gtest.h>

#include <thread>

#include "durable_streams/client_rig.h"
#include "support/property.h"
#include "support/tcp_proxy.h"
#include "tidegate/durable_streams/server.h"
#include "tidegate/durable_streams/stream_store.h"

namespace tidegate::durable_streams {
namespace {

using namespace durable_streams::test;
using std::chrono::milliseconds;
using std::chrono::seconds;
using tidegate::test::forEachSeed;
using tidegate::test::Random;
using tidegate::test::TcpProxy;

class ClientAndServer : public ::testing::Test {
 protected:
  ClientAndServer()
      : streams({.store = memoryStreamStore(),
                 .longPollTimeout = milliseconds(100),
                 .sseDuration = milliseconds(150),
                 .chunkBytes = 100}),
        http({}, streams.handler()) {
    http.start();
  }
  ~ClientAndServer() override {
    streams.stop();
    http.stop(milliseconds(0));
  }

  DurableStreamClient client() const { return clientAt(http.port()); }
  static DurableStreamClient clientAt(std::uint16_t port) {
    return DurableStreamClient({.url = "http://127.0.0.1:" + std::to_string(port) + "/v1/stream", .retry = quick(200)});
  }
  static Texts messagesOf(DurableStream stream, ReadOptions options = {}) {
    Texts all;
    stream.read(options, [&all](const Chunk& chunk) {
      for (const std::string_view message : chunk.messages()) all.emplace_back(message);
      return true;
    });
    return all;
  }

  DurableStreamServer streams;
  http::Server http;
};

TEST_F(ClientAndServer, KeepATtlOrAnEndOfLife) {
  DurableStream brief = client().stream("/brief");
  brief.create({.ttl = seconds(3600)});
  EXPECT_EQ(brief.head().ttl, seconds(3600));
  DurableStream dated = client().stream("/dated");
  dated.create({.expiresAt = "2099-01-01T00:00:00Z"});
  EXPECT_EQ(dated.head().expiresAt, "2099-01-01T00:00:00Z");
  EXPECT_EQ(dated.head().ttl, std::nullopt);
}

TEST_F(ClientAndServer, ForkAStreamAtAMessage) {
  DurableStream source = client().stream("/source");
  source.create({.contentType = "application/json"});
  const std::string afterFirst = source.append("1").offset;
  source.append(Texts{"2", "3"});
  source.append("4");
  DurableStream at = source.fork("/at", {.offset = afterFirst});
  DurableStream further = source.fork("/further", {.offset = afterFirst, .subOffset = 1});
  DurableStream whole = source.fork("/whole");
  at.append("\"mine\"");
  EXPECT_EQ(messagesOf(at), (Texts{"1", "\"mine\""}));
  EXPECT_EQ(messagesOf(further), (Texts{"1", "2"}));
  EXPECT_EQ(messagesOf(whole), (Texts{"1", "2", "3", "4"}));
  EXPECT_EQ(thrownBy([&] { client().stream("/none").fork("/x"); }).failure(), StreamFailure::notFound);
  source.remove();
  EXPECT_EQ(thrownBy([&] { source.head(); }).failure(), StreamFailure::gone) << "its forks still need it";
}

TEST_F(ClientAndServer, ReadALongStreamInPieces) {
  DurableStream stream = client().stream("/long");
  stream.create({.contentType = "application/json"});
  Texts sent;
  for (int i = 0; i < 200; ++i) sent.push_back("{\"n\": " + std::to_string(i) + "}");
  stream.append(sent);
  for (int i = 0; i < 50; ++i) stream.append(sent[0]);
  sent.resize(250, sent[0]);
  std::size_t chunks = 0;
  Texts all;
  stream.read({}, [&](const Chunk& chunk) {
    ++chunks;
    for (const std::string_view message : chunk.messages()) all.emplace_back(message);
    return true;
  });
  EXPECT_EQ(all, sent);
  EXPECT_GT(chunks, 3u);
}

TEST_F(ClientAndServer, FollowAStreamAcrossTheEndsOfItsEventStreams) {
  DurableStream stream = client().stream("/followed");
  stream.create({.contentType = "application/json"});
  Reader reader = stream.reader({.live = Live::sse});
  Texts told;
  const auto deadline = std::chrono::steady_clock::now() + seconds(60);
  for (int i = 0; reader.stats().reconnects < 3 && std::chrono::steady_clock::now() < deadline; ++i) {
    stream.append(std::to_string(i));
    while (told.size() < static_cast<std::size_t>(i) + 1) {
      const auto chunk = reader.next(seconds(20));
      ASSERT_TRUE(chunk);
      for (const std::string_view message : chunk->messages()) told.emplace_back(message);
    }
  }
  EXPECT_GE(reader.stats().reconnects, 3u);
  for (std::size_t i = 0; i < told.size(); ++i) EXPECT_EQ(told[i], std::to_string(i));
}

/// A writer and a reader on threads of their own, through a relay that cuts every connection now and then.
TEST_F(ClientAndServer, LoseAndRepeatNothingWhileConnectionsAreCut) {
  forEachSeed(4, [this](std::uint64_t seed) {
    constexpr std::size_t kMessages = 1500;
    TcpProxy relay(http.port());
    const std::string path = "/cut" + std::to_string(seed);
    client().stream(path).create({.contentType = "application/json"});
    Texts sent;
    for (std::size_t i = 0; i < kMessages; ++i) sent.push_back(std::to_string(i));

    std::atomic<bool> done{false};
    std::jthread cutter([&] {
      Random random(seed);
      std::uint64_t next = 0;
      while (!done) {
        // Progress, not time, decides when the next cut comes.
        if (relay.relayed() >= next) {
          relay.cut();
          next = relay.relayed() + 2000 + random.below(40'000);
        }
        std::this_thread::yield();
      }
    });
    std::jthread writer([&] {
      Producer producer =
          clientAt(relay.port())
              .stream(path)
              .producer({.id = "writer", .maxBatchBytes = 100, .maxInFlight = 4, .linger = milliseconds(1)});
      for (const auto& message : sent) producer.append(message);
      producer.close();
    });
    const Live live = seed % 2 == 0 ? Live::longPoll : Live::sse;
    const Texts told = messagesOf(clientAt(relay.port()).stream(path), {.live = live});
    writer.join();
    done = true;
    EXPECT_EQ(told, sent);
    EXPECT_EQ(messagesOf(client().stream(path)), sent);
  });
}

}  // namespace
}  // namespace tidegate::durable_streams
