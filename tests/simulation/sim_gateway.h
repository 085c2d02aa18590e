/// The real gateway over a store that breaks, or several over a log that does, with the models beside: every answer is
/// checked as it is given.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "simulation/history.h"
#include "simulation/model_gateway.h"
#include "simulation/model_rules.h"
#include "simulation/plan.h"
#include "simulation/sim_clock.h"
#include "simulation/sim_faults.h"
#include "simulation/sim_shared_log.h"
#include "simulation/trace.h"
#include "tidegate/core/error.h"
#include "tidegate/gateway/gateway.h"

namespace tidegate::sim {

class SimGateway {
 public:
  SimGateway(const Plan& plan, SimRandom random, const SimClock& clock, Trace& trace, Mutation mutation);

  /// Pushes to a gateway and checks status, counts, rows and stamps against the models.
  /// @param malformed the sender knows that it must be refused.
  /// @throws Error as the gateway does.
  PushResult push(const SyncPush& push, PushContext context, bool malformed = false, std::size_t node = 0);
  void changeRules(ModelRules rules);
  void purgeTable(const std::string& table);
  void enforceRetention();
  /// Of several: one stores a snapshot in the log.
  void saveSnapshot();
  /// Of several: wakes come, or not yet; late entries arrive.
  void passNews();

  std::size_t nodes() const noexcept { return nodes_.size(); }
  /// One that is up; draws nothing where there is only one.
  std::size_t pick(SimRandom& random) const;
  Gateway& gateway(std::size_t node = 0) noexcept { return *nodes_[node].gateway; }
  /// Whether it must be restarted before it can be used again: it died, does not know what its store holds, or lost its
  /// place in the log.
  bool down(std::size_t node) const noexcept { return nodes_[node].life.dead || nodes_[node].closed; }
  bool down() const noexcept;
  /// A caller met this error at a gateway.
  void noteError(std::size_t node, const Error& error);
  /// A process that dies while nothing is being written.
  void kill();
  /// Opens the store anew, or joins the log, and checks that nothing acknowledged is missing. Everything that refers to
  /// the old gateway must be gone.
  void restart(std::size_t node);
  void setFaults(bool on);
  /// Of several: everything under way arrives, and everybody has it. Those that lost their place are down afterwards.
  void settle();

  /// Compares every row of every gateway with the models.
  void checkWhole(const char* when);
  /// Throws CheckFailed with the difference, if a replica is not what its view held at `serverHlc`.
  void checkReplica(const std::string& who, const ModelState& replica, Hlc serverHlc, const ModelRules& rules,
                    const Claims& claims);

  const ModelRules& rules() const noexcept { return rules_; }
  /// The rules as this gateway has them by now.
  const ModelRules& rules(std::size_t node) const;
  const ModelGateway& model() const noexcept { return model_; }
  const History& history() const noexcept { return history_; }
  const std::set<std::string>& purgedTables() const noexcept { return purged_; }
  std::uint64_t restarts() const noexcept { return restarts_; }
  std::uint64_t purges() const noexcept { return purges_; }

 private:
  using Touched = std::map<Key, std::size_t>;

  struct Node {
    Mortal life{};
    std::shared_ptr<SimSharedLog> log{};  ///< null: a store
    std::unique_ptr<Gateway> gateway{};
    bool closed = false;
  };

  bool several() const noexcept { return plan_.gateways > 1; }
  GatewayOptions options();
  void open(std::size_t node);
  void beginCall();
  std::size_t reached() const;
  void noteRules(const ModelRules& rules);
  std::optional<ModelRow> rowOf(const Key& key);
  static std::optional<ModelRow> rowAt(const Gateway& gateway, const Key& key);
  bool mustRefuse(const SyncPush& push, PushContext context, std::size_t node) const;
  void accepted(const SyncPush& push, PushContext context, const Touched& touched, const PushResult& result,
                std::size_t node);
  void refused(const SyncPush& push, const Touched& touched, const PushResult& result, bool expected);
  void failed(const SyncPush& push, PushContext context, const Touched& touched, const Error& error, std::size_t node);
  void failedShared(const SyncPush& push, PushContext context, const Touched& touched, const Error& error,
                    std::size_t node);
  void recordNow(const Touched& touched);
  void checkUnchanged(const Touched& touched, const char* after);
  /// Runs something that may write on any gateway, and `then` if, and when, it took effect.
  void takeEffect(const char* what, const std::function<void(Gateway&)>& call, const std::function<void()>& then);

  const Plan& plan_;
  SimRandom random_;
  const SimClock& clock_;
  Trace& trace_;
  const Mutation mutation_;
  SimQuorum quorum_;
  std::deque<Node> nodes_;
  std::shared_ptr<SimGatewayStore> store_;  ///< of the only gateway
  GatewayRetention retention_;
  ModelRules rules_;
  ModelGateway model_;
  History history_;
  std::set<std::string> purged_;
  std::map<std::string, ModelRules> ruleBook_;  ///< by fingerprint
  std::unique_ptr<Gateway> observer_;           ///< of several: one more, to which nothing ever happens
  Touched unrecorded_;  ///< rows of pushes that reached the store though the gateway could not say so
  std::uint64_t restarts_ = 0;
  std::uint64_t purges_ = 0;  ///< of tables
};

}  // namespace tidegate::sim
