/// A client: follows the gateway by pages, snapshots or a subscription into a plain map, and pushes edits of its own.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "simulation/sim_gateway.h"

namespace tidegate::sim {

/// Makes a client's deltas: honest ones, and ones that must be refused.
class ClientEdits {
 public:
  ClientEdits(const Plan& plan, SimRandom random, const SimClock& clock, std::string clientId);

  struct Pending {
    SyncPush push;
    bool malformed = false;
  };
  Pending draw(const ModelState& replica);
  HlcClock& hlc() noexcept { return hlc_; }
  Micros skew() const noexcept { return skew_; }

 private:
  RowDelta edit(const ModelState& replica);
  void spoil(SyncPush& push);

  const Plan& plan_;
  SimRandom random_;
  const std::string clientId_;
  const Micros skew_;
  SkewedClock clock_;
  HlcClock hlc_;
};

class SimClient {
 public:
  SimClient(const Plan& plan, SimRandom random, const SimClock& clock, Trace& trace, SimGateway& gateway,
            std::string id, Mutation mutation);

  /// Does one thing: edits, pushes, pulls, reads its subscription, goes on with a snapshot, or stays offline.
  void step();
  /// Pushes all that waits and pulls to the end. @return false if the gateway went down on the way.
  bool settle();
  /// Checks the replica against the gateway's state now.
  void checkSettled();
  /// Lets go of everything that belongs to a gateway that died.
  void gatewayDied(std::size_t node);
  std::uint64_t pages() const noexcept { return pages_; }

 private:
  void move();
  void edit();
  void push();
  void pushAgain();
  bool pull(std::size_t pages);
  void follow();
  void readEvent();
  void beginSnapshot();
  void readSnapshot(std::size_t rows);
  void apply(const std::vector<RowDelta>& deltas, const char* where);
  void apply(const RowDelta& delta, const char* where);
  void advance(const std::vector<RowDelta>& deltas, Hlc serverHlc, const char* where);
  void mustResync(const std::string& reason);
  void changeClaims();
  PushResult send(const ClientEdits::Pending& pending);

  const Plan& plan_;
  SimRandom random_;
  Trace& trace_;
  SimGateway& gateway_;
  const std::string id_;
  const Mutation mutation_;
  ClientEdits edits_;
  std::size_t node_ = 0;  ///< the gateway that it talks to
  std::size_t subscriptionNode_ = 0, snapshotNode_ = 0;
  Claims claims_;
  int claimChanges_ = 0;
  ModelState replica_;
  Hlc since_;
  std::deque<ClientEdits::Pending> pending_;
  std::vector<SyncPush> sent_;  ///< a few accepted ones, to be sent again
  std::unique_ptr<Subscription> subscription_;
  std::optional<GatewaySnapshot> snapshot_;
  ModelState collected_;
  ModelRules snapshotRules_;
  std::uint64_t snapshotPurges_ = 0;  ///< a snapshot begun before a purge may still show the table
  bool resync_ = false;
  std::size_t offlineSteps_ = 0;
  std::uint64_t pages_ = 0;
};

}  // namespace tidegate::sim
