/// The gateway's laws over a log that three real servers hold.
#include <gtest/gtest.h>

#include "contract/gateway_contract.h"
#include "nats/gateway_home.h"

namespace tidegate::nats {
namespace {

using contract::GatewayContract;
using contract::GatewayHomeCase;

INSTANTIATE_TEST_SUITE_P(
    NatsCluster, GatewayContract,
    ::testing::Values(GatewayHomeCase{
        .name = "cluster", .seeds = 1, .several = true, .make = [] { return testing::logOpener(3); }}),
    contract::gatewayHomeCaseName);

}  // namespace
}  // namespace tidegate::nats
