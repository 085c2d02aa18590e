#include "contract/gateway_store_contract.h"
#include "contract/state_store_contract.h"
#include "contract/sync_source_contract.h"

using namespace tidegate;
using namespace tidegate::contract;

INSTANTIATE_TEST_SUITE_P(Mine, StateStoreContract,
                         testing::Values(StateStoreCase{
                             .name = "mine",
                             .make = [] { return [store = std::make_shared<MemoryStateStore>()] { return store; }; },
                             .conditional = true}),
                         stateStoreCaseName);

INSTANTIATE_TEST_SUITE_P(
    Mine, GatewayStoreContract,
    testing::Values(GatewayStoreCase{
        .name = "mine", .make = [] { return [store = std::make_shared<MemoryGatewayStore>()] { return store; }; }}),
    gatewayStoreCaseName);

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
