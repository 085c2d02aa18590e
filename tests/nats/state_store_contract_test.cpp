#include "contract/state_store_contract.h"

#include "nats/nats_rig.h"
#include "tidegate/nats/state_store.h"

namespace tidegate::contract {
namespace {

StateStoreCase::Opener openerOf(std::uint64_t fence) {
  nats::StateStoreOptions options{.connect = nats::testing::serverOptions(), .bucket = nats::testing::freshName("B")};
  options.stream.storage = nats::Storage::memory;
  options.fence = fence;
  return [options] { return nats::stateStore(options); };
}

INSTANTIATE_TEST_SUITE_P(Nats, StateStoreContract,
                         testing::Values(StateStoreCase{.name = "nats", .make = [] { return openerOf(0); }},
                                         StateStoreCase{.name = "nats_fenced", .make = [] { return openerOf(7); }}),
                         stateStoreCaseName);

}  // namespace
}  // namespace tidegate::contract
