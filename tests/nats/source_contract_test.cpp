#include "contract/sync_source_contract.h"
#include "nats/stream_database.h"

namespace tidegate::contract {
namespace {

using nats::Body;
using nats::testing::StreamDatabase;

SourceAbilities natsSourceAbilities(std::uint64_t seeds) {
  SourceAbilities can;
  can.seeds = seeds;  // more by TIDEGATE_SEEDS=n
  return can;
}

const auto kJson = SourceCase{
    .name = "json", .make = [] { return std::make_unique<StreamDatabase>(); }, .can = natsSourceAbilities(2)};
// A unit of several messages is larger than what is held: it is read twice.
const auto kPacked = SourceCase{.name = "packed_small_buffer",
                                .make = [] { return std::make_unique<StreamDatabase>(Body::packed, 100); },
                                .can = natsSourceAbilities(1)};

INSTANTIATE_TEST_SUITE_P(Nats, SyncSourceContract, testing::Values(kJson, kPacked), sourceCaseName);
INSTANTIATE_TEST_SUITE_P(Nats, SourceFailures, testing::Values(kJson, kPacked), sourceCaseName);
INSTANTIATE_TEST_SUITE_P(Nats, SourceHistories, testing::Values(kJson, kPacked), sourceCaseName);
INSTANTIATE_TEST_SUITE_P(Nats, SourcePositions, testing::Values(kJson, kPacked), sourceCaseName);

}  // namespace
}  // namespace tidegate::contract
