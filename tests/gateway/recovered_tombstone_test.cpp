#include <gtest/gtest.h>

#include "tidegate/gateway/gateway.h"

namespace tidegate {
namespace {

class HandClock final : public Clock {
 public:
  std::chrono::milliseconds at{1'700'000'000'000};
  Micros wallNow() const override { return at; }
  Micros steadyNow() const override { return at; }
};

SyncPush onePush(DeltaOp op, const HandClock& clock, std::vector<ColumnValue> columns, const char* rowId = "1") {
  RowDelta delta{
      op, "visits", rowId, "phone", std::move(columns), Hlc::of(static_cast<std::uint64_t>(clock.at.count())), {}};
  delta.deltaId = computeDeltaId(delta);
  return {"phone", {delta}, {}};
}

// Found by the simulator: after a restart the old tombstone was taken for the row that had come back.
TEST(RecoveredTombstone, ARowThatCameBackSurvivesARestartAndThePurgeOfItsTombstone) {
  HandClock clock;
  GatewayOptions options;
  options.clock = &clock;
  options.store = std::make_shared<MemoryGatewayStore>();
  options.retention.tombstoneRetention = std::chrono::seconds{10};
  {
    Gateway gateway(options);
    gateway.handlePush(onePush(DeltaOp::insert, clock, {{"owner", "u1"}}));
    clock.at += std::chrono::seconds{1};
    gateway.handlePush(onePush(DeltaOp::erase, clock, {}));
    clock.at += std::chrono::seconds{1};
    gateway.handlePush(onePush(DeltaOp::insert, clock, {{"owner", "u2"}}));
  }
  Gateway gateway(options);
  clock.at += std::chrono::seconds{60};
  gateway.handlePush(onePush(DeltaOp::insert, clock, {{"owner", "u3"}}, "2"));
  gateway.enforceRetention();
  const auto row = gateway.row("visits", "1");
  ASSERT_TRUE(row.has_value());
  EXPECT_EQ(*row->find("owner"), Value("u2"));
}

}  // namespace
}  // namespace tidegate
