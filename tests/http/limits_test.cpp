#include <gtest/gtest.h>

#include "http/server_rig.h"
#include "support/sanitized.h"

namespace tidegate::http {
namespace {

using namespace std::chrono_literals;
using test::echo;
using test::eventually;
using test::kGet;
using test::RawClient;
using test::Rig;

/// The status of what the server says before it closes; the client goes on sending meanwhile.
int refusal(Rig& rig, const std::string& octets) {
  RawClient client = rig.client();
  client.send(octets);
  const auto answer = client.readAnswer();
  EXPECT_EQ(RawClient::field(answer.head, "Connection"), "close") << answer.head;
  EXPECT_EQ(RawClient::field(answer.head, "content-type"), "application/problem+json");
  client.halfClose();
  EXPECT_TRUE(client.closedByServer());
  return answer.status;
}

TEST(HttpLimits, RefuseWithAClearStatusAndClose) {
  Rig rig(echo, {.limits = {.headerBytes = 4096, .targetBytes = 1024, .bodyBytes = 1000}});
  EXPECT_EQ(refusal(rig, "GET /" + std::string(1100, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n"), 414);
  EXPECT_EQ(refusal(rig, "GET / HTTP/1.1\r\nX: " + std::string(5000, 'a') + "\r\n\r\n"), 431);
  EXPECT_EQ(refusal(rig, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n"), 413);
  EXPECT_EQ(refusal(rig, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx"), 400);
  EXPECT_EQ(refusal(rig, "GET / HTTP/1.1\nHost: a\n\n"), 400);
  EXPECT_EQ(refusal(rig, "GET /../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(refusal(rig, "\x16\x03\x01\x02\x00\x01\x00"), 400);
  EXPECT_EQ(rig.server.stats().refused, 7u);
}

TEST(HttpLimits, ServeNothingBehindARefusedRequest) {
  std::atomic<int> served{0};
  Rig rig([&](Request&& request, Responder answer) {
    ++served;
    echo(std::move(request), std::move(answer));
  });
  EXPECT_EQ(
      refusal(rig,
              "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + kGet),
      400);
  EXPECT_EQ(served, 0);
}

TEST(HttpLimits, StopEndlessHeadersWithoutKeepingThem) {
  Rig rig(echo);
  RawClient client = rig.client();
  client.send("GET / HTTP/1.1\r\n");
  const std::string line = "x-padding: " + std::string(1000, 'a') + "\r\n";
  int sent = 0;
  while (sent < 1000 && client.send(line)) ++sent;
  const auto answer = client.readAnswer();
  EXPECT_EQ(answer.status, 431);
}

TEST(HttpLimits, StopEndlessBodies) {
  Rig rig(echo, {.limits = {.bodyBytes = 100'000}});
  RawClient client = rig.client();
  client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "3e8\r\n" + std::string(1000, 'b') + "\r\n";
  for (int i = 0; i < 200 && client.send(chunk); ++i) {
  }
  EXPECT_EQ(client.readAnswer().status, 413);
  EXPECT_LT(rig.server.stats().bytesIn, 1u << 20);
}

TEST(HttpLimits, GiveUpASlowHead) {
  Rig rig(echo, {.limits = {.headerTimeout = 200ms}});
  RawClient client = rig.client();
  // An octet now and then does not prolong it.
  std::string answered;
  for (int i = 0; i < 200 && answered.empty(); ++i) {
    client.send(i == 0 ? "GET / HTTP/1.1\r\nX: " : "a");
    pollfd waiting{client.fd(), POLLIN, 0};
    if (poll(&waiting, 1, 20) > 0) answered = client.readUntil("\r\n\r\n");
  }
  EXPECT_TRUE(answered.starts_with("HTTP/1.1 408 ")) << answered;
  EXPECT_TRUE(client.closedByServer());
}

TEST(HttpLimits, GiveUpABodyThatStops) {
  Rig rig(echo, {.limits = {.bodyTimeout = 100ms}});
  RawClient client = rig.client();
  EXPECT_EQ(client.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc").status, 408);
  EXPECT_TRUE(client.closedByServer());
}

TEST(HttpLimits, CloseIdleConnectionsSilently) {
  Rig rig(echo, {.limits = {.idleTimeout = 100ms}});
  RawClient fresh = rig.client();
  EXPECT_EQ(fresh.readAll(), "");
  RawClient used = rig.client();
  EXPECT_EQ(used.ask(kGet).status, 200);
  EXPECT_EQ(used.readAll(), "");
  EXPECT_TRUE(eventually([&] { return rig.server.stats().open == 0; }));
}

TEST(HttpLimits, LeaveAWaitingRequestAlone) {
  Rig rig(
      [](Request&&, Responder answer) {
        const auto shared = std::make_shared<Responder>(std::move(answer));
        shared->after(400ms, [shared] { shared->send({.body = "late"}); });
      },
      {.limits = {.headerTimeout = 50ms, .bodyTimeout = 50ms, .idleTimeout = 50ms, .writeTimeout = 50ms}});
  RawClient client = rig.client();
  EXPECT_EQ(client.ask(kGet).body, "late");
}

TEST(HttpLimits, TurnAwayConnectionsOverTheirNumber) {
  Rig rig(echo, {.limits = {.connections = 3}});
  std::vector<RawClient> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(rig.client());
    EXPECT_EQ(clients.back().ask(kGet).status, 200);
  }
  RawClient fourth = rig.client();
  EXPECT_TRUE(fourth.readAll().starts_with("HTTP/1.1 503 "));
  clients.pop_back();
  ASSERT_TRUE(eventually([&] { return rig.server.stats().open == 2; }));
  RawClient again = rig.client();
  EXPECT_EQ(again.ask(kGet).status, 200);
}

TEST(HttpLimits, TurnAwayConnectionsOverTheirNumberFromOneAddress) {
  Rig rig(echo, {.threads = 2, .limits = {.connectionsPerAddress = 3}});
  for (int round = 0; round < 20; ++round) {
    std::vector<RawClient> clients;
    for (int i = 0; i < 3; ++i) {
      clients.push_back(rig.client());
      ASSERT_EQ(clients.back().ask(kGet).status, 200);
    }
    RawClient fourth = rig.client();
    EXPECT_TRUE(fourth.readAll().starts_with("HTTP/1.1 503 "));
    // Each end gives the place back: the peer's, a refusal's, and one in the middle of a request.
    clients[0].send("nonsense\r\n\r\n");
    clients[1].send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12");
    clients.clear();
    ASSERT_TRUE(eventually([&] { return rig.server.stats().open == 0; }));
  }
}

TEST(HttpLimits, CountAnIpv6CustomerAsOne) {
  EXPECT_EQ(addressGroup("2001:db8:1:2::1"), addressGroup("2001:db8:1:2:ffff::9"));
  EXPECT_NE(addressGroup("2001:db8:1:2::1"), addressGroup("2001:db8:1:3::1"));
  EXPECT_EQ(addressGroup("::ffff:10.1.2.3"), addressGroup("10.1.2.3"));
  EXPECT_NE(addressGroup("10.1.2.3"), addressGroup("10.1.2.4"));
  EXPECT_EQ(addressGroup("fe80::1%eth0"), addressGroup("fe80::2"));
  EXPECT_EQ(addressGroup("unix"), "unix");
}

TEST(HttpLimits, HoldAPipelinedFloodWithoutReadingIt) {
  Rig rig([](Request&&, Responder answer) {
    const auto shared = std::make_shared<Responder>(std::move(answer));
    shared->onGone([shared] {});
  });
  RawClient client = rig.client();
  client.send(kGet);
  ASSERT_TRUE(eventually([&] { return rig.server.stats().bytesIn == kGet.size(); }));
  // The first is never answered. What follows stays in the kernel's buffers, and fills them.
  const timeval patience{1, 0};
  setsockopt(client.fd(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  std::string flood;
  while (flood.size() < (1u << 20)) flood += kGet;
  int sent = 0;
  while (sent < 64 && client.send(flood)) ++sent;
  EXPECT_LT(sent, 64);
  EXPECT_LT(rig.server.stats().bytesIn, 100'000u);
}

/// A sanitizer's allocator keeps what was freed.
using tidegate::test::kSanitized;

TEST(HttpLimits, AnswerFiftyThousandTinyRequestsInLittleMemory) {
  const auto residentKib = [] {
    std::FILE* file = std::fopen("/proc/self/statm", "r");
    long total = 0;
    long resident = 0;
    const int read = std::fscanf(file, "%ld %ld", &total, &resident);
    std::fclose(file);
    return read == 2 ? resident * (sysconf(_SC_PAGESIZE) / 1024) : 0;
  };
  Rig rig(echo);
  RawClient client = rig.client();
  std::string hundred;
  for (int i = 0; i < 100; ++i) hundred += "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  const std::size_t length = client.ask(kGet).head.size() + 5;  // "GET /" for "GET /x": one octet less of body
  long before = 0;
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(client.send(hundred));
    ASSERT_EQ(client.readBytes(100 * length).size(), 100 * length);
    if (i == 50) before = residentKib();
  }
  EXPECT_EQ(rig.server.stats().requests, 50'001u);
  if (!kSanitized) {
    EXPECT_LT(residentKib() - before, 4096);
  }
}

}  // namespace
}  // namespace tidegate::http
