#include <gmock/gmock.h>

#include "http/ws_client.h"
#include "server/detail/sync_proto.h"
#include "server/sync_rig.h"
#include "tidegate/http/sse.h"

namespace tidegate::server {
namespace {

using namespace std::chrono_literals;
using http::test::eventually;
using http::test::RawClient;
using http::test::WsClient;
using http::test::WsOpcode;
using State = http::test::WsReader::State;
using test::deltaNow;
using test::SyncRig;
using ::testing::HasSubstr;

SyncPush pushOf(Gateway& gateway, const std::string& client, const std::string& row, ColumnValue column = {"n", 1}) {
  return {client, {deltaNow(gateway, client, row, {std::move(column)})}, {}};
}

/// An event stream, read as it comes.
class Events {
 public:
  Events(SyncRig& rig, const std::string& token, const std::string& query = "", const std::string& fields = "")
      : raw(rig.server->port()), parser_([this](const http::SseEvent& event) { events_.push_back(event); }) {
    raw.send("GET /v1/sync/main/events" + query + " HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + token + "\r\n" +
             fields + "\r\n");
    head = raw.readUntil("\r\n\r\n");
  }
  std::optional<http::SseEvent> next() {
    while (events_.empty()) {
      const std::string size = raw.readUntil("\r\n");
      const std::size_t length = size.empty() ? 0 : std::stoul(size, nullptr, 16);
      if (length == 0) return std::nullopt;
      parser_.feed(raw.readBytes(length));
      raw.readBytes(2);
    }
    auto first = std::move(events_.front());
    events_.erase(events_.begin());
    return first;
  }
  RawClient raw;
  std::string head{};

 private:
  std::vector<http::SseEvent> events_{};
  http::SseParser parser_;
};

std::string asWs(const std::string& token, const std::string& more = "") {
  return "/v1/sync/main/ws?token=" + token + more;
}

std::string binary(detail::SyncTag tag, const auto& message) {
  std::string out(1, static_cast<char>(tag));
  detail::appendProto(message, out);
  return out;
}

TEST(SyncEvents, ToldFromNowOnAndResumedByTheLastId) {
  SyncRig rig;
  rig.gateway.handlePush(pushOf(rig.gateway, "x", "old"));
  std::string last;
  {
    Events events(rig, "client:a");
    ASSERT_THAT(events.head, HasSubstr(" 200 "));
    EXPECT_THAT(events.head, HasSubstr("text/event-stream"));
    ASSERT_TRUE(eventually([&] { return rig.sync->stats().events == 1; }));
    rig.gateway.handlePush(pushOf(rig.gateway, "x", "one"));
    const auto event = events.next();
    ASSERT_TRUE(event);
    EXPECT_EQ(event->type, "deltas");
    const PullResult page = pullResultFromJson(event->data);
    ASSERT_EQ(page.deltas.size(), 1u);
    EXPECT_EQ(page.deltas[0].rowId, "one");
    EXPECT_EQ(event->id, page.serverHlc.text());
    last = event->id;
  }
  EXPECT_TRUE(eventually([&] { return rig.sync->stats().events == 0; }));
  rig.gateway.handlePush(pushOf(rig.gateway, "x", "while away"));
  Events again(rig, "client:a", "", "Last-Event-ID: " + last + "\r\n");
  const auto event = again.next();
  ASSERT_TRUE(event);
  EXPECT_EQ(pullResultFromJson(event->data).deltas[0].rowId, "while away");
  Events all(rig, "client:a", "?since=0");
  std::size_t got = 0;
  while (got < 3) {
    const auto each = all.next();
    ASSERT_TRUE(each);
    got += pullResultFromJson(each->data).deltas.size();
  }
  EXPECT_EQ(got, 3u);
}

TEST(SyncEvents, FromTheBeginningOfAnEmptyLogMissesNothing) {
  SyncRig rig;
  Events events(rig, "client:a", "?since=0");
  rig.gateway.handlePush(pushOf(rig.gateway, "x", "first"));
  const auto event = events.next();
  ASSERT_TRUE(event);
  EXPECT_EQ(pullResultFromJson(event->data).deltas[0].rowId, "first");
}

TEST(SyncEvents, HeartbeatsSayHowFarTheClientIs) {
  SyncRig rig({.heartbeat = 20ms});
  rig.gateway.setSyncRules(SyncRules::parse(
      R"({"version":1,"buckets":[{"name":"m","tables":[],"filters":[{"column":"owner","op":"eq","value":"jwt:sub"}]}]})"));
  Events events(rig, "client:a");
  ASSERT_TRUE(eventually([&] { return rig.sync->stats().events == 1; }));
  const Hlc reached = rig.gateway.handlePush(pushOf(rig.gateway, "x", "1", {"owner", "b"})).serverHlc;
  EXPECT_THAT(events.raw.readUntil("id: " + reached.text() + "\n\n"), HasSubstr("id: "));
  EXPECT_THAT(events.raw.readUntil(":\n\n"), HasSubstr(":\n\n"));
}

TEST(SyncEvents, WhoCannotGoOnIsToldToResyncAndEnded) {
  SyncRig rig;
  rig.gateway.handlePush(pushOf(rig.gateway, "x", "1"));
  Events events(rig, "client:a", "?since=1");
  const auto event = events.next();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->type, "resync");
  EXPECT_FALSE(events.next());
  EXPECT_TRUE(eventually([&] { return rig.sync->stats().events == 0; }));
  EXPECT_EQ(rig.sync->stats().resyncs, 1u);
}

TEST(SyncEvents, ASlowReaderCostsNoMemoryAndIsToldToResync) {
  SyncRig rig({.window = 64u << 10, .maxQueuedEntries = 500});
  Events slow(rig, "client:a");
  ASSERT_TRUE(eventually([&] { return rig.sync->stats().events == 1; }));
  std::uint64_t before = 1;
  for (int i = 0; i < 3'000; ++i) {
    rig.gateway.handlePush(pushOf(rig.gateway, "x", std::to_string(i), {"t", std::string(5'000, 'x')}));
  }
  // Nothing more is sent to it: 15 MB wait in the log, not in its connection.
  ASSERT_TRUE(eventually([&] { return std::exchange(before, rig.server->stats().bytesOut) == before; }));
  EXPECT_LT(rig.server->stats().bytesOut, 12u << 20);
  std::string type;
  while (const auto event = slow.next()) type = event->type;
  EXPECT_EQ(type, "resync");
}

TEST(SyncEvents, AreBoundedInAllAndForEachClient) {
  SyncRig rig({.followers = 3, .followersPerClient = 2});
  Events one(rig, "client:a"), two(rig, "client:a"), three(rig, "client:a"), four(rig, "client:b"),
      five(rig, "client:c");
  EXPECT_THAT(two.head, HasSubstr(" 200 "));
  EXPECT_THAT(three.head, HasSubstr(" 429 "));
  EXPECT_THAT(four.head, HasSubstr(" 200 "));
  EXPECT_THAT(five.head, HasSubstr(" 503 "));
  EXPECT_THAT(Events(rig, "client:a", "?clientId=b").head, HasSubstr(" 403 "));
  EXPECT_THAT(Events(rig, "client:a", "?since=x").head, HasSubstr(" 400 "));
}

TEST(SyncWebSocket, SpeaksLakeSyncsBinaryMessages) {
  SyncRig rig;
  // At the path that its clients are configured with, the token in the query, as browsers must.
  WsClient phone(rig.server->port(), "/sync/main/ws?token=client:phone");
  WsClient desk(rig.server->port(), "/sync/main/ws?token=client:desk");
  ASSERT_TRUE(phone.open() && desk.open()) << phone.head;
  phone.send(binary(detail::SyncTag::push, pushOf(rig.gateway, "phone", "1")), WsOpcode::binary);
  auto answer = phone.read();
  if (answer && answer->payload[0] == 3) answer = phone.read();  // its own change, told before the answer
  ASSERT_TRUE(answer && answer->state == State::message);
  const PullResult pushed = detail::pullResultFromProto(answer->payload);
  EXPECT_TRUE(pushed.deltas.empty());

  // Broadcasts begin where its first pull ended: one before it would move its place past what it has not.
  desk.send(binary(detail::SyncTag::pull, SyncPull{"desk", {}, 100}), WsOpcode::binary);
  const PullResult page = detail::pullResultFromProto(desk.readText());
  ASSERT_EQ(page.deltas.size(), 1u);
  EXPECT_EQ(page.deltas[0].rowId, "1");
  const Hlc end = rig.gateway.handlePush(pushOf(rig.gateway, "x", "2")).serverHlc;
  const std::string told = desk.readText();
  EXPECT_EQ(told[0], 3);
  const PullResult broadcast = detail::pullResultFromProto(told.substr(1));
  ASSERT_EQ(broadcast.deltas.size(), 1u);
  EXPECT_EQ(broadcast.deltas[0].rowId, "2");
  EXPECT_EQ(broadcast.serverHlc, end);
}

TEST(SyncWebSocket, AClientsOwnInsertsComeBackAsUpdates) {
  SyncRig rig;
  // LakeSync's client refuses to insert a row that it has, and with it the whole page.
  rig.push("client:a", pushOf(rig.gateway, "a", "1"));
  const PullResult page = pullResultFromJson(rig.pull("client:a", "since=0&clientId=a").body);
  ASSERT_EQ(page.deltas.size(), 1u);
  EXPECT_EQ(page.deltas[0].op, DeltaOp::update);
  EXPECT_EQ(pullResultFromJson(rig.pull("client:b", "since=0&clientId=b").body).deltas[0].op, DeltaOp::insert);
  Events events(rig, "client:a", "?since=0");
  EXPECT_EQ(pullResultFromJson(events.next()->data).deltas.at(0).op, DeltaOp::update);
}

TEST(SyncWebSocket, SpeaksJsonAndRepeatsTheId) {
  SyncRig rig;
  WsClient client(rig.server->port(), asWs("client:a", "&format=json&since=now"));
  std::string push = toJson(pushOf(rig.gateway, "a", "1"));
  client.send(R"({"type":"push","id":7,)" + push.substr(1));
  nlohmann::json pushed, broadcast;
  for (int i = 0; i < 2; ++i) {
    const auto message = nlohmann::json::parse(client.readText());
    (message["type"] == "pushed" ? pushed : broadcast) = message;
  }
  EXPECT_EQ(pushed["id"], 7);
  EXPECT_EQ(pushed["accepted"], 1);
  EXPECT_EQ(broadcast["deltas"][0]["rowId"], "1") << "its own change comes back as the log has it";
  client.send(R"({"type":"pull","id":"p","clientId":"a","sinceHlc":"0"})");
  const auto page = nlohmann::json::parse(client.readText());
  EXPECT_EQ(page["type"], "page");
  EXPECT_EQ(page["id"], "p");
  EXPECT_EQ(page["deltas"].size(), 1u);
  for (const char* bad : {"{", R"({"type":"x","id":1})", R"({"type":"push","clientId":"a"})",
                          R"({"type":"pull","clientId":"b","sinceHlc":"0"})"}) {
    client.send(bad);
    const auto error = nlohmann::json::parse(client.readText());
    EXPECT_EQ(error["type"], "error") << bad;
    EXPECT_FALSE(error["error"].get<std::string>().empty());
  }
}

TEST(SyncWebSocket, ClosesOnWhatLakeSyncsServerClosesOn) {
  SyncRig rig;
  const auto codeFor = [&](std::string message) {
    WsClient client(rig.server->port(), asWs("client:a"));
    client.send(message, WsOpcode::binary);
    return client.closeCode();
  };
  EXPECT_EQ(codeFor("\x01"), 1002);
  EXPECT_EQ(codeFor("\x07xx"), 1002);
  EXPECT_EQ(codeFor("\x01\xFF\xFF"), 1008);
  EXPECT_EQ(codeFor(binary(detail::SyncTag::push, pushOf(rig.gateway, "b", "1"))), 1008) << "another's clientId";
  EXPECT_EQ(codeFor(binary(detail::SyncTag::pull, SyncPull{"b", {}, 1})), 1008);
  EXPECT_TRUE(eventually([&] { return rig.sync->stats().webSockets == 0; }));
}

TEST(SyncWebSocket, WhoMayNotIsRefusedBeforeTheUpgrade) {
  SyncRig rig;
  const auto statusOf = [&](const std::string& path) { return WsClient(rig.server->port(), path).head.substr(9, 3); };
  EXPECT_EQ(statusOf("/v1/sync/main/ws"), "401");
  EXPECT_EQ(statusOf(asWs("forged")), "401");
  EXPECT_EQ(statusOf("/v1/sync/none/ws?token=client:a"), "404");
  EXPECT_EQ(statusOf(asWs("client:a;gw=other")), "403");
  EXPECT_EQ(statusOf(asWs("client:a", "&clientId=b")), "403");
  EXPECT_EQ(rig.ask("GET", "/v1/sync/main/ws", "client:a").status, 426);
  EXPECT_TRUE(eventually([&] { return rig.sync->stats().webSockets == 0; }));
}

TEST(SyncWebSocket, BroadcastsAreFilteredByTheCallersRulesAndViewChangesMeanResync) {
  SyncRig rig;
  const auto rules = [](const char* column) {
    return SyncRules::parse(R"({"version":1,"buckets":[{"name":"m","tables":[],"filters":[{"column":")" +
                            std::string(column) + R"(","op":"eq","value":"jwt:sub"}]}]})");
  };
  rig.gateway.setSyncRules(rules("owner"));
  WsClient a(rig.server->port(), asWs("client:a", "&since=now"));
  ASSERT_TRUE(a.open());
  rig.gateway.handlePush(pushOf(rig.gateway, "x", "of b", {"owner", "b"}));
  rig.gateway.handlePush(pushOf(rig.gateway, "x", "of a", {"owner", "a"}));
  EXPECT_EQ(detail::pullResultFromProto(a.readText().substr(1)).deltas.at(0).rowId, "of a");
  rig.gateway.setSyncRules(rules("other"));
  rig.gateway.handlePush(pushOf(rig.gateway, "x", "3", {"other", "a"}));
  const PullResult told = detail::pullResultFromProto(a.readText().substr(1));
  EXPECT_TRUE(told.mustResync);
  EXPECT_EQ(a.closeCode(), 4009);
}

TEST(SyncWebSocket, TooManyMessagesCloseIt) {
  SyncRig rig({.messagesPerSecond = 20});
  WsClient client(rig.server->port(), asWs("client:a"));
  for (int i = 0; i < 60; ++i) client.send(R"({"type":"none"})");
  EXPECT_EQ(client.closeCode(), 1008);
}

TEST(SyncFollow, StoppingEndsEventsAndSaysGoingAwayToWebSockets) {
  SyncRig rig;
  Events events(rig, "client:a");
  WsClient socket(rig.server->port(), asWs("client:b", "&since=now"));
  ASSERT_TRUE(eventually([&] { return rig.sync->stats().events == 1 && rig.sync->stats().webSockets == 1; }));
  rig.sync->stop();
  EXPECT_EQ(socket.closeCode(), 1001);
  EXPECT_FALSE(events.next());
  EXPECT_THAT(Events(rig, "client:a").head, HasSubstr(" 503 "));
  EXPECT_EQ(rig.sync->stats().events, 0u);
  EXPECT_EQ(rig.push("client:a", pushOf(rig.gateway, "a", "1")).status, 200);
}

}  // namespace
}  // namespace tidegate::server
