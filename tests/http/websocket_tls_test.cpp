/// WebSockets over TLS: what they carry and how they end, where octets come in records.
#include <gtest/gtest.h>

#include <mutex>
#include <string>
#include <vector>

#include "http/certificates.h"
#include "http/server_rig.h"
#include "http/tls_client.h"
#include "http/ws_client.h"
#include "tidegate/http/websocket.h"

namespace tidegate::http {
namespace {

using test::eventually;
using test::TlsClient;
using test::WsClose;
using test::WsOpcode;
using State = test::WsReader::State;
using WssClient = test::BasicWsClient<TlsClient>;

/// Sends back what it gets; "bye" closes with 3002.
class SecureEcho {
 public:
  SecureEcho()
      : rig_([this](Request&& request, Responder answer) { serve(request, std::move(answer)); },
             {.tls = {.certificate = files().path("server.pem"), .key = files().path("server.key")}}) {}

  WssClient client() const { return {TlsClient(rig_.server.port(), files().path("ca.pem")), "/ws"}; }
  std::vector<std::uint16_t> closed() {
    const std::lock_guard lock(mutex_);
    return closed_;
  }

 private:
  static const test::Certificates& files() {
    static const test::Certificates made;
    return made;
  }
  void serve(const Request& request, Responder answer) {
    EXPECT_TRUE(request.tls);
    const auto onMessage = [](const WebSocket& from, std::string&& message, bool binary) {
      if (message == "bye") return from.close(3002, "as you wish");
      from.send(std::move(message), binary);
    };
    const auto onClosed = [this](std::uint16_t code, std::string_view) {
      const std::lock_guard lock(mutex_);
      closed_.push_back(code);
    };
    acceptWebSocket(request, std::move(answer), {.onMessage = onMessage, .onClosed = onClosed});
  }

  std::mutex mutex_{};
  std::vector<std::uint16_t> closed_{};
  test::Rig rig_;
};

TEST(SecureWebSocket, CarriesMessagesLargerThanARecordBothWays) {
  SecureEcho server;
  WssClient client = server.client();
  ASSERT_TRUE(client.open()) << client.head;
  std::string large;
  for (int i = 0; large.size() < 900'000; ++i) large += std::to_string(i);
  client.send("one");
  client.send(large, WsOpcode::binary);
  client.send("p", WsOpcode::ping);
  EXPECT_EQ(client.readText(), "one");
  EXPECT_TRUE(client.readText() == large);
  EXPECT_EQ(client.read()->state, State::pong);
}

TEST(SecureWebSocket, ReadsFramesHoweverRecordsCutThem) {
  SecureEcho server;
  WssClient client = server.client();
  std::string frames;
  for (const char* text : {"alpha", "beta", "gamma"}) {
    detail::appendMaskedFrame(WsOpcode::text, text, 0x01020304, frames);
  }
  client.raw.send(frames);  // three in one record
  for (const char octet : frames) client.raw.send(std::string(1, octet));
  for (const char* expected : {"alpha", "beta", "gamma", "alpha", "beta", "gamma"}) {
    EXPECT_EQ(client.readText(), expected);
  }
}

TEST(SecureWebSocket, SaysGoodbyeInBothProtocols) {
  SecureEcho server;
  WssClient client = server.client();
  client.send("bye");
  const auto frame = client.read();
  ASSERT_TRUE(frame && frame->state == State::close);
  EXPECT_EQ(frame->code, 3002);
  client.send(detail::wsClosePayload(3002, ""), WsOpcode::close);
  EXPECT_TRUE(client.raw.closedInGoodOrder());
  EXPECT_TRUE(eventually([&] { return server.closed() == std::vector<std::uint16_t>{3002}; }));
}

TEST(SecureWebSocket, TellsOfAPeerThatWentWithoutAWord) {
  SecureEcho server;
  WssClient client = server.client();
  client.send("here");
  EXPECT_EQ(client.readText(), "here");
  client.raw.reset();
  EXPECT_TRUE(eventually([&] { return server.closed() == std::vector<std::uint16_t>{WsClose::gone}; }));
}

}  // namespace
}  // namespace tidegate::http
