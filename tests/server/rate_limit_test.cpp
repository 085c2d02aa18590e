#include "tidegate/server/rate_limit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <thread>

#include "server/expect_error.h"
#include "support/manual_clock.h"
#include "support/property.h"
#include "tidegate/http/client.h"

namespace tidegate::server {
namespace {

using namespace std::chrono_literals;

struct LimitedRate : ::testing::Test {
  std::unique_ptr<RateLimiter> make(Rate rate, std::size_t entries = 1u << 16) {
    return std::make_unique<RateLimiter>(
        RateLimitOptions{.perClient = rate, .perAddress = rate, .entries = entries, .clock = &clock});
  }
  tidegate::test::ManualClock clock{};
};

TEST_F(LimitedRate, TakesABurstAndThenTheRate) {
  const auto limiter = make({.perSecond = 10, .burst = 3});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limiter->takeForClient("a"), std::nullopt);
  EXPECT_EQ(limiter->takeForClient("a"), 100ms);
  EXPECT_EQ(limiter->takeForClient("b"), std::nullopt);
  EXPECT_EQ(limiter->takeForAddress("a"), std::nullopt);  // a client's bucket is not an address's
  clock.advance(99ms);
  EXPECT_EQ(limiter->takeForClient("a"), 1ms);
  clock.advance(1ms);
  EXPECT_EQ(limiter->takeForClient("a"), std::nullopt);
  EXPECT_EQ(limiter->takeForClient("a"), 100ms);
  clock.advance(1h);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limiter->takeForClient("a"), std::nullopt);
  EXPECT_NE(limiter->takeForClient("a"), std::nullopt);
  EXPECT_EQ(limiter->stats().refusedClients, 4u);
}

TEST_F(LimitedRate, TakesACostAndNothingOfWhatIsNotThere) {
  const auto limiter = make({.perSecond = 1, .burst = 10});
  EXPECT_EQ(limiter->takeForClient("a", 8), std::nullopt);
  EXPECT_EQ(limiter->takeForClient("a", 5), 3s);
  EXPECT_EQ(limiter->takeForClient("a", 2), std::nullopt);
  clock.advance(9s);
  EXPECT_EQ(limiter->takeForClient("a", 1'000), 1s);  // as much as the bucket holds
  clock.advance(1s);
  EXPECT_EQ(limiter->takeForClient("a", 1'000), std::nullopt);
}

TEST_F(LimitedRate, CountsAnIpv6CustomerAsOne) {
  const auto limiter = make({.perSecond = 1, .burst = 1});
  EXPECT_EQ(limiter->takeForAddress("2001:db8:1:2::1"), std::nullopt);
  EXPECT_NE(limiter->takeForAddress("2001:db8:1:2:3::4"), std::nullopt);
  EXPECT_EQ(limiter->takeForAddress("2001:db8:1:3::1"), std::nullopt);
  EXPECT_EQ(limiter->takeForAddress("10.0.0.1"), std::nullopt);
  EXPECT_NE(limiter->takeForAddress("::ffff:10.0.0.1"), std::nullopt);
}

TEST_F(LimitedRate, OfZeroIsNone) {
  const auto limiter = make({.perSecond = 0});
  for (int i = 0; i < 10'000; ++i) ASSERT_EQ(limiter->takeForClient("a"), std::nullopt);
}

TEST_F(LimitedRate, RemembersWhoHasTakenMostWhenThereAreMorePeersThanPlaces) {
  const auto limiter = make({.perSecond = 1, .burst = 100}, 1'024);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(limiter->takeForAddress("10.9.9.9"), std::nullopt);
  for (int i = 0; i < 1'000'000; ++i) {  // each of them once
    const std::string address =
        "11." + std::to_string(i >> 16) + "." + std::to_string(i >> 8 & 255) + "." + std::to_string(i & 255);
    ASSERT_EQ(limiter->takeForAddress(address), std::nullopt);
  }
  EXPECT_NE(limiter->takeForAddress("10.9.9.9"), std::nullopt);
}

// Whatever comes when: in no stretch of time is more admitted than the burst and the rate allow, and whoever waits as
// long as told is admitted.
TEST_F(LimitedRate, NeverAdmitsMoreThanItAllows) {
  tidegate::test::forEachSeed(50, [&](std::uint64_t seed) {
    tidegate::test::Random random(seed);
    const Rate rate{.perSecond = static_cast<double>(random.between(1, 500)),
                    .burst = static_cast<double>(random.between(1, 50))};
    const auto limiter = make(rate);
    std::vector<Clock::Micros> admitted;
    for (int i = 0; i < 400; ++i) {
      if (const auto pause = limiter->takeForClient("a")) {
        if (!random.chance(10)) {
          clock.advance(std::chrono::microseconds(random.between(0, pause->count() * 1000)));
          continue;
        }
        clock.advance(*pause);
        EXPECT_EQ(limiter->takeForClient("a"), std::nullopt);
      }
      admitted.push_back(clock.steadyNow());
      clock.advance(std::chrono::microseconds(random.between(0, 20'000)));
    }
    for (std::size_t from = 0; from < admitted.size(); from += 7) {
      for (std::size_t to = from; to < admitted.size(); to += 5) {
        const double seconds = std::chrono::duration<double>(admitted[to] - admitted[from]).count();
        EXPECT_LE(static_cast<double>(to - from + 1), rate.burst + rate.perSecond * seconds + 0.01);
      }
    }
  });
}

TEST_F(LimitedRate, HoldsForManyThreads) {
  const auto limiter = make({.perSecond = 1, .burst = 1'000});
  std::atomic<int> admitted{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 1'000; ++i) admitted += limiter->takeForClient("a") ? 0 : 1;
      });
    }
  }
  EXPECT_EQ(admitted, 1'000);
}

TEST_F(LimitedRate, IsToldToClientsAndToWhoGuessesTokens) {
  class BySubject final : public Authenticator {
   public:
    Identity identify(const http::Request& request) const override {
      const std::string subject(request.headers.get("authorization"));
      if (subject == "forged") throw Error(ErrorCode::authenticationFailed, Retry::never, "it does not hold");
      if (subject.find("unnamed") != std::string::npos) return {.role = Role::client};
      return {.role = subject == "admin" ? Role::admin : Role::client, .subject = subject};
    }
  };
  const auto limiter = std::make_shared<RateLimiter>(RateLimitOptions{
      .perClient = {.perSecond = 0.5, .burst = 2}, .perAddress = {.perSecond = 1, .burst = 24}, .clock = &clock});
  Api api(limiter->limit({}));
  api.add({.method = "GET",
           .pattern = "/x",
           .role = Role::client,
           .name = "x",
           .summary = "X",
           .handler = [](Call&&, http::Responder answer) { answer.send({}); }});
  http::Server server({}, api.handler(std::make_shared<BySubject>()));
  server.start();
  http::Client client;
  const auto ask = [&](const std::string& who) {
    return client.perform({.url = server.url() + "/x", .headers = {{"authorization", who}}});
  };
  EXPECT_EQ(ask("a").status, 200);
  EXPECT_EQ(ask("a").status, 200);
  const auto told = ask("a");
  EXPECT_EQ(told.status, 429);
  EXPECT_EQ(told.headers.get("retry-after"), "2");
  EXPECT_EQ(ask("b").status, 200);
  // A token that names nobody is limited as itself, however it is sent.
  EXPECT_EQ(ask("Bearer unnamed-1").status, 200);
  EXPECT_EQ(ask("Bearer unnamed-1").status, 200);
  EXPECT_EQ(ask("bearer   unnamed-1").status, 429);
  EXPECT_EQ(ask("Bearer unnamed-2").status, 200);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(ask("admin").status, 200);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(ask("forged").status, 401);
  EXPECT_EQ(ask("forged").status, 429);  // the 24 of its address are used up
  EXPECT_EQ(ask("admin").status, 429);
  clock.advance(2s);
  EXPECT_EQ(ask("a").status, 200);
  EXPECT_EQ(limiter->stats().admitted, 13u);
}

TEST(RateLimitOptions, RefuseWhatCannotWork) {
  EXPECT_ERROR(RateLimiter({.perClient = {.perSecond = -1}}), ErrorCode::invalidConfig, "perClient");
  EXPECT_ERROR(RateLimiter({.perAddress = {.perSecond = 1, .burst = 0}}), ErrorCode::invalidConfig, "perAddress");
  EXPECT_ERROR(RateLimiter({.perAddress = {.perSecond = 1e-9}}), ErrorCode::invalidConfig, "perAddress");
  EXPECT_ERROR(RateLimiter({.entries = 5}), ErrorCode::invalidConfig, "entries");
}

}  // namespace
}  // namespace tidegate::server
