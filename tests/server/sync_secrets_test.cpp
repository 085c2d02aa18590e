/// What a store says of its failure reaches clients without its secrets, whichever way they are told.
#include <gmock/gmock.h>

#include "http/ws_client.h"
#include "server/detail/sync_proto.h"
#include "server/sync_rig.h"

namespace tidegate::server {
namespace {

using http::test::WsClient;
using test::deltaNow;
using test::SyncRig;
using ::testing::HasSubstr;
using ::testing::Not;
using State = http::test::WsReader::State;

class TalkativeStore final : public GatewayStore {
 public:
  void load(const Visitor&) override {}
  void commit(std::span<const Segment>, std::span<const SegmentRef>) override {
    throw Error(ErrorCode::storeUnavailable, Retry::later, "no answer from postgresql://app:hunter2@db/gateway");
  }
};

GatewayOptions withTalkativeStore() {
  GatewayOptions options;
  options.store = std::make_shared<TalkativeStore>();
  return options;
}

TEST(SyncSecrets, AreInNoAnswerToAPush) {
  SyncRig rig({}, {}, withTalkativeStore());
  const SyncPush push{"a", {deltaNow(rig.gateway, "a", "1", {{"n", 1}})}, {}};
  const auto answer = rig.push("client:a", push);
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.body, HasSubstr("no answer from"));
  EXPECT_THAT(answer.body, Not(HasSubstr("hunter2")));

  WsClient text(rig.server->port(), "/v1/sync/main/ws?format=json&token=client:a");
  text.send(R"({"type":"push",)" + toJson(push).substr(1));
  const std::string told = text.readText();
  EXPECT_THAT(told, HasSubstr("no answer from"));
  EXPECT_THAT(told, Not(HasSubstr("hunter2")));

  WsClient binary(rig.server->port(), "/v1/sync/main/ws?token=client:a");
  std::string message(1, static_cast<char>(detail::SyncTag::push));
  detail::appendProto(push, message);
  binary.send(message, http::test::WsOpcode::binary);
  const auto frame = binary.read();
  ASSERT_TRUE(frame && frame->state == State::close);
  EXPECT_THAT(frame->payload, HasSubstr("no answer from"));
  EXPECT_THAT(frame->payload, Not(HasSubstr("hunter2")));
}

}  // namespace
}  // namespace tidegate::server
