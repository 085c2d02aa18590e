/// From a source's batch to what a sink applies: drops what the pipeline has, filters, transforms, and keeps the
/// tables' progress.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/detail/drop_rule.h"
#include "engine/detail/piece.h"
#include "engine/detail/route_tables.h"
#include "tidegate/core/clock.h"
#include "tidegate/engine/observer.h"

namespace tidegate::detail {

/// Part of a piece's source batch.
struct RouteInput {
  std::size_t first = 0, last = 0;  ///< events `[first, last)`
  bool baseline = false;            ///< out of `SyncSource::baseline`, not out of `stream`
};

class Router {
 public:
  Router(const PipelineSpec& spec, const SyncSource& source, const Clock& clock, EngineObserver& observer,
         BatchPool& pool)
      : spec_(spec), clock_(clock), observer_(observer), pool_(pool), tables_(spec), drop_(source) {}

  RouteTables& tables() noexcept { return tables_; }
  const RouteTables& tables() const noexcept { return tables_; }
  const DropRule& drop() const noexcept { return drop_; }

  /// A stream begins at or before `seen`, which is what the pipeline has.
  void streamBegins(const Position& seen);
  /// The tables' rows follow.
  void baselineBegins(const std::vector<std::string>& tables);
  /// The call of `baseline` returned `from`.
  void baselineEnds(const std::vector<std::string>& tables, const Position& from);
  /// Asks for a baseline of the table; what the stream says of it until then is left out.
  void want(RouteTable& table);
  /// Forgets the baselines' places that the durable position has passed.
  void passGates(const Position& position);

  /// Fills `piece`. A change that cannot be made ready becomes a fault of the piece.
  /// @throws Error{invalidConfig} where a table's new shape does not fit filter or transforms.
  void route(const RouteInput& input, Piece& piece);
  /// Routes one change alone, out of its order (a dead letter).
  void routeAlone(const ChangeEvent& event, ChangeBatch& out);
  /// Whether tables were asked for anew since the last call.
  bool takeWanted() noexcept { return std::exchange(wanted_, false); }

 private:
  bool fitsInPlace(const RouteInput& input, const Piece& piece);
  void routeInPlace(const RouteInput& input, Piece& piece);
  void routeByCopy(const RouteInput& input, Piece& piece);
  void routeOne(const RouteInput& input, std::size_t at, Piece& piece);
  void routeChange(RouteTable& table, const TablePlan& plan, std::size_t at, Piece& piece);
  bool leftOut(const RouteTable& table, const ChangeEvent& event, bool baseline) const;
  void follow(RouteTable& table, const Plan& plan, const ChangeEvent& event, Piece& piece);
  bool marker(RouteTable& table, const ChangeEvent& event, bool baseline);
  void count(RouteTable& table, const ChangeEvent& event, bool filtered) noexcept;
  void keepBorders(const ChangeEvent& event, std::size_t sizeBefore, Piece& piece);

  const PipelineSpec& spec_;
  const Clock& clock_;
  EngineObserver& observer_;
  BatchPool& pool_;
  RouteTables tables_;
  DropRule drop_;
  std::size_t gates_ = 0;  ///< tables with `now.from`
  bool wanted_ = false;
  bool beginLost_ = false;  ///< the first change of the transaction under way was left out
  std::int64_t nowMicros_ = 0;
};

}  // namespace tidegate::detail
