#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "http/fake_server.h"
#include "http/server_rig.h"
#include "tidegate/core/error.h"
#include "tidegate/http/client.h"

namespace tidegate::http {
namespace {

using namespace std::chrono_literals;
using test::FakePeer;
using test::FakeServer;
using test::Rig;

const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

Error failureOf(Client& client, const ClientRequest& request) {
  try {
    client.perform(request);
  } catch (const Error& e) {
    return e;
  }
  ADD_FAILURE() << "did not fail";
  return Error(ErrorCode::internal, Retry::never, "did not fail");
}

TEST(HttpClientFailure, DoesNotKnowWhatBecameOfARequestThatWasCutOff) {
  FakeServer server([](FakePeer& peer, int) { peer.readRequest(4); });
  Client client;
  const Error post = failureOf(client, {.method = "POST", .url = server.url() + "/", .body = "once"});
  EXPECT_EQ(post.code(), ErrorCode::connectionFailed);
  EXPECT_EQ(post.retry(), Retry::outcomeUnknown);
  EXPECT_EQ(server.connections(), 1);
}

TEST(HttpClientFailure, SaysThatAReadMayBeRepeated) {
  FakeServer server([](FakePeer& peer, int) { peer.readRequest(); });
  Client client;
  EXPECT_EQ(failureOf(client, {.url = server.url() + "/"}).retry(), Retry::later);
}

/// libcurl by itself would send it again: a kept connection that dies looks to it like one that had timed out.
TEST(HttpClientFailure, SendsNothingTwiceOnAKeptConnectionThatDies) {
  for (const bool withBody : {true, false}) {
    std::atomic<int> requests{0};
    FakeServer server([&](FakePeer& peer, int) {
      const std::size_t body = withBody ? 4 : 0;
      if (peer.readRequest(body)) ++requests;
      peer.send(kOk);
      if (peer.readRequest(body)) ++requests;
    });
    Client client;
    const ClientRequest request{.method = "POST", .url = server.url() + "/", .body = withBody ? "once" : ""};
    EXPECT_EQ(client.perform(request).body, "ok");
    EXPECT_EQ(failureOf(client, request).retry(), Retry::outcomeUnknown);
    EXPECT_EQ(requests, 2);
  }
}

TEST(HttpClientFailure, RepeatsWhatMayBeRepeatedOnAKeptConnectionThatDies) {
  FakeServer server([&](FakePeer& peer, int) {
    peer.readRequest(4);
    peer.send(kOk);
    peer.readRequest(4);
  });
  Client client;
  const ClientRequest request{.method = "POST", .url = server.url() + "/", .body = "many", .repeatable = true};
  EXPECT_EQ(client.perform(request).body, "ok");
  EXPECT_EQ(client.perform(request).body, "ok");
  EXPECT_EQ(server.connections(), 2);
}

TEST(HttpClientFailure, GivesUpASilentServer) {
  FakeServer server([](FakePeer& peer, int connection) {
    peer.readRequest();
    if (connection > 0) peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    peer.waitForEnd();
  });
  Client client;
  const Error head = failureOf(client, {.url = server.url() + "/", .idleTimeout = 50ms});
  EXPECT_EQ(head.code(), ErrorCode::connectionFailed);
  EXPECT_NE(head.message().find("silent for 50 ms"), std::string::npos) << head.message();
  std::string got;
  try {
    client.stream({.url = server.url() + "/", .timeout = 0ms, .idleTimeout = 500ms}, {}, [&](std::string_view piece) {
      got += piece;
      return true;
    });
    FAIL() << "believed a silent stream";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::connectionFailed);
  }
  EXPECT_EQ(got, "x");
}

TEST(HttpClientFailure, EndsARequestByItsTimeout) {
  FakeServer server([](FakePeer& peer, int) { peer.waitForEnd(); });
  Client client;
  EXPECT_EQ(failureOf(client, {.method = "POST", .url = server.url() + "/", .timeout = 50ms}).retry(),
            Retry::outcomeUnknown);
}

TEST(HttpClientFailure, TakesNoAnswerOverItsBound) {
  Rig rig([](Request&&, Responder answer) { answer.send({.body = std::string(100'000, 'x')}); });
  Client client;
  const Error e = failureOf(client, {.url = rig.server.url() + "/", .maxBodyBytes = 99'999});
  EXPECT_EQ(e.code(), ErrorCode::parseError);
  EXPECT_EQ(client.perform({.url = rig.server.url() + "/", .maxBodyBytes = 100'000}).body.size(), 100'000u);
}

TEST(HttpClientFailure, TellsAnAnswerThatIsNotWhole) {
  FakeServer server([](FakePeer& peer, int connection) {
    peer.readRequest();
    peer.send(connection == 0 ? "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal"
                              : "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal");
  });
  Client client;
  EXPECT_EQ(failureOf(client, {.url = server.url() + "/"}).code(), ErrorCode::connectionFailed);
  EXPECT_EQ(failureOf(client, {.url = server.url() + "/"}).code(), ErrorCode::connectionFailed);
}

TEST(HttpClientFailure, StopsInTheMiddleOfATransfer) {
  std::stop_source stop;
  FakeServer server([&](FakePeer& peer, int) {
    peer.readRequest();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal");
    stop.request_stop();
    peer.waitForEnd();
  });
  Client client;
  try {
    client.perform({.url = server.url() + "/", .timeout = 0ms}, stop.get_token());
    FAIL() << "was not stopped";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::queryCancelled);
  }
  EXPECT_EQ(client.running(), 0u);
}

TEST(HttpClientFailure, CancelsOneOfSeveral) {
  Rig rig([](Request&& request, Responder answer) {
    if (request.path == "/never") {
      const auto kept = std::make_shared<Responder>(std::move(answer));
      kept->onGone([kept] {});
    } else {
      answer.send({.body = "ok"});
    }
  });
  Client client;
  std::vector<std::string> told;
  const auto note = [&](std::string name) {
    return Callbacks{.onDone = [&told, name](const Outcome& outcome) {
      told.push_back(name + (outcome.error ? std::string(toString(outcome.error->code())) : outcome.response.body));
    }};
  };
  const Client::Id never = client.start({.url = rig.server.url() + "/never"}, note("never:"));
  const Client::Id unbegun = client.start({.url = rig.server.url() + "/"}, note("unbegun:"));
  client.cancel(unbegun);
  client.run(1s);
  client.start({.url = rig.server.url() + "/"}, {.onDone = [&](const Outcome&) { client.cancel(never); }});
  while (client.running() > 0) client.run(1s);
  EXPECT_EQ(told, (std::vector<std::string>{"unbegun:queryCancelled", "never:queryCancelled"}));
  client.cancel(never);
  client.cancel(12345);
}

TEST(HttpClientFailure, PassesOnWhatACallbackThrows) {
  Rig rig(test::echo);
  Client client;
  const ClientRequest request{.url = rig.server.url() + "/"};
  const auto throws = [](auto&&) -> bool { throw std::runtime_error("mine"); };
  EXPECT_THROW(client.stream(request, throws, {}), std::runtime_error);
  EXPECT_THROW(client.stream(request, {}, throws), std::runtime_error);
  int done = 0;
  client.start(request, {.onHead = throws, .onDone = [&](const Outcome& outcome) {
                           EXPECT_TRUE(outcome.error);
                           ++done;
                         }});
  EXPECT_THROW(while (client.running() > 0) client.run(1s), std::runtime_error);
  EXPECT_EQ(done, 1);
  EXPECT_EQ(client.running(), 0u);
  EXPECT_EQ(client.perform(request).body, "GET /");
}

TEST(HttpClientFailure, BeginsRequestsInsideCallbacks) {
  Rig rig(test::echo);
  Client client;
  int done = 0;
  std::function<void(const Outcome&)> next = [&](const Outcome& outcome) {
    EXPECT_FALSE(outcome.error);
    if (++done < 10) client.start({.url = rig.server.url() + "/"}, {.onDone = next});
  };
  client.start({.url = rig.server.url() + "/"}, {.onHead = [&](const Response&) {
                 client.start({.url = rig.server.url() + "/in-head"}, {.onDone = next});
                 return true;
               }});
  while (client.running() > 0) client.run(1s);
  EXPECT_EQ(done, 10);
}

TEST(HttpClientFailure, IsWokenWhileItWaits) {
  Client client;
  client.wake();
  client.run(1h);
  std::jthread waker([&] { client.wake(); });
  client.run(1h);
}

TEST(HttpClientFailure, FollowsRedirectsWithinTheOriginAlone) {
  Rig other(test::echo);
  Rig rig([&](Request&& request, Responder answer) {
    if (request.path == "/away") {
      answer.send({.status = 302, .headers = {{"location", other.server.url() + "/x"}}});
    } else if (request.path == "/round") {
      answer.send({.status = 307, .headers = {{"location", "/round"}}});
    } else if (request.path == "/see") {
      answer.send({.status = 303, .headers = {{"location", "end"}}, .body = "not shown"});
    } else if (request.path == "/same") {
      answer.send({.status = 308, .headers = {{"location", "/end"}}});
    } else {
      test::echo(std::move(request), std::move(answer));
    }
  });
  Client client({.followRedirects = true});
  const auto post = [&](const std::string& path) {
    return client.perform({.method = "POST", .url = rig.server.url() + path, .body = "b"});
  };
  EXPECT_EQ(post("/see").body, "GET /end");
  EXPECT_EQ(post("/same").body, "POST /end b");
  EXPECT_EQ(post("/away").status, 302);
  EXPECT_EQ(post("/round").status, 307);
  EXPECT_EQ(other.server.stats().requests, 0u);
  Client staying;
  EXPECT_EQ(staying.perform({.url = rig.server.url() + "/same"}).status, 308);
}

TEST(HttpClientFailure, SendsNoFieldThatBreaksOutOfItsLine) {
  Client client;
  EXPECT_THROW(client.start({.url = "http://a/", .headers = {{"x", "a\r\nY: b"}}}, {}), Error);
  EXPECT_THROW(client.start({.method = "GET / HTTP/1.1\r\nX:", .url = "http://a/"}, {}), Error);
}

TEST(HttpClientFailure, NeedsAnAuthorityFileThatCanBeRead) {
  EXPECT_THROW(Client({.authorityFile = "/nowhere/ca.pem"}), Error);
}

}  // namespace
}  // namespace tidegate::http
