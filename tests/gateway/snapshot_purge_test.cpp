#include <gtest/gtest.h>

#include "tidegate/gateway/gateway.h"

namespace tidegate {
namespace {

SyncPush ownerPush(DeltaOp op, std::uint64_t millis, const char* owner) {
  RowDelta delta{op, "visits", "1", "phone", {{"owner", owner}}, Hlc::of(millis), {}};
  delta.deltaId = computeDeltaId(delta);
  return {"phone", {delta}, {}};
}

// Found by the simulator: the state kept for an older snapshot was shown to a newer one.
TEST(SnapshotPurge, ASnapshotAfterAPurgeIsEmptyThoughAnOlderOneIsStillOpen) {
  Gateway gateway;
  gateway.handlePush(ownerPush(DeltaOp::insert, 10, "u1"));
  const GatewaySnapshot older = gateway.snapshot();
  gateway.handlePush(ownerPush(DeltaOp::update, 20, "u2"));
  gateway.purgeTable("visits");
  GatewaySnapshot newer = gateway.snapshot();
  RowDelta row;
  EXPECT_FALSE(newer.next(row));
}

}  // namespace
}  // namespace tidegate
