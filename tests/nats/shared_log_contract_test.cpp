#include "contract/shared_log_contract.h"

#include "nats/nats_rig.h"
#include "tidegate/nats/gateway_store.h"

namespace tidegate::contract {
namespace {

SharedLogCase::Joiner joinerOf() {
  nats::GatewayStoreOptions options{.connect = nats::testing::serverOptions(), .log = nats::testing::freshName("LOG")};
  options.stream.storage = nats::Storage::memory;
  return [options] { return nats::gatewayStore(options); };
}

INSTANTIATE_TEST_SUITE_P(Nats, SharedLogContract, testing::Values(SharedLogCase{.name = "nats", .make = joinerOf}),
                         sharedLogCaseName);

}  // namespace
}  // namespace tidegate::contract
