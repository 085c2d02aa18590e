/// The laws of section 4 over each kind of home that a gateway can have, and those that are of a gateway alone.
#include <gtest/gtest.h>

#include "contract/gateway_contract.h"
#include "contract/gateway_model.h"
#include "support/manual_clock.h"

namespace tidegate {
namespace {

using contract::GatewayContract;
using contract::GatewayHomeCase;
using contract::gatewayHomeCaseName;
using test::applyTo;
using test::forEachSeed;
using test::kBaseMs;
using test::ManualClock;
using test::ModelView;
using test::Random;
using test::sameView;
using test::stateOf;

constexpr std::uint64_t kSeeds = 1'000;

GatewayOptions with(const Clock& clock) {
  GatewayOptions options;
  options.clock = &clock;
  return options;
}

GatewayHomeCase::Opener memoryStore() {
  return [store = std::make_shared<MemoryGatewayStore>()](GatewayOptions& options) { options.store = store; };
}

GatewayHomeCase::Opener memorySharedLog() {
  return [log = std::make_shared<MemorySharedLog>()](GatewayOptions& options) { options.sharedLog = log->another(); };
}

INSTANTIATE_TEST_SUITE_P(
    Homes, GatewayContract,
    ::testing::Values(GatewayHomeCase{.name = "nothingStored", .seeds = kSeeds, .keeps = false},
                      GatewayHomeCase{.name = "memoryStore", .seeds = 300, .make = memoryStore},
                      GatewayHomeCase{
                          .name = "memorySharedLog", .seeds = 300, .several = true, .make = memorySharedLog}),
    gatewayHomeCaseName);

TEST(GatewayLaws, TheDedupeWindowHoldsTheNewestIdsThroughTrimsOfTheLog) {
  forEachSeed(kSeeds, [](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    GatewayOptions options = with(clock);
    options.retention.dedupeIds = 10;
    options.retention.maxLogEntries = 1;
    Gateway gateway(options);
    std::vector<RowDelta> sent;
    for (int i = 0; i < 60; ++i) {
      RowDelta delta{DeltaOp::insert, "users", std::to_string(i), "c", {{"a", i}}, Hlc::of(kBaseMs), {}};
      delta.deltaId = computeDeltaId(delta);
      ASSERT_EQ(gateway.handlePush({"c", {delta}, {}}).applied, 1u);
      sent.push_back(delta);
      const std::size_t back = random.below(std::min<std::size_t>(10, sent.size()));
      ASSERT_EQ(gateway.handlePush({"c", {sent[sent.size() - 1 - back]}, {}}).duplicates, 1u);
      ASSERT_LE(gateway.stats().dedupeIds, 20u);
    }
  });
}

TEST(GatewayLaws, ARefusedPushUnderPressureLeavesEverythingAndCanBeSentAgain) {
  forEachSeed(kSeeds, [](std::uint64_t seed) {
    Random random(seed);
    ManualClock clock;
    GatewayOptions options = with(clock);
    options.limits.maxBufferBytes = 120'000 + random.below(100'000);
    options.retention.maxLogAge = std::chrono::milliseconds(1'000);
    Gateway gateway(options);
    ModelView wanted;
    int refused = 0;
    for (int i = 0; i < 60 && refused < 3; ++i) {
      RowDelta delta{DeltaOp::insert,  "users", std::to_string(i), "c", {{"a", std::string(random.below(6'000), 'x')}},
                     Hlc::of(kBaseMs), {}};
      const PushResult result = gateway.handlePush({"c", {delta}, {}});
      if (result.status == PushStatus::backPressure) {
        ++refused;
        ASSERT_FALSE(gateway.row("users", delta.rowId));
        clock.advance(std::chrono::seconds(2));
        gateway.enforceRetention();  // the log goes, and room comes back
        continue;
      }
      ASSERT_EQ(result.status, PushStatus::accepted);
      applyTo(wanted, delta);
    }
    ASSERT_TRUE(sameView(stateOf(gateway.snapshot()), wanted));
  });
}

}  // namespace
}  // namespace tidegate
