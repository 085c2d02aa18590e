/// What must hold, in plain maps and loops, without a line of the engine's.
#pragma once

#include <map>
#include <set>
#include <string>

#include "simulation/engine_database.h"
#include "simulation/engine_process.h"
#include "simulation/engine_target.h"
#include "tidegate/sink/dead_letters.h"

namespace tidegate::sim {

/// Dead letters that outlive processes.
class SimLetters final : public DeadLetters {
 public:
  SimLetters(EngineWorld& world) : world_(world) {}
  void add(const DeadLetter& letter) override;
  std::vector<DeadLetter> read(std::string_view pipeline, std::uint64_t afterId, std::size_t limit) const override;
  std::uint64_t count(std::string_view pipeline) const override { return read(pipeline, 0, SIZE_MAX).size(); }
  bool remove(std::uint64_t id) override;
  std::uint64_t purge(std::string_view pipeline) override;
  /// Whether the pipeline ever had a letter for a change at that place.
  bool had(const std::string& pipeline, const LogPlace& place) const;
  /// Whether the row may differ from its source, since a change of it became a letter.
  bool touched(const std::string& pipeline, const std::string& table, const std::string& key) const {
    return touched_.contains(pipeline + " " + table + " " + key);
  }
  /// All rows are right again.
  void repaired(const std::string& pipeline);

 private:
  EngineWorld& world_;
  std::uint64_t made_ = 0;
  std::map<std::pair<std::string, std::string>, DeadLetter> letters_;  ///< by pipeline and position
  std::set<std::pair<std::string, std::string>> ever_;                 ///< their names
  std::set<std::string> touched_;                                      ///< pipeline, table and key of each
};

/// Whether the row passes.
bool modelWants(const FilterPlan& filter, const TableShape& shape, const std::vector<Value>& row);
/// What the sink shall have of it.
SimRow modelRow(const TransformPlan& plan, const TableShape& shape, const std::vector<Value>& row);

/// One pipeline's view of its source and its target.
class EngineOracle {
 public:
  EngineOracle(const EngineDatabase& database, EngineTarget& target, const SimLetters& letters)
      : database_(database), target_(target), letters_(letters) {}

  /// The first place at or before `place` whose change is missing in the durable state; nullopt: none.
  std::optional<LogPlace> firstMissing(const LogPlace& place);
  /// The same for one transaction.
  std::optional<LogPlace> missingOf(std::uint64_t transaction) const;
  /// How the target differs from the filtered and transformed source, a line for each row, but for rows of which a
  /// change is or was a dead letter.
  std::vector<std::string> differences(bool exceptLetters) const;

 private:
  bool durable(const LogPlace& place, const SimChange& change) const;
  bool awaitsReread(const RoutePlan& route, const LogPlace& place) const;

  const EngineDatabase& database_;
  EngineTarget& target_;
  const SimLetters& letters_;
};

}  // namespace tidegate::sim
