#include "tidegate/http/client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "http/server_rig.h"

namespace tidegate::http {
namespace {

using namespace std::chrono_literals;
using test::echo;
using test::eventually;
using test::Rig;

TEST(HttpClient, SendsARequestAndGivesTheAnswer) {
  Rig rig([](Request&& request, Responder answer) {
    Response response{.status = 201, .headers = {{"x-type", std::string(request.headers.get("content-type"))}}};
    response.body = request.method + " " + request.path + " " + request.body + " " +
                    std::string(request.headers.get("authorization"));
    answer.send(std::move(response));
  });
  Client client({.headers = {{"authorization", "Bearer t"}}});
  const Response answer = client.perform({.method = "POST", .url = rig.server.url() + "/p", .body = "hello"});
  EXPECT_EQ(answer.status, 201);
  EXPECT_EQ(answer.body, "POST /p hello Bearer t");
  EXPECT_EQ(answer.headers.get("X-Type"), "");
  for (const char* method : {"GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"}) {
    EXPECT_EQ(client.perform({.method = method, .url = rig.server.url() + "/p"}).status, 201) << method;
  }
  EXPECT_EQ(rig.server.stats().connections, 1u);
}

TEST(HttpClient, RunsManyRequestsAtOnce) {
  Rig rig(echo, {.threads = 2});
  Client client;
  int done = 0;
  for (int i = 0; i < 50; ++i) {
    client.start({.url = rig.server.url() + "/" + std::to_string(i)}, {.onDone = [&, i](const Outcome& outcome) {
                   EXPECT_FALSE(outcome.error);
                   EXPECT_EQ(outcome.response.body, "GET /" + std::to_string(i));
                   ++done;
                 }});
  }
  EXPECT_EQ(client.running(), 50u);
  while (client.running() > 0) client.run(1s);
  EXPECT_EQ(done, 50);
}

TEST(HttpClient, StreamsAnAnswerAsItComes) {
  Rig rig([](Request&&, Responder answer) {
    const BodyStream stream = answer.stream(200, {{"content-type", "text/event-stream"}});
    stream.write("data: 1\n\n");
    stream.after(5ms, [stream] {
      stream.write("data: 2\n\n");
      stream.end();
    });
  });
  Client client;
  std::string all;
  int status = 0;
  client.stream(
      {.url = rig.server.url() + "/"},
      [&](const Response& head) {
        status = head.status;
        return true;
      },
      [&](std::string_view piece) {
        all += piece;
        return true;
      });
  EXPECT_EQ(status, 200);
  EXPECT_EQ(all, "data: 1\n\ndata: 2\n\n");
}

TEST(HttpClient, EndsARequestWhenItIsStopped) {
  Rig rig([](Request&&, Responder answer) { answer.stream(200, {}).write("x"); });
  Client client;
  std::stop_source stop;
  try {
    client.stream(
        {.url = rig.server.url() + "/"}, {},
        [&](std::string_view) {
          stop.request_stop();
          return true;
        },
        stop.get_token());
    FAIL() << "a stopped stream ended well";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::queryCancelled);
  }
  EXPECT_EQ(client.running(), 0u);
  EXPECT_TRUE(eventually([&] { return rig.server.stats().open == 0; }));
}

TEST(HttpClient, SaysThatNothingHappenedWhereNobodyListens) {
  std::uint16_t port = 0;
  {
    Rig rig(echo);
    port = rig.server.port();
  }
  Client client;
  try {
    client.perform({.method = "POST", .url = "http://127.0.0.1:" + std::to_string(port) + "/?token=secret"});
    FAIL() << "nobody answered";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::connectionFailed);
    EXPECT_EQ(e.retry(), Retry::later);
    EXPECT_EQ(e.message().find("secret"), std::string::npos) << e.message();
  }
}

TEST(HttpClient, RefusesWhatIsNoUrl) {
  Client client;
  for (const char* url : {"", "nonsense", "file:///etc/passwd", "ftp://x/"}) {
    EXPECT_THROW(client.start({.url = url}, {}), Error) << url;
  }
}

}  // namespace
}  // namespace tidegate::http
