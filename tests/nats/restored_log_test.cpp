/// A log whose servers were given an older copy of their files, and then went on: gateways that remember more notice.
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "nats/own_server.h"
#include "support/entry_rewriting.h"
#include "tidegate/core/error.h"
#include "tidegate/gateway/gateway.h"
#include "tidegate/nats/gateway_store.h"

namespace tidegate::nats {
namespace {

using testing::OwnServer;
using testing::TempFolder;

std::unique_ptr<OwnServer> serverOn(const std::string& folder) {
  return std::make_unique<OwnServer>("jetstream: {store_dir: \"" + folder + "\"}");
}

std::shared_ptr<SharedLog> logAt(const OwnServer& server) {
  return gatewayStore({.connect = {.servers = {"nats://" + server.address()}}, .log = "RESTORED"});
}

std::unique_ptr<Gateway> gatewayOver(std::shared_ptr<SharedLog> log) {
  return std::make_unique<Gateway>(GatewayOptions{.sharedLog = std::move(log)});
}

void pushRow(Gateway& gateway, const std::string& row) {
  const PushResult result = gateway.handlePush(
      {"c", {{DeltaOp::insert, "users", row, "c", {{"a", row}}, gateway.clock().now(), {}}}, {}}, {.trusted = true});
  ASSERT_EQ(result.applied, 1u) << result.message;
}

/// A log of which entry 3 is "c" for some, and "d" for those who came to its restored copy.
struct RestoredLog : ::testing::Test {
  void SetUp() override {
    now = serverOn(files.path() + "/now");
    {
      const auto north = gatewayOver(logAt(*now));
      pushRow(*north, "b");
    }
    now.reset();
    std::filesystem::copy(files.path() + "/now", files.path() + "/then", std::filesystem::copy_options::recursive);
    now = serverOn(files.path() + "/now");
    then = serverOn(files.path() + "/then");
    end = std::make_shared<test::SwitchedLog>(logAt(*now));
    south = gatewayOver(end);
    pushRow(*south, "c");
    east = gatewayOver(logAt(*then));
    ASSERT_TRUE(east->row("users", "b"));
    pushRow(*east, "d");
  }
  TempFolder files;
  std::unique_ptr<OwnServer> now, then;
  std::shared_ptr<test::SwitchedLog> end;
  std::unique_ptr<Gateway> south, east;
};

TEST_F(RestoredLog, StopsAGatewayThatRemembersWhatItLost) {
  pushRow(*east, "e");
  end->switchTo(logAt(*then));
  for (int i = 0; i < 2; ++i) {
    try {
      south->catchUp();
      ADD_FAILURE() << "it went on with another history";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::logDiverged) << error.what();
      EXPECT_NE(error.message().find("entry 4"), std::string::npos) << error.message();
    }
  }
  EXPECT_FALSE(south->row("users", "e"));
  south = gatewayOver(end);
  EXPECT_TRUE(south->row("users", "e")) << "opened again it is one of those who read this log";
  EXPECT_FALSE(south->row("users", "c"));
}

TEST_F(RestoredLog, StopsTheOthersWhereAGatewayWritesThatRemembersMore) {
  end->switchTo(logAt(*then));
  pushRow(*south, "f");  // entry 3 is the last for the server, as it is for this gateway
  try {
    east->catchUp();
    ADD_FAILURE() << "it took an entry that rests on another history";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::logDiverged) << error.what();
  }
  EXPECT_FALSE(east->row("users", "f"));
}

}  // namespace
}  // namespace tidegate::nats
