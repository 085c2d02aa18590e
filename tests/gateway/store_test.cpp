#include "tidegate/gateway/store.h"

#include "contract/gateway_store_contract.h"

namespace tidegate::contract {
namespace {

INSTANTIATE_TEST_SUITE_P(Memory, GatewayStoreContract,
                         ::testing::Values(GatewayStoreCase{.name = "memory",
                                                            .make =
                                                                [] {
                                                                  auto store = std::make_shared<MemoryGatewayStore>();
                                                                  return [store] { return store; };
                                                                }}),
                         gatewayStoreCaseName);

}  // namespace
}  // namespace tidegate::contract
