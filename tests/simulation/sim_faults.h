/// The things that break: a gateway's store, a poller's state and snapshots. Each can fail cleanly, die before or after
/// it did what it was asked (a crash: from then on every call fails until the owner is restarted), and tells the truth
/// about what happened to the oracle.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "simulation/plan.h"
#include "simulation/sim_random.h"
#include "simulation/trace.h"
#include "tidegate/core/state_store.h"
#include "tidegate/gateway/store.h"
#include "tidegate/source/snapshot_store.h"

namespace tidegate::sim {

/// Whether the process that owns a fault point is dead, and whether faults happen at all now.
struct Mortal {
  bool dead = false;
  bool faultsOn = true;
};

/// A gateway's store. What `commit` acknowledged survives every crash; what it did not, may.
class SimGatewayStore final : public GatewayStore {
 public:
  SimGatewayStore(const Plan& plan, SimRandom random, Mortal& owner, Trace& trace, Mutation mutation);

  void load(const Visitor& visit) override;
  void commit(std::span<const Segment> puts, std::span<const SegmentRef> drops) override;

  /// What became of the commits since `beginCall`.
  struct Truth {
    std::size_t applied = 0;
    std::size_t refused = 0;
  };
  void beginCall() { truth_ = {}; }
  const Truth& truth() const noexcept { return truth_; }
  /// The owner died: what the device had not really kept is gone (only under Mutation::loseCommit).
  void crash();

 private:
  void apply(std::span<const Segment> puts, std::span<const SegmentRef> drops);

  const Plan& plan_;
  SimRandom random_;
  Mortal& owner_;
  Trace& trace_;
  const Mutation mutation_;
  std::map<SegmentRef, std::string> segments_;
  std::map<SegmentRef, std::string> kept_;  ///< under Mutation::loseCommit: the segments before a commit to be lost
  bool losing_ = false;
  Truth truth_;
};

/// A poller's cursors.
class SimStateStore final : public StateStore {
 public:
  SimStateStore(const Plan& plan, SimRandom random, Mortal& owner, Trace& trace);
  std::optional<std::string> get(std::string_view key) override;
  void put(std::string_view key, std::string_view octets) override;
  void remove(std::string_view key) override;
  void forgetAll() { entries_.clear(); }

 private:
  const Plan& plan_;
  SimRandom random_;
  Mortal& owner_;
  Trace& trace_;
  std::map<std::string, std::string, std::less<>> entries_;
};

/// A poller's snapshots, durable at `commit` only.
class SimSnapshotStore final : public SnapshotStore, public std::enable_shared_from_this<SimSnapshotStore> {
 public:
  SimSnapshotStore(const Plan& plan, SimRandom random, Mortal& owner, Trace& trace);
  std::unique_ptr<TableSnapshot> open(std::string_view key) override;
  void forgetAll() { tables_.clear(); }

 private:
  friend class SimTableSnapshot;
  using Rows = std::map<std::string, std::string, std::less<>>;

  const Plan& plan_;
  SimRandom random_;
  Mortal& owner_;
  Trace& trace_;
  std::map<std::string, std::shared_ptr<Rows>> tables_;  ///< what is durable
};

}  // namespace tidegate::sim
