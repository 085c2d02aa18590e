/// The gateway's laws over a log in JetStream.
#include "contract/gateway_contract.h"

#include <gtest/gtest.h>

#include "nats/gateway_home.h"

namespace tidegate::nats {
namespace {

using contract::GatewayContract;
using contract::GatewayHomeCase;

INSTANTIATE_TEST_SUITE_P(
    Nats, GatewayContract,
    ::testing::Values(GatewayHomeCase{
        .name = "nats", .seeds = 10, .several = true, .make = [] { return testing::logOpener(1); }}),
    contract::gatewayHomeCaseName);

}  // namespace
}  // namespace tidegate::nats
