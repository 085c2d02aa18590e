// Answers whose reader has no room for them.
#include <gtest/gtest.h>

#include <chrono>
#include <mutex>
#include <optional>
#include <string>

#include "http/server_rig.h"
#include "tidegate/http/client.h"

namespace tidegate::http {
namespace {

using namespace std::chrono_literals;
using test::Rig;

/// An endless answer of which so much is written at once.
struct LargeAnswer {
  static constexpr std::size_t kOctets = 20'000'000;
  std::size_t pending() {
    const std::lock_guard lock(mutex);
    return stream ? stream->pending() : 0;
  }
  void end() {
    const std::lock_guard lock(mutex);
    stream->end();
  }
  std::mutex mutex;
  std::optional<BodyStream> stream;  ///< guarded by mutex
  Rig rig{[this](Request&&, Responder answer) {
    BodyStream body = answer.stream(200, {});
    body.write(std::string(kOctets, 'x'));
    const std::lock_guard lock(mutex);
    stream = body;
  }};
};

TEST(HttpClientHold, LeavesAnAnswerWithItsServerUntilItIsLetGo) {
  LargeAnswer large;
  Client client;
  std::size_t got = 0;
  std::optional<Outcome> done;
  Client::Id id = 0;
  id = client.start({.url = large.rig.server.url() + "/", .timeout = 0ms},
                    {.onData =
                         [&](std::string_view piece) {
                           if (got == 0) client.hold(id, true);
                           got += piece.size();
                           return true;
                         },
                     .onDone = [&](const Outcome& outcome) { done = outcome; }});
  while (got == 0 && !done) client.run(100ms);
  const std::size_t before = got;
  for (int i = 0; i < 5; ++i) client.run(20ms);
  EXPECT_LE(got - before, 256u << 10) << "no more than what was under way";
  EXPECT_GT(large.pending(), 5'000'000u);
  // Held and let go again and again, it still comes whole.
  for (int i = 0; i < 50 && !done; ++i) {
    client.hold(id, false);
    client.run(1ms);
    client.hold(id, true);
  }
  client.hold(id, false);
  while (got < LargeAnswer::kOctets && !done) client.run(100ms);
  large.end();
  while (!done) client.run(100ms);
  EXPECT_FALSE(done->error) << done->error->what();
  EXPECT_EQ(got, LargeAnswer::kOctets);
}

TEST(HttpClientHold, WhoIsNotReadIsNotSilent) {
  LargeAnswer large;
  Client client;
  bool held = false, done = false;
  Client::Id id = 0;
  id = client.start({.url = large.rig.server.url() + "/", .timeout = 0ms, .idleTimeout = 1500ms},
                    {.onData =
                         [&](std::string_view) {
                           client.hold(id, true);
                           return held = true;
                         },
                     .onDone = [&](const Outcome&) { done = true; }});
  while (!held && !done) client.run(10ms);
  const auto until = std::chrono::steady_clock::now() + 1800ms;
  while (std::chrono::steady_clock::now() < until) client.run(100ms);
  EXPECT_FALSE(done);
}

TEST(HttpClientHold, ARequestThatIsHeldCanBeCancelled) {
  LargeAnswer large;
  Client client;
  std::optional<Outcome> done;
  Client::Id id = 0;
  id = client.start({.url = large.rig.server.url() + "/", .timeout = 0ms},
                    {.onData =
                         [&](std::string_view) {
                           client.hold(id, true);
                           return true;
                         },
                     .onDone = [&](const Outcome& outcome) { done = outcome; }});
  while (large.pending() == 0) client.run(10ms);
  client.run(10ms);
  client.cancel(id);
  while (!done) client.run(100ms);
  ASSERT_TRUE(done->error);
  EXPECT_EQ(done->error->code(), ErrorCode::queryCancelled);
  client.hold(id, false);  // it has ended: no error
  EXPECT_EQ(client.running(), 0u);
}

TEST(HttpClientHold, OneThatIsHeldDoesNotHoldUpTheOthers) {
  LargeAnswer large;
  Client client;
  Client::Id id = 0;
  bool held = false;
  id = client.start({.url = large.rig.server.url() + "/", .timeout = 0ms}, {.onData = [&](std::string_view) {
                      client.hold(id, true);
                      held = true;
                      return true;
                    }});
  while (!held) client.run(10ms);
  Rig other(test::echo);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(client.perform({.url = other.server.url() + "/x"}).body, "GET /x");
  EXPECT_EQ(client.running(), 1u);
}

}  // namespace
}  // namespace tidegate::http
