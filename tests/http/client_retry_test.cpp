#include <gtest/gtest.h>

#include <atomic>

#include "http/server_rig.h"
#include "support/manual_clock.h"
#include "tidegate/core/error.h"
#include "tidegate/http/client.h"

namespace tidegate::http {
namespace {

using namespace std::chrono_literals;
using test::Rig;

/// A server that says `refusal` a few times, then 200, and a client whose pauses take no time.
struct RetryRig {
  explicit RetryRig(Response refusal, int times = 2, RetryPolicy policy = {.attempts = 5, .first = 100ms, .most = 10s})
      : rig([this, refusal, times](Request&&, Responder answer) {
          answer.send(++asked <= times ? refusal : Response{.body = "done"});
        }),
        client({.retry = policy, .clock = &clock, .scheduler = &scheduler, .jitterSeed = 7}) {}

  Response ask(const std::string& method = "GET", bool repeatable = false) {
    return client.perform({.method = method, .url = rig.server.url() + "/", .repeatable = repeatable});
  }

  std::atomic<int> asked{0};
  tidegate::test::ManualClock clock{};
  tidegate::test::ManualScheduler scheduler{clock};
  Rig rig;
  Client client;
};

TEST(HttpClientRetry, AsksAgainWithGrowingPauses) {
  RetryRig rig({.status = 503});
  EXPECT_EQ(rig.ask().body, "done");
  EXPECT_EQ(rig.asked, 3);
  EXPECT_EQ(rig.scheduler.waits(), 2u);
  // 100 ms, then 200 ms, of each a half to the whole.
  EXPECT_GE(rig.scheduler.waited(), 150ms);
  EXPECT_LE(rig.scheduler.waited(), 300ms);
}

TEST(HttpClientRetry, PausesDifferByTheirSeed) {
  std::vector<std::chrono::microseconds> pauses;
  for (const std::uint64_t seed : {1u, 2u, 3u, 1u}) {
    Rig refusing([](Request&&, Responder answer) { answer.send({.status = 503}); });
    tidegate::test::ManualClock clock;
    tidegate::test::ManualScheduler scheduler(clock);
    Client client({.retry = {.attempts = 4}, .scheduler = &scheduler, .jitterSeed = seed});
    EXPECT_EQ(client.perform({.url = refusing.server.url() + "/"}).status, 503);
    pauses.push_back(scheduler.waited());
  }
  EXPECT_NE(pauses[0], pauses[1]);
  EXPECT_NE(pauses[1], pauses[2]);
  EXPECT_EQ(pauses[0], pauses[3]);
}

TEST(HttpClientRetry, GivesTheLastAnswerWhenAllAttemptsAreUsed) {
  RetryRig rig({.status = 503, .body = "still"}, 99, {.attempts = 3});
  const Response answer = rig.ask();
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, "still");
  EXPECT_EQ(rig.asked, 3);
}

TEST(HttpClientRetry, WaitsAsLongAsTheServerAsksUpToABound) {
  RetryRig seconds({.status = 429, .headers = {{"retry-after", "3"}}}, 1);
  seconds.ask();
  EXPECT_GE(seconds.scheduler.waited(), 3s);
  EXPECT_LE(seconds.scheduler.waited(), 3100ms);

  // The manual clock stands at Tue, 14 Nov 2023 22:13:20 GMT.
  RetryRig date({.status = 429, .headers = {{"retry-after", "Tue, 14 Nov 2023 22:13:25 GMT"}}}, 1);
  date.ask();
  EXPECT_GE(date.scheduler.waited(), 5s);
  EXPECT_LE(date.scheduler.waited(), 5100ms);

  for (const char* much : {"3600", "99999999999999999999999999", "Tue, 14 Nov 2034 22:13:25 GMT"}) {
    RetryRig bounded({.status = 429, .headers = {{"retry-after", much}}}, 1);
    bounded.ask();
    EXPECT_EQ(bounded.scheduler.waited(), 10s) << much;
  }
  RetryRig nonsense({.status = 429, .headers = {{"retry-after", "soon"}}}, 1);
  nonsense.ask();
  EXPECT_LE(nonsense.scheduler.waited(), 100ms);
}

TEST(HttpClientRetry, RepeatsWhatMayHaveHappenedOnlyWhereItMayHappenTwice) {
  RetryRig gateway({.status = 502});
  EXPECT_EQ(gateway.ask("POST").status, 502);
  EXPECT_EQ(gateway.asked, 1);
  RetryRig repeatable({.status = 502});
  EXPECT_EQ(repeatable.ask("POST", true).body, "done");
  RetryRig safe({.status = 504});
  EXPECT_EQ(safe.ask("GET").body, "done");
  RetryRig refused({.status = 503});
  EXPECT_EQ(refused.ask("POST").body, "done");
  RetryRig other({.status = 500});
  EXPECT_EQ(other.ask().status, 500);
}

TEST(HttpClientRetry, HidesRefusedAnswersFromAStream) {
  RetryRig rig({.status = 503, .body = "refused"});
  std::vector<int> heads;
  std::string body;
  rig.client.stream(
      {.url = rig.rig.server.url() + "/"},
      [&](const Response& head) {
        heads.push_back(head.status);
        return true;
      },
      [&](std::string_view piece) {
        body += piece;
        return true;
      });
  EXPECT_EQ(heads, std::vector<int>{200});
  EXPECT_EQ(body, "done");
}

TEST(HttpClientRetry, StopsInsideAPause) {
  RetryRig rig({.status = 503}, 99);
  std::stop_source stop;
  struct StoppingScheduler final : Scheduler {
    explicit StoppingScheduler(std::stop_source& source) : stop(source) {}
    bool waitFor(std::chrono::microseconds, std::stop_token) override {
      stop.request_stop();
      return false;
    }
    std::stop_source& stop;
  } scheduler{stop};
  Client client({.retry = {.attempts = 5}, .scheduler = &scheduler});
  try {
    client.perform({.url = rig.rig.server.url() + "/"}, stop.get_token());
    FAIL() << "was not stopped";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::queryCancelled);
  }
  EXPECT_EQ(rig.asked, 1);
}

TEST(HttpClientRetry, TriesAgainWhereNobodyListens) {
  tidegate::test::ManualClock clock;
  tidegate::test::ManualScheduler scheduler(clock);
  std::uint16_t port = 0;
  {
    Rig gone(test::echo);
    port = gone.server.port();
  }
  Client client({.retry = {.attempts = 3}, .scheduler = &scheduler});
  EXPECT_THROW(client.perform({.method = "POST", .url = "http://127.0.0.1:" + std::to_string(port) + "/"}), Error);
  EXPECT_EQ(scheduler.waits(), 2u);
}

TEST(HttpClientRetry, NeedsAnAttempt) { EXPECT_THROW(Client({.retry = {.attempts = 0}}), Error); }

}  // namespace
}  // namespace tidegate::http
