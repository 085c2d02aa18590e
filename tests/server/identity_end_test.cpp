/// What outlives a request does not outlive the token that it was asked with.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "http/ws_client.h"
#include "server/sync_rig.h"
#include "support/manual_clock.h"
#include "tidegate/http/sse.h"
#include "tidegate/server/change_feed.h"

namespace tidegate::server {
namespace {

using namespace std::chrono_literals;
using http::test::eventually;
using http::test::RawClient;
using http::test::WsClient;
using test::deltaNow;
using ::testing::HasSubstr;
using State = http::test::WsReader::State;

/// Callers named "brief" have a token that ends; all others' hold for ever.
class BriefTokens final : public Authenticator {
 public:
  /// @param until nullopt: soon after it was shown.
  explicit BriefTokens(std::optional<Clock::Micros> until) : until_(until) {}
  Identity identify(const http::Request& request) const override {
    Identity who = all_.identify(request);
    if (who.subject == "brief") who.until = until_.value_or(systemClock().wallNow() + 150ms);
    return who;
  }

 private:
  test::TokenSaysAll all_{};
  const std::optional<Clock::Micros> until_;
};

/// A gateway and a change feed on one server.
struct BriefRig {
  explicit BriefRig(const Clock& clock, std::optional<Clock::Micros> until = {})
      : feed(std::make_shared<ChangeFeed>(ChangeFeedOptions{.listeners = 1, .clock = &clock})),
        sync({{.name = "main", .gateway = &gateway}}, {.heartbeat = 1h, .clock = &clock}) {
    sync.addTo(api);
    addChangeFeed(api, feed);
    server.emplace(http::ServerOptions{}, api.handler(std::make_shared<BriefTokens>(until)));
    server->onStopping([this] { sync.stop(); });
    server->start();
  }
  void change(const std::string& row) { gateway.handlePush({"x", {deltaNow(gateway, "x", row, {{"n", 1}})}, {}}); }

  Gateway gateway;
  std::shared_ptr<ChangeFeed> feed;
  SyncApi sync;
  Api api;
  std::optional<http::Server> server;
};

std::unique_ptr<RawClient> streamOf(const BriefRig& rig, const std::string& path, const std::string& token) {
  auto raw = std::make_unique<RawClient>(rig.server->port());
  raw->send("GET " + path + " HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + token + "\r\n\r\n");
  EXPECT_THAT(raw->readUntil("\r\n\r\n"), HasSubstr(" 200 "));
  return raw;
}

/// Its next events up to "ended"; some, where that never comes, as signs of life go on for ever.
std::string upToEnded(RawClient& raw) {
  std::string out;
  for (int i = 0; i < 4 && out.find("event: ended") == std::string::npos; ++i) out += raw.readUntil("\n\n");
  return out;
}

TEST(IdentityEnd, ClosesAWebSocketThatSaysNothing) {
  BriefRig rig(systemClock());
  WsClient brief(rig.server->port(), "/v1/sync/main/ws?since=now&format=json&token=client:brief");
  WsClient lasting(rig.server->port(), "/v1/sync/main/ws?since=now&format=json&token=client:lasting");
  ASSERT_TRUE(brief.open() && lasting.open());
  const auto frame = brief.read();
  ASSERT_TRUE(frame && frame->state == State::close);
  EXPECT_EQ(frame->code, 1008);
  EXPECT_THAT(frame->payload, HasSubstr("the token has ended"));
  EXPECT_TRUE(eventually([&] { return rig.sync.stats().webSockets == 1; }));
  rig.change("after");
  EXPECT_THAT(lasting.readText(), HasSubstr("after"));
}

/// One that never pulled follows nothing, and is closed all the same.
TEST(IdentityEnd, ClosesAWebSocketThatFollowsNothing) {
  BriefRig rig(systemClock());
  WsClient brief(rig.server->port(), "/v1/sync/main/ws?token=client:brief");
  ASSERT_TRUE(brief.open());
  EXPECT_EQ(brief.closeCode(), 1008);
}

TEST(IdentityEnd, IsByTheInjectedClockAndLooksAtEveryMessage) {
  tidegate::test::ManualClock clock;
  BriefRig rig(clock, clock.wallNow() + 1h);
  WsClient brief(rig.server->port(), "/v1/sync/main/ws?format=json&token=client:brief");
  ASSERT_TRUE(brief.open());
  const std::string pull = R"({"type":"pull","clientId":"brief","sinceHlc":"0"})";
  brief.send(pull);
  EXPECT_THAT(brief.readText(), HasSubstr("\"page\""));
  clock.stepWall(1h);
  brief.send(pull);
  const auto frame = brief.read();
  ASSERT_TRUE(frame && frame->state == State::close);
  EXPECT_EQ(frame->code, 1008);
}

TEST(IdentityEnd, EndsAnEventStreamAndSaysWhy) {
  BriefRig rig(systemClock());
  const auto lasting = streamOf(rig, "/v1/sync/main/events", "client:lasting");
  const auto brief = streamOf(rig, "/v1/sync/main/events", "client:brief");
  EXPECT_THAT(upToEnded(*brief), HasSubstr("event: ended\ndata: {\"reason\":\"the token has ended"));
  EXPECT_TRUE(eventually([&] { return rig.sync.stats().events == 1 && rig.server->stats().streams == 1; }));
  rig.change("after");
  EXPECT_THAT(lasting->readUntil("after"), HasSubstr("event: deltas"));
}

TEST(IdentityEnd, EndsAListenerOfTheChangesAndGivesItsPlaceBack) {
  tidegate::test::ManualClock clock;
  BriefRig rig(clock, clock.wallNow() + 1h);
  const auto brief = streamOf(rig, "/admin/changes", "admin:brief");
  rig.feed->note("here", "noted", "before");
  EXPECT_THAT(brief->readUntil("before"), HasSubstr("event: event"));
  clock.stepWall(1h);
  EXPECT_THAT(upToEnded(*brief), HasSubstr("event: ended\ndata: {\"reason\":\"the token has ended"));
  EXPECT_TRUE(eventually([&] { return rig.server->stats().streams == 0; })) << "it said so, and went on";
  EXPECT_TRUE(eventually([&] {
    RawClient raw(rig.server->port());
    raw.send("GET /admin/changes HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer admin:lasting\r\n\r\n");
    return raw.readUntil("\r\n\r\n").find(" 200 ") != std::string::npos;
  }));
}

/// More than fits between a server and a client that does not read.
void fillMuch(Gateway& gateway) {
  for (int part = 0; part < 8; ++part) {
    SyncPush push{"seed", {}, {}};
    for (int i = 0; i < 200; ++i) {
      push.deltas.push_back(
          deltaNow(gateway, "seed", std::to_string(part * 1'000 + i), {{"text", std::string(20'000, 'x')}}));
    }
    ASSERT_EQ(gateway.handlePush(push).status, PushStatus::accepted);
  }
}

TEST(IdentityEnd, CutsACheckpointThatIsStillBeingRead) {
  tidegate::test::ManualClock clock;
  BriefRig rig(clock, clock.wallNow() + 1h);
  fillMuch(rig.gateway);
  const auto lasting = streamOf(rig, "/v1/sync/main/checkpoint", "client:lasting");
  const auto brief = streamOf(rig, "/v1/sync/main/checkpoint", "client:brief");
  clock.stepWall(1h);
  EXPECT_FALSE(brief->readAll().ends_with("0\r\n\r\n")) << "it was told all, after its token had ended";
  EXPECT_THAT(lasting->readUntil("\r\n0\r\n\r\n"), ::testing::EndsWith("\r\n0\r\n\r\n"));
}

TEST(IdentityEnd, CutsACheckpointThatNobodyReads) {
  BriefRig rig(systemClock());
  fillMuch(rig.gateway);
  const auto brief = streamOf(rig, "/v1/sync/main/checkpoint", "client:brief");
  EXPECT_TRUE(eventually([&] { return rig.server->stats().streams == 0; }));
  EXPECT_FALSE(brief->readAll().ends_with("0\r\n\r\n"));
}

}  // namespace
}  // namespace tidegate::server
