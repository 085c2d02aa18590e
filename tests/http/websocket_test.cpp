#include "tidegate/http/websocket.h"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <mutex>
#include <vector>

#include "http/server_rig.h"
#include "http/ws_client.h"

namespace tidegate::http {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::WsClient;
using test::WsClose;
using test::WsOpcode;
using State = test::WsReader::State;

/// Sends back what it gets, and keeps its sockets and how they ended.
struct EchoServer {
  explicit EchoServer(WebSocketOptions options = {}, ServerOptions serverOptions = {})
      : rig([this, options](Request&& request, Responder answer) { serve(request, std::move(answer), options); },
            std::move(serverOptions)) {}

  void serve(const Request& request, Responder answer, const WebSocketOptions& options) {
    auto socket = acceptWebSocket(request, std::move(answer),
                                  {.onMessage =
                                       [this](const WebSocket& from, std::string&& message, bool binary) {
                                         ++messages;
                                         if (message == "pause") return from.pause();
                                         if (message == "throw") throw std::runtime_error("secret");
                                         from.send(std::move(message), binary);
                                       },
                                   .onClosed =
                                       [this](std::uint16_t code, std::string_view) {
                                         const std::lock_guard lock(mutex);
                                         closed.push_back(code);
                                       }},
                                  options);
    const std::lock_guard lock(mutex);
    if (socket) sockets.push_back(*std::move(socket));
  }
  std::vector<std::uint16_t> closedWith() {
    const std::lock_guard lock(mutex);
    return closed;
  }
  WebSocket last() {
    const std::lock_guard lock(mutex);
    return sockets.back();
  }
  std::uint16_t port() const { return rig.server.port(); }

  std::mutex mutex;
  std::vector<WebSocket> sockets{};
  std::vector<std::uint16_t> closed{};
  std::atomic<int> messages{0};
  test::Rig rig;
};

TEST(WebSocket, CarriesTextAndBinaryBothWaysInOrder) {
  EchoServer server;
  WsClient client(server.port());
  ASSERT_TRUE(client.open()) << client.head;
  EXPECT_NE(client.head.find("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), std::string::npos);
  EXPECT_NE(client.head.find("Connection: Upgrade"), std::string::npos);
  EXPECT_EQ(client.head.find("Content-Length"), std::string::npos);
  const std::string large(200'000, 'x');
  client.send("one");
  client.send("frag", WsOpcode::binary, false);
  client.send("p", WsOpcode::ping);
  client.send("mented", WsOpcode::continuation);
  client.send(large);
  EXPECT_EQ(client.readText(), "one");
  EXPECT_EQ(client.read()->state, State::pong);
  EXPECT_EQ(client.readText(), "fragmented");
  EXPECT_EQ(client.readText(), large);
}

TEST(WebSocket, ClosesAsThePeerDoesAndTellsOnce) {
  EchoServer server;
  WsClient client(server.port());
  client.send(detail::wsClosePayload(3001, "done"), WsOpcode::close);
  EXPECT_EQ(client.closeCode(), 3001);
  EXPECT_TRUE(client.raw.closedByServer());
  ASSERT_TRUE(eventually([&] { return server.closedWith().size() == 1; }));
  EXPECT_EQ(server.closedWith()[0], 3001);
  EXPECT_EQ(server.last().send("late"), WebSocket::kGone);
}

TEST(WebSocket, ClosesOnWhatTheProtocolForbids) {
  EchoServer server({.maxMessageBytes = 1'000});
  const std::vector<std::pair<std::string, std::uint16_t>> cases{
      {std::string("\x81\x05Hello", 7), WsClose::protocolError},  // unmasked
      {std::string("\xF1\x80", 2), WsClose::protocolError},
      {std::string("\x82\xFE\x03\xE9\x01\x02\x03\x04", 8), WsClose::tooLarge},
      {std::string("\x81\x81\x00\x00\x00\x00\xFF", 7), WsClose::notUtf8}};
  for (const auto& [octets, code] : cases) {
    WsClient client(server.port());
    client.raw.send(octets);
    EXPECT_EQ(client.closeCode(), code);
    EXPECT_TRUE(client.raw.closedByServer());
  }
  WsClient thrown(server.port());
  thrown.send("throw");
  const auto frame = thrown.read();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->code, WsClose::failed);
  EXPECT_EQ(frame->payload.find("secret"), std::string::npos);
  EXPECT_TRUE(eventually([&] { return server.closedWith().size() == 4; }));
}

TEST(WebSocket, AnswersWhatIsNoHandshake) {
  EchoServer server({.protocol = "v1"});
  const auto answerTo = [&](std::string request) { return test::RawClient(server.port()).ask(request); };
  const auto plain = answerTo("GET /ws HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(plain.status, 426);
  EXPECT_EQ(test::RawClient::field(plain.head, "upgrade"), "websocket");
  std::string old = test::handshake("/ws", "Sec-WebSocket-Protocol: v1\r\n");
  EXPECT_EQ(answerTo(old.replace(old.find("Version: 13"), 11, "Version: 8")).status, 426);
  std::string keyless = test::handshake("/ws", "Sec-WebSocket-Protocol: v1\r\n");
  EXPECT_EQ(answerTo(keyless.replace(keyless.find("dGhl"), 4, "")).status, 400);
  EXPECT_EQ(answerTo(test::handshake("/ws", "Sec-WebSocket-Protocol: v0\r\n")).status, 400);
  WsClient offers(server.port(), "/ws", "Sec-WebSocket-Protocol: v0, v1\r\n");
  EXPECT_TRUE(offers.open());
  EXPECT_EQ(test::RawClient::field(offers.head, "sec-websocket-protocol"), "v1");
}

TEST(WebSocket, PagesOfOtherOriginsMayNotOpenOne) {
  EchoServer closed;
  EXPECT_TRUE(WsClient(closed.port(), "/ws", "Origin: https://a.example\r\n").open()) << "the server's own origin";
  EXPECT_FALSE(WsClient(closed.port(), "/ws", "Origin: https://evil.example\r\n").open());
  EXPECT_FALSE(WsClient(closed.port(), "/ws", "Origin: null\r\n").open());
  EchoServer listed({}, {.cors = {.origins = {"https://app.example"}}});
  EXPECT_TRUE(WsClient(listed.port(), "/ws", "Origin: https://app.example\r\n").open());
  EXPECT_FALSE(WsClient(listed.port(), "/ws", "Origin: https://app.example.evil\r\n").open());
  EchoServer any({}, {.cors = {.origins = {"*"}}});
  EXPECT_TRUE(WsClient(any.port(), "/ws", "Origin: https://evil.example\r\n").open());
}

TEST(WebSocket, GivesUpAPeerThatAnswersNoPing) {
  EchoServer server({.pingInterval = 30ms});
  WsClient deaf(server.port());
  ASSERT_TRUE(deaf.open());
  EXPECT_TRUE(deaf.raw.closedByServer());
  ASSERT_TRUE(eventually([&] { return server.closedWith().size() == 1; }));
  EXPECT_EQ(server.closedWith()[0], WsClose::gone);

  EchoServer patient({.pingInterval = 500ms});  // the client must get its turn within it
  WsClient answers(patient.port());
  for (int i = 0; i < 3; ++i) {
    const auto frame = answers.read();
    ASSERT_TRUE(frame && frame->state == State::ping) << i;
    answers.send(frame->payload, WsOpcode::pong);
  }
  EXPECT_TRUE(patient.closedWith().empty());
}

TEST(WebSocket, TellsOfAPeerThatIsCut) {
  EchoServer server;
  {
    WsClient client(server.port());
    client.send("x");
    client.readText();
    client.raw.reset();
  }
  ASSERT_TRUE(eventually([&] { return server.closedWith().size() == 1; }));
  EXPECT_EQ(server.closedWith()[0], WsClose::gone);
}

TEST(WebSocket, APausedSocketKeepsWhatComesUntilItIsResumed) {
  EchoServer server;
  WsClient client(server.port());
  client.send("pause");
  ASSERT_TRUE(eventually([&] { return server.messages == 1; }));
  for (int i = 0; i < 100; ++i) client.send(std::to_string(i));
  client.send("", WsOpcode::ping);
  EXPECT_EQ(server.messages, 1);
  server.last().resume();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(client.readText(), std::to_string(i));
  EXPECT_EQ(client.read()->state, State::pong);
}

TEST(WebSocket, ASlowReaderIsTakenNoMoreFromThanItReads) {
  EchoServer server({.maxMessageBytes = 1u << 20, .maxQueuedBytes = 1u << 20});
  WsClient slow(server.port());
  const std::string chunk(100'000, 'x');
  // It never reads: the server stops reading from it once its own answers stand in a queue.
  timeval patience{0, 200'000};
  setsockopt(slow.raw.fd(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  int sent = 0;
  while (sent < 2'000 && slow.send(chunk)) ++sent;
  EXPECT_LT(sent, 400) << "the kernel's buffers, and little more";
  EXPECT_LT(server.last().pending(), 2u << 20);
}

TEST(WebSocket, ASenderThatDoesNotBoundItselfIsEnded) {
  EchoServer server({.maxQueuedBytes = 1u << 20});
  WsClient slow(server.port());
  ASSERT_TRUE(eventually([&] {
    const std::lock_guard lock(server.mutex);
    return !server.sockets.empty();
  }));
  const WebSocket socket = server.last();
  std::size_t queued = 0;
  for (int i = 0; i < 10'000 && queued != WebSocket::kGone; ++i) queued = socket.send(std::string(50'000, 'x'));
  EXPECT_EQ(queued, WebSocket::kGone);
  EXPECT_EQ(slow.closeCode(), WsClose::tryLater) << "what was queued still arrives, and the reason after it";
}

TEST(WebSocket, AServerThatStopsSaysGoingAway) {
  EchoServer server;
  WsClient client(server.port());
  client.send("x");
  EXPECT_EQ(client.readText(), "x");
  std::thread stopping([&] { EXPECT_TRUE(server.rig.server.stop(10s)); });
  const auto frame = client.read();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->code, WsClose::goingAway);
  client.send(detail::wsClosePayload(1001, ""), WsOpcode::close);
  stopping.join();
  EXPECT_EQ(server.closedWith().size(), 1u);
}

std::size_t residentKiB() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stoul(line.substr(6));
  }
  return 0;
}

TEST(WebSocket, ThousandsOfIdleOnesNeedLittleMemory) {
  constexpr std::size_t kSockets = 400;  // both ends are in this process; the load test holds thousands
  EchoServer server;
  const std::size_t before = residentKiB();
  std::vector<std::unique_ptr<WsClient>> clients;
  for (std::size_t i = 0; i < kSockets; ++i) {
    clients.push_back(std::make_unique<WsClient>(server.port()));
    ASSERT_TRUE(clients.back()->open());
  }
  const double each = static_cast<double>(residentKiB() - before) / kSockets;
  RecordProperty("KiB each, both ends", std::to_string(each));
  std::printf("%.1f KiB for each idle socket, both ends\n", each);
  EXPECT_LT(each, 64);
}

}  // namespace
}  // namespace tidegate::http
