/// A simulated source on a simulated database: baselines while writers go on, a stream that breaks, a slot that gets
/// lost.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "simulation/engine_database.h"
#include "simulation/engine_process.h"
#include "tidegate/source/sync_source.h"

namespace tidegate::sim {

class EngineSource final : public SyncSource {
 public:
  using AckCheck = std::function<void(EngineProcess&, const LogPlace&)>;
  EngineSource(EngineDatabase& database, const EngineSourcePlan& plan, std::shared_ptr<EngineProcess> process,
               AckCheck onAck);

  void disconnect() { broken_ = true; }
  /// How far the stream's events were taken, since the last baseline or start.
  const std::optional<LogPlace>& taken() const noexcept { return taken_; }

  void init(const SourceContext& context) override;
  std::vector<TableIssue> validateTables(const std::vector<std::string>& tables) override;
  Shape describeTable(const std::string& table) override;
  Position baseline(const std::vector<std::string>& tables, const ChangeHandler& handler,
                    std::stop_token stop) override;
  void stream(const std::vector<std::string>& tables, const Position& from, const ChangeHandler& handler,
              std::stop_token stop) override;
  void ack(const Position& position) override;
  Position lastAckedPosition() const override;
  bool supportsResume() const override { return true; }
  std::partial_ordering comparePositions(const Position& a, const Position& b) const override;
  Position meet(const Position& a, const Position& b) const override;
  std::string positionToText(const Position& position) const override { return position.octets; }
  Position positionFromText(std::string_view text) const override;
  OrderingGuarantee orderingGuarantee() const override;
  void pause() override { paused_ = true; }
  void resume() override { paused_ = false; }
  SourceState state() const override { return state_.state(); }
  SourceLag lag() const override;
  void close() override;
  std::unique_ptr<RowStream> readTable(const std::string& table, std::stop_token stop) override;

 private:
  void connect(const char* why);
  void maybeFail(const char* what);
  LogPlace startOf(const LogPlace& from);
  bool interrupted(const LogPlace& at, std::stop_token stop);
  void waitIdle(std::stop_token stop);
  LogPlace fill(ChangeBatch& batch, LogPlace at, const std::set<std::string>& tables);
  void add(ChangeBatch& batch, const SimChange& change, const LogPlace& after) const;
  bool offer(ChangeBatch& batch, const ChangeHandler& handler, std::stop_token stop, bool baseline);

  EngineDatabase& database_;
  const EngineSourcePlan& plan_;
  std::shared_ptr<EngineProcess> process_;
  EngineWorld& world_;
  AckCheck onAck_;
  SourceStateMachine state_;
  Scheduler* scheduler_ = nullptr;
  bool paused_ = false, broken_ = false;
  std::optional<LogPlace> taken_{};
};

}  // namespace tidegate::sim
