/// A real SourcePoller between a simulated database that fails and a gateway that is reached over a bad line.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "simulation/sim_database.h"
#include "simulation/sim_gateway.h"
#include "tidegate/source/source_poller.h"

namespace tidegate::sim {

class SimPoller {
 public:
  /// @param tables indices into the plan's tables.
  SimPoller(const Plan& plan, SimRandom random, SimClock& clock, Trace& trace, SimGateway& gateway,
            SimDatabase& database, std::string name, std::vector<std::size_t> tables, Mutation mutation);

  void poll();
  /// Polls, calmly, until two polls in a row bring nothing. Fails the run if that never happens.
  void settle();
  /// Whether the process died in its last poll.
  bool down() const noexcept { return life_.dead; }
  /// The gateway in whose process it lives.
  std::size_t node() const noexcept { return node_; }
  /// Lets go of the poller; `start` makes a new one over what was durable.
  void stop() { poller_.reset(); }
  void start();
  void setFaults(bool on) { life_.faultsOn = on; }

  std::string sender() const { return "ingest:" + name_; }
  const std::vector<std::size_t>& tables() const noexcept { return tables_; }
  std::uint64_t polls() const noexcept { return polls_; }

 private:
  std::size_t node_ = 0;
  IngestSourceConfig config();
  ResultSet answer(const Query& query);
  PushResult push(const SyncPush& push, PushContext context);
  void mutate(SyncPush& push);
  void hide(const Columns& columns, std::vector<std::vector<Value>>& rows);
  void betweenQueries();
  PollReport pollOnce();

  const Plan& plan_;
  SimRandom random_;
  SimClock& clock_;
  Trace& trace_;
  SimGateway& gateway_;
  SimDatabase& database_;
  const std::string name_;
  const std::vector<std::size_t> tables_;
  const Mutation mutation_;
  Mortal life_;
  SimScheduler scheduler_;
  std::shared_ptr<SimStateStore> state_;
  std::shared_ptr<SimSnapshotStore> snapshots_;
  std::unique_ptr<SourcePoller> poller_;
  std::vector<Value> hidden_;
  std::string hiddenColumns_;
  double maxDeleteFraction_;
  int hooksLeft_ = 0;
  std::uint64_t polls_ = 0;
  bool mutated_ = false;
};

}  // namespace tidegate::sim
