#include "contract/sync_source_contract.h"
#include "kinesis/stream_database.h"

namespace tidegate::contract {
namespace {

SourceCase kinesisCase(const std::string& name, unsigned shards, bool fanOut = false) {
  SourceAbilities can;
  can.transactions = false;  // records are
  can.lagBytes = false;      // Kinesis tells a time
  can.readsTables = false;   // a snapshot is not the table as it is now
  can.seeds = fanOut ? 1 : 2;
  if (shards > 1) {
    can.exactResume = false;    // shards stand beside each other in another order each time
    can.seesTruncates = false;  // a truncate in one shard has no place among the others' records
  }
  return {.name = name,
          .make = [=] { return std::make_unique<kinesis::testing::StreamDatabase>(shards, fanOut); },
          .can = can};
}

#define TIDEGATE_KINESIS_SOURCE(suite)                                                                            \
  INSTANTIATE_TEST_SUITE_P(                                                                                       \
      Kinesis, suite,                                                                                             \
      ::testing::Values(kinesisCase("one_shard", 1), kinesisCase("three_shards", 3),                              \
                        kinesisCase("one_shard_fan_out", 1, true), kinesisCase("three_shards_fan_out", 3, true)), \
      sourceCaseName)
TIDEGATE_KINESIS_SOURCE(SyncSourceContract);
TIDEGATE_KINESIS_SOURCE(SourceHistories);
TIDEGATE_KINESIS_SOURCE(SourcePositions);
TIDEGATE_KINESIS_SOURCE(SourceFailures);

}  // namespace
}  // namespace tidegate::contract
