/// A GatewayStore that fails at chosen commits, and remembers what a disk would hold.
#pragma once

#include <functional>
#include <memory>

#include "tidegate/core/error.h"
#include "tidegate/gateway/store.h"

namespace tidegate::test {

/// What a commit does.
enum class StoreFault {
  none,
  failsBefore,    ///< nothing was written: Retry::later
  failsAfter,     ///< it was written, but the caller is told that nobody knows: Retry::outcomeUnknown
  tornAndUnknown  ///< nothing was written, and the caller is told that nobody knows
};

/// The disk outlives the process: give it to the next FaultyGatewayStore to restart.
/// @thread As GatewayStore.
class FaultyGatewayStore final : public GatewayStore {
 public:
  using Plan = std::function<StoreFault()>;
  explicit FaultyGatewayStore(std::shared_ptr<MemoryGatewayStore> disk, Plan plan = {})
      : disk_(std::move(disk)), plan_(std::move(plan)) {}

  void load(const Visitor& visit) override { disk_->load(visit); }

  void commit(std::span<const Segment> puts, std::span<const SegmentRef> drops) override {
    const StoreFault fault = plan_ ? plan_() : StoreFault::none;
    if (fault == StoreFault::failsBefore) {
      throw Error(ErrorCode::storeUnavailable, Retry::later, "the disk is full; free some space");
    }
    if (fault != StoreFault::tornAndUnknown) disk_->commit(puts, drops);
    if (fault != StoreFault::none) {
      throw Error(ErrorCode::storeUnavailable, Retry::outcomeUnknown, "the disk went away; open the gateway again");
    }
  }

 private:
  std::shared_ptr<MemoryGatewayStore> disk_;
  Plan plan_;
};

}  // namespace tidegate::test
