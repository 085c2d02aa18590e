/// The real gateway over a store that breaks, with the models beside it: every answer is checked as it is given.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "simulation/history.h"
#include "simulation/model_gateway.h"
#include "simulation/model_rules.h"
#include "simulation/plan.h"
#include "simulation/sim_clock.h"
#include "simulation/sim_faults.h"
#include "simulation/trace.h"
#include "tidegate/core/error.h"
#include "tidegate/gateway/gateway.h"

namespace tidegate::sim {

class SimGateway {
 public:
  SimGateway(const Plan& plan, SimRandom random, const SimClock& clock, Trace& trace, Mutation mutation);

  /// Pushes to the gateway and checks status, counts, rows and stamps against the models.
  /// @param malformed the sender knows that it must be refused.
  /// @throws Error as the gateway does.
  PushResult push(const SyncPush& push, PushContext context, bool malformed = false);
  void changeRules(ModelRules rules);
  void purgeTable(const std::string& table);
  void enforceRetention();

  Gateway& gateway() noexcept { return *gateway_; }
  /// Whether it must be restarted before it can be used again: it died, or does not know what its store holds.
  bool down() const noexcept { return life_.dead || closed_; }
  /// A process that dies while nothing is being written.
  void kill() { life_.dead = true; }
  /// Opens the store anew and checks that nothing acknowledged is missing. Everything that refers to the old gateway
  /// must be gone.
  void restart();
  void setFaults(bool on) { life_.faultsOn = on; }

  /// Compares every row with the models.
  void checkWhole(const char* when);
  /// Throws CheckFailed with the difference, if a replica is not what its view held at `serverHlc`.
  void checkReplica(const std::string& who, const ModelState& replica, Hlc serverHlc, const ModelRules& rules,
                    const Claims& claims);

  const ModelRules& rules() const noexcept { return rules_; }
  const ModelGateway& model() const noexcept { return model_; }
  const History& history() const noexcept { return history_; }
  const std::set<std::string>& purgedTables() const noexcept { return purged_; }
  std::uint64_t restarts() const noexcept { return restarts_; }
  std::uint64_t purges() const noexcept { return purges_; }

 private:
  using Touched = std::map<Key, std::size_t>;

  GatewayOptions options();
  void open();
  std::optional<ModelRow> rowOf(const Key& key) const;
  bool mustRefuse(const SyncPush& push, PushContext context) const;
  void accepted(const SyncPush& push, PushContext context, const Touched& touched, const PushResult& result);
  void refused(const SyncPush& push, const Touched& touched, const PushResult& result, bool expected);
  void failed(const SyncPush& push, PushContext context, const Touched& touched, const Error& error);
  void checkUnchanged(const Touched& touched, const char* after);
  /// Runs something that may write; true if it took effect, whether or not the gateway came out of it.
  template <class F>
  bool tookEffect(const char* what, F&& call);

  const Plan& plan_;
  SimRandom random_;
  const SimClock& clock_;
  Trace& trace_;
  Mortal life_;
  std::shared_ptr<SimGatewayStore> store_;
  GatewayRetention retention_;
  ModelRules rules_;
  ModelGateway model_;
  History history_;
  std::set<std::string> purged_;
  std::unique_ptr<Gateway> gateway_;
  Touched unrecorded_;  ///< rows of pushes that reached the store though the gateway could not say so
  bool closed_ = false;
  std::uint64_t restarts_ = 0;
  std::uint64_t purges_ = 0;  ///< of tables
};

}  // namespace tidegate::sim
