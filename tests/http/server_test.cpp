#include "tidegate/http/server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "http/server_rig.h"
#include "tidegate/core/error.h"

namespace tidegate::http {
namespace {

using namespace std::chrono_literals;

using test::echo;
using test::eventually;
using test::kGet;
using test::RawClient;
using test::Rig;

TEST(HttpServer, AnswersOneRequestAfterTheOtherOnOneConnection) {
  Rig rig(echo);
  RawClient client = rig.client();
  for (int i = 0; i < 3; ++i) {
    const auto answer = client.ask("GET /a%20b?q=1 HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "GET /a b?q=1");
  }
  EXPECT_EQ(rig.server.stats().connections, 1u);
  EXPECT_EQ(rig.server.stats().requests, 3u);
}

/// Requests at once and after a pause, a timer that fires while nothing comes, and a stop.
void serveWith(std::chrono::microseconds spin) {
  std::atomic<int> late = 0;
  Rig rig(
      [&](Request&&, Responder answer) {
        const auto kept = std::make_shared<Responder>(std::move(answer));
        kept->after(20ms, [&] { ++late; });
        kept->after(40ms, [kept] { kept->send({.body = "late"}); });
      },
      {.spin = spin});
  RawClient client = rig.client();
  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ(client.ask(kGet).body, "late");
    EXPECT_EQ(late, i);
  }
  rig.server.stop(std::chrono::seconds(5));
  EXPECT_EQ(client.ask(kGet).body, "");
}

TEST(HttpServer, ServesAlikeWhetherItsThreadsSleepOrLook) {
  serveWith(0us);
  serveWith(100us);
  serveWith(10s);
}

TEST(HttpServer, RefusesToLookForLessThanNoTime) { EXPECT_THROW(Server({.spin = -1us}, echo), Error); }

TEST(HttpServer, WritesDateServerAndLengthItself) {
  Rig rig([](Request&&, Responder answer) {
    answer.send({.headers = {{"Content-Length", "999"}, {"Date", "never"}, {"Connection", "upgrade"}}, .body = "ok"});
  });
  RawClient client = rig.client();
  const auto answer = client.ask(kGet);
  EXPECT_EQ(RawClient::field(answer.head, "Content-Length"), "2");
  EXPECT_EQ(RawClient::field(answer.head, "Server"), "tidegate");
  EXPECT_EQ(RawClient::field(answer.head, "Date")->size(), std::string("Sun, 06 Nov 1994 08:49:37 GMT").size());
  EXPECT_FALSE(RawClient::field(answer.head, "Connection"));
}

TEST(HttpServer, ReadsBodiesByLengthAndByChunks) {
  Rig rig(echo);
  RawClient client = rig.client();
  EXPECT_EQ(client.ask("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").body, "POST /p hello");
  EXPECT_EQ(client
                .ask("POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\n"
                     "Trailer: t\r\n\r\n")
                .body,
            "POST /p hello");
}

TEST(HttpServer, ReadsARequestOctetByOctet) {
  Rig rig(echo);
  RawClient client = rig.client();
  for (const char c :
       std::string("POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")) {
    ASSERT_TRUE(client.send({&c, 1}));
  }
  EXPECT_EQ(client.readAnswer().body, "POST /p hi");
}

TEST(HttpServer, AnswersPipelinedRequestsInOrder) {
  Rig rig(echo);
  RawClient client = rig.client();
  std::string many;
  for (int i = 0; i < 200; ++i) many += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\n\r\n";
  ASSERT_TRUE(client.send(many));
  for (int i = 0; i < 200; ++i) EXPECT_EQ(client.readAnswer().body, "GET /" + std::to_string(i));
}

/// A read that is on its way keeps its place, though what was read before it is taken meanwhile.
TEST(HttpServer, ReadsOnWhereItStoodOncePipelinedRequestsWereTaken) {
  std::mutex mutex;
  std::optional<Responder> held;
  const auto isHeld = [&] {
    const std::lock_guard lock(mutex);
    return held.has_value();
  };
  Rig rig([&](Request&& request, Responder answer) {
    if (request.path != "/held") return answer.send({.body = request.path});
    const std::lock_guard lock(mutex);
    held = std::move(answer);
  });
  RawClient client = rig.client();
  const std::string first = "GET /held HTTP/1.1\r\nHost: a\r\n\r\n", second = "GET /second HTTP/1.1\r\nHost: a\r\n\r\n";
  client.send(first);
  ASSERT_TRUE(eventually(isHeld));
  client.send(second);
  ASSERT_TRUE(eventually([&] { return rig.server.stats().bytesIn == first.size() + second.size(); }));
  held->send({.body = "/first"});
  EXPECT_EQ(client.readAnswer().body, "/first");
  EXPECT_EQ(client.readAnswer().body, "/second");
  client.send("GET /third HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(client.readAnswer().body, "/third");
}

TEST(HttpServer, KeepsTheOrderOfPipelinedRequestsThatAreAnsweredLate) {
  std::mutex mutex;
  std::vector<Responder> waiting;
  Rig rig([&](Request&& request, Responder answer) {
    if (request.path == "/late") {
      const std::lock_guard lock(mutex);
      waiting.push_back(std::move(answer));
    } else {
      echo(std::move(request), std::move(answer));
    }
  });
  RawClient client = rig.client();
  client.send("GET /late HTTP/1.1\r\nHost: a\r\n\r\nGET /early HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(eventually([&] {
    const std::lock_guard lock(mutex);
    return !waiting.empty();
  }));
  EXPECT_EQ(rig.server.stats().requests, 0u);
  waiting.front().send({.body = "late"});
  EXPECT_EQ(client.readAnswer().body, "late");
  EXPECT_EQ(client.readAnswer().body, "GET /early");
}

TEST(HttpServer, TakesAnswersFromAnotherThread) {
  std::vector<std::jthread> threads;
  Rig rig([&](Request&& request, Responder answer) {
    threads.emplace_back([request = std::move(request), answer = std::move(answer)]() mutable {
      echo(std::move(request), std::move(answer));
    });
  });
  RawClient client = rig.client();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(client.ask(kGet).body, "GET /x");
  rig.server.stop(std::chrono::seconds(5));
}

TEST(HttpServer, LeavesTheBodyOfHeadOutAndCountsIt) {
  Rig rig(echo);
  RawClient client = rig.client();
  client.send("HEAD /abc HTTP/1.1\r\nHost: a\r\n\r\n");
  const auto answer = client.readAnswer(true);
  EXPECT_EQ(RawClient::field(answer.head, "Content-Length"), "9");
  EXPECT_EQ(client.ask(kGet).body, "GET /x");
}

TEST(HttpServer, ClosesAfterHttp10UnlessAskedToKeep) {
  Rig rig(echo);
  RawClient closing = rig.client();
  const auto closed = closing.ask("GET /x HTTP/1.0\r\n\r\n");
  EXPECT_EQ(closed.body, "GET /x");
  EXPECT_EQ(RawClient::field(closed.head, "Connection"), "close");
  EXPECT_TRUE(closing.closedByServer());

  RawClient keeping = rig.client();
  const auto kept = keeping.ask("GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(RawClient::field(kept.head, "Connection"), "keep-alive");
  EXPECT_EQ(keeping.ask(kGet).status, 200);
}

TEST(HttpServer, ClosesWhenTheClientAsksForIt) {
  Rig rig(echo);
  RawClient client = rig.client();
  const auto answer = client.ask("GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(RawClient::field(answer.head, "Connection"), "close");
  EXPECT_TRUE(client.closedByServer());
}

TEST(HttpServer, AnswersAClientThatHasSaidAllItWill) {
  std::jthread late;
  Rig rig([&](Request&& request, Responder answer) {
    late = std::jthread([request = std::move(request), answer = std::move(answer)]() mutable {
      echo(std::move(request), std::move(answer));
    });
  });
  RawClient client = rig.client();
  client.send(kGet);
  client.halfClose();
  EXPECT_EQ(client.readAnswer().body, "GET /x");
  EXPECT_TRUE(client.closedByServer());
}

TEST(HttpServer, AnswersAHalfClosedClientAtOnceEvenWhereItListensForItsLeaving) {
  Rig rig([](Request&& request, Responder answer) {
    answer.onGone([] {});
    echo(std::move(request), std::move(answer));
  });
  for (int i = 0; i < 20; ++i) {
    RawClient client = rig.client();
    client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\nGET /y HTTP/1.1\r\nHost: a\r\n\r\n");
    client.halfClose();
    EXPECT_EQ(client.readAnswer().body, "GET /x");
    EXPECT_EQ(client.readAnswer().body, "GET /y");
  }
}

TEST(HttpServer, SaysContinueOnlyToWhoWaitsForIt) {
  Rig rig(echo);
  RawClient client = rig.client();
  client.send("POST /p HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.readUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("hi");
  EXPECT_EQ(client.readAnswer().body, "POST /p hi");
  EXPECT_EQ(client.ask("POST /p HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi").status,
            200);
}

TEST(HttpServer, MakesProblemsOfWhatHandlersThrow) {
  Rig rig([](Request&& request, Responder) {
    if (request.path == "/missing") throw Error(ErrorCode::tableNotFound, Retry::never, "no table t");
    if (request.path == "/full") throw Error(ErrorCode::backPressure, Retry::later, "full");
    throw std::runtime_error("the inside");
  });
  RawClient client = rig.client();
  const auto missing = client.ask("GET /missing HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(RawClient::field(missing.head, "content-type"), "application/problem+json");
  EXPECT_EQ(missing.body, R"({"type":"about:blank","title":"Not Found","status":404,"detail":"no table t"})");
  EXPECT_EQ(client.ask("GET /full HTTP/1.1\r\nHost: a\r\n\r\n").status, 429);
  const auto inside = client.ask("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(inside.status, 500);
  EXPECT_EQ(inside.body.find("the inside"), std::string::npos);
}

TEST(HttpServer, AnswersForAResponderThatWasDropped) {
  Rig rig([](Request&&, Responder) {});
  RawClient client = rig.client();
  EXPECT_EQ(client.ask(kGet).status, 500);
  EXPECT_EQ(client.ask(kGet).status, 500);
}

TEST(HttpServer, SendsNoFieldThatBreaksOutOfItsLine) {
  Rig rig([](Request&&, Responder answer) {
    answer.send({.headers = {{"x-echo", "a\r\nSet-Cookie: stolen=1"}}, .body = "secret"});
  });
  RawClient client = rig.client();
  const auto answer = client.ask(kGet);
  EXPECT_EQ(answer.status, 500);
  EXPECT_EQ(answer.head.find("Set-Cookie"), std::string::npos);
  EXPECT_EQ(answer.body.find("secret"), std::string::npos);
}

TEST(HttpServer, RefusesOptionsThatCannotWork) {
  EXPECT_THROW(Server({.address = "localhost"}, echo), Error);
  EXPECT_THROW(Server({.threads = 0}, echo), Error);
  EXPECT_THROW(Server({.cors = {.origins = {"example.org"}}}, echo), Error);
  EXPECT_THROW(Server({.tls = {.certificate = "/nowhere.pem", .key = "/nowhere.key"}}, echo), Error);
  EXPECT_THROW(Server({}, Handler()), Error);
}

TEST(HttpServer, SaysThatItsPortIsTaken) {
  Rig rig(echo);
  Server second({.port = rig.server.port()}, echo);
  try {
    second.start();
    FAIL() << "started on a port in use";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::connectionFailed);
    EXPECT_NE(e.message().find(std::to_string(rig.server.port())), std::string::npos) << e.message();
  }
}

TEST(HttpServer, SpreadsConnectionsOverItsThreads) {
  std::mutex mutex;
  std::vector<std::thread::id> seen;
  Rig rig(
      [&](Request&& request, Responder answer) {
        {
          const std::lock_guard lock(mutex);
          if (std::find(seen.begin(), seen.end(), std::this_thread::get_id()) == seen.end()) {
            seen.push_back(std::this_thread::get_id());
          }
        }
        echo(std::move(request), std::move(answer));
      },
      {.threads = 3});
  for (int i = 0; i < 6; ++i) {
    RawClient client = rig.client();
    EXPECT_EQ(client.ask(kGet).status, 200);
  }
  EXPECT_EQ(seen.size(), 3u);
}

}  // namespace
}  // namespace tidegate::http
