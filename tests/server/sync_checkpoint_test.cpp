#include <gmock/gmock.h>

#include "http/raw_client.h"
#include "server/detail/sync_proto.h"
#include "server/sync_rig.h"

namespace tidegate::server {
namespace {

using test::deltaNow;
using test::jsonOf;
using test::SyncRig;

constexpr const char* kStream = "application/x-lakesync-checkpoint-stream";

/// As LakeSync's client reads it: frames of a big-endian length and a SyncResponse.
std::vector<RowDelta> framesOf(std::string_view body, std::size_t& frames) {
  std::vector<RowDelta> deltas;
  for (frames = 0; body.size() >= 4; ++frames) {
    std::size_t length = 0;
    for (int i = 0; i < 4; ++i) length = length << 8 | static_cast<std::uint8_t>(body[static_cast<std::size_t>(i)]);
    if (body.size() < 4 + length) break;
    for (RowDelta& d : detail::pullResultFromProto(body.substr(4, length)).deltas) deltas.push_back(std::move(d));
    body.remove_prefix(4 + length);
  }
  EXPECT_TRUE(body.empty()) << "octets that are no frame";
  return deltas;
}

void fill(Gateway& gateway, int rows, std::size_t bytes = 10) {
  SyncPush push{"seed", {}, {}};
  for (int i = 0; i < rows; ++i) {
    push.deltas.push_back(deltaNow(gateway, "seed", std::to_string(i),
                                   {{"n", i}, {"owner", i % 2 ? "a" : "b"}, {"text", std::string(bytes, 'x')}}));
  }
  ASSERT_EQ(gateway.handlePush(push).status, PushStatus::accepted);
}

TEST(SyncCheckpoint, StreamsFramesAsLakeSyncsClientReadsThem) {
  SyncRig rig({.checkpointChunk = 2'000});
  fill(rig.gateway, 500);
  const auto answer = rig.ask("GET", "/v1/sync/main/checkpoint", "client:a", {}, {{"accept", kStream}});
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.headers.get("content-type"), kStream);
  std::size_t frames = 0;
  const auto deltas = framesOf(answer.body, frames);
  EXPECT_EQ(deltas.size(), 500u);
  EXPECT_GT(frames, 10u);
  EXPECT_EQ(deltas[0].op, DeltaOp::insert);
  // Nothing is missed from there on.
  const std::string hlc(answer.headers.get("x-checkpoint-hlc"));
  rig.gateway.handlePush({"x", {deltaNow(rig.gateway, "x", "new", {{"n", 1}})}, {}});
  const auto page = jsonOf(rig.pull("client:a", "clientId=a&since=" + hlc));
  ASSERT_EQ(page["deltas"].size(), 1u) << page;
  EXPECT_EQ(page["deltas"][0]["rowId"], "new");
}

TEST(SyncCheckpoint, HoldsWhatTheCallersRulesLetItSee) {
  SyncRig rig;
  rig.gateway.setSyncRules(SyncRules::parse(
      R"({"version":1,"buckets":[{"name":"m","tables":[],"filters":[{"column":"owner","op":"eq","value":"jwt:sub"}]}]})"));
  fill(rig.gateway, 100);
  const auto answer = rig.ask("GET", "/v1/sync/main/checkpoint", "client:a", {}, {{"accept", "application/json"}});
  ASSERT_EQ(answer.status, 200);
  const auto body = jsonOf(answer);
  EXPECT_EQ(body["deltas"].size(), 50u);
  EXPECT_EQ(body["snapshotHlc"], std::string(answer.headers.get("x-checkpoint-hlc")));
  for (const auto& d : body["deltas"]) EXPECT_EQ(deltaFromJson(d.dump()).columns[1].value, Value("a"));
  const auto page = jsonOf(rig.pull("client:a", "clientId=a&since=" + body["snapshotHlc"].get<std::string>()));
  EXPECT_FALSE(page.contains("mustResync")) << page;
}

TEST(SyncCheckpoint, OfAnEmptyGatewayIsEmptyInBothForms) {
  SyncRig rig;
  const auto frames = rig.ask("GET", "/v1/sync/main/checkpoint", "client:a");
  EXPECT_EQ(frames.status, 200);
  EXPECT_EQ(frames.body, "");
  EXPECT_EQ(frames.headers.get("x-checkpoint-hlc"), "0");
  const auto json = rig.ask("GET", "/v1/sync/main/checkpoint", "client:a", {}, {{"accept", "application/json"}});
  EXPECT_EQ(json.body, R"({"snapshotHlc":"0","deltas":[]})");
  EXPECT_EQ(rig.ask("GET", "/v1/sync/main/checkpoint?clientId=b", "client:a").status, 403);
}

TEST(SyncCheckpoint, IsMadeAsFastAsItIsReadAndForgottenWithItsReader) {
  SyncRig rig;
  fill(rig.gateway, 2'000, 10'000);  // 20 MB
  {
    http::test::RawClient slow(rig.server->port());
    slow.send("GET /v1/sync/main/checkpoint HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer client:a\r\n\r\n");
    ASSERT_NE(slow.readUntil("\r\n\r\n").find(" 200 "), std::string::npos);
    // It reads no more: what was made for it stays what fits into the buffers of kernel and server.
    std::uint64_t sent = 0;
    ASSERT_TRUE(http::test::eventually([&] { return std::exchange(sent, rig.server->stats().bytesOut) > 0; }));
    EXPECT_LT(rig.server->stats().bytesOut, 18u << 20);
  }
  EXPECT_TRUE(http::test::eventually([&] { return rig.server->stats().streams == 0; }));
  const auto whole = rig.ask("GET", "/v1/sync/main/checkpoint", "client:a");
  std::size_t frames = 0;
  EXPECT_EQ(framesOf(whole.body, frames).size(), 2'000u);
}

}  // namespace
}  // namespace tidegate::server
