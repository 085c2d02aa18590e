/// The gateway's laws over a SQLite store.
#include "contract/gateway_contract.h"

#include <gtest/gtest.h>

#include "sqlite/temp_database.h"
#include "tidegate/sqlite/gateway_store.h"

namespace tidegate::sqlite {
namespace {

using contract::GatewayContract;
using contract::GatewayHomeCase;

GatewayHomeCase::Opener inNewFile() {
  return [dir = std::make_shared<testing::TempDir>()](GatewayOptions& options) {
    options.store = gatewayStore({.path = *dir / "gateway.db"});
  };
}

INSTANTIATE_TEST_SUITE_P(Sqlite, GatewayContract,
                         ::testing::Values(GatewayHomeCase{.name = "sqlite", .seeds = 3, .make = inNewFile}),
                         contract::gatewayHomeCaseName);

}  // namespace
}  // namespace tidegate::sqlite
