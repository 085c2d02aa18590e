/// A simulated sink: what is durable, and the connection that a process has to it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "simulation/engine_database.h"
#include "simulation/engine_process.h"
#include "tidegate/sink/sink.h"

namespace tidegate::sim {

/// A row by column, so that no schema change moves anything.
using SimRow = std::map<std::string, Value>;

struct TargetTable {
  std::vector<std::string> columns{};
  std::map<std::string, SimRow> rows{};  ///< by key
  std::set<std::string> named{};         ///< keys that the baseline under way, or a later change, named
  bool baselining = false;
  bool whole = false;                  ///< a baseline ended, and no other began
  std::optional<LogPlace> baseline{};  ///< of the last whole one
  std::uint64_t baselineNumber = 0;    ///< of the same
};

/// One change as a sink meets it. A key that changed is two of them.
struct AppliedChange {
  LogPlace place{};
  ChangeOp op = ChangeOp::insert;
  auto operator<=>(const AppliedChange&) const = default;
};

/// Outlives processes, unless its plan says that it keeps no checkpoints.
class EngineTarget {
 public:
  EngineTarget(const EnginePlan& plan, const PipelinePlan& pipeline) : plan_(plan), pipeline_(pipeline) {}

  const PipelinePlan& pipeline() const noexcept { return pipeline_; }
  const std::map<std::string, TargetTable>& tables() const noexcept { return tables_; }
  /// Whether a change counts in the durable state.
  bool applied(const LogPlace& place) const { return places_.contains(place); }
  /// The place of the whole baseline that the durable state stands on, if there is one.
  std::optional<LogPlace> baselineOf(const std::string& target) const;
  const EngineSourcePlan& source() const { return plan_.sources[pipeline_.source]; }
  /// Whether each change must come once, and to the row that it was made on.
  bool exact() const { return !source().bestEffort && pipeline_.traits.keepsCheckpoints; }

  /// How many baselines have ended, whatever became of them, and which of them a table stands on.
  std::uint64_t baselines() const noexcept { return baselines_; }
  std::uint64_t baselineNumber(const std::string& target) const;

  /// Somebody changes, takes out or adds a row. @return what was done; empty: nothing.
  std::string tamper(SimRandom& random);

  void fence() { ++writer_; }
  void fillDisk(Micros until) { fullUntil_ = until; }
  /// The disk has room, and another writer that nobody met has gone again.
  void mend() {
    fullUntil_ = Micros{0};
    writer_ = opened_;
  }
  /// The process that used it is gone.
  void processGone();

  LogPlace verified{};  ///< of the ack check: nothing up to here is missing

 private:
  friend class EngineSink;
  const EnginePlan& plan_;
  const PipelinePlan& pipeline_;
  // Durable.
  std::map<std::string, TargetTable> tables_;
  std::optional<std::string> checkpoint_;
  std::set<AppliedChange> changes_;
  std::set<LogPlace> places_;
  std::uint64_t writer_ = 0, opened_ = 0, baselines_ = 0;
  Micros fullUntil_{0};
  bool skipNext_ = false;  ///< of a mutation
  std::optional<std::map<std::string, TargetTable>> held_{};
};

class EngineSink final : public Sink {
 public:
  using CommitCheck = std::function<void(EngineProcess&, const std::set<std::uint64_t>& transactions)>;
  /// @param wasUpdate whether the change at a place is an update that kept its key (for a mutation).
  EngineSink(EngineTarget& target, std::shared_ptr<EngineProcess> process, CommitCheck onCommit,
             std::function<bool(const LogPlace&)> wasUpdate);

  SinkTraits traits() const override { return target_.pipeline_.traits; }
  std::optional<std::string> open(const SinkContext& context) override;
  void prepareTable(const Shape& shape) override;
  void apply(const ChangeBatch& batch) override;
  void commit(std::string_view checkpoint) override;
  void rollback() noexcept override;
  void close() noexcept override;
  std::unique_ptr<RowStream> readTable(const Shape& shape, std::stop_token stop) override;

 private:
  void requireOpen(const char* call);
  void dawdle();
  [[noreturn]] void refuse(ErrorCode code, Retry retry, const std::string& why);
  void maybeRefuse(const char* call);
  void applyOne(const ChangeEvent& event);
  void applyRow(TargetTable& table, const ChangeEvent& event);
  void count(const ChangeEvent& event);
  void follow(TargetTable& table, const ChangeEvent& event);
  void checkBefore(const TargetTable& table, const ChangeEvent& event, const SimRow* held);
  void makeDurable(std::string_view checkpoint);
  [[noreturn]] void fail(std::string_view check, const std::string& detail);

  EngineTarget& target_;
  std::shared_ptr<EngineProcess> process_;
  EngineWorld& world_;
  CommitCheck onCommit_;
  std::function<bool(const LogPlace&)> wasUpdate_;
  bool open_ = false, broken_ = false;
  std::uint64_t writer_ = 0;
  std::map<std::string, TargetTable> working_;
  /// Columns by table, and what stood at the last commit.
  std::map<std::string, std::vector<std::string>> prepared_, durablyPrepared_;
  std::vector<AppliedChange> pending_;
};

}  // namespace tidegate::sim
