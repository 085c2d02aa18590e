/// The tables of a pipeline and how far each is.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/detail/checkpoint.h"
#include "engine/detail/table_plan.h"

namespace tidegate::detail {

struct RouteTable {
  std::string name{};  ///< the source's full name
  const TableRoute* route = nullptr;
  TableProgress now{}, durable{};  ///< as routed, and as of the last commit
  Plan plan{};                     ///< for `now.shape`; null while that is null
  Plan durablePlan{};
  bool prepared = false;  ///< the sink was told of it since it was opened, or will be in the open unit
  bool warned = false;    ///< that rows may be missed
  Value timeLike{};       ///< a value of the time-to-live column, for its form
  std::uint64_t baselineRows = 0, changes = 0, filtered = 0;
};

/// @thread One at a time.
class RouteTables {
 public:
  explicit RouteTables(const PipelineSpec& spec) : spec_(spec) {}

  /// Gives each route the full name that its events will have. @throws Error{invalidConfig} if two have the same.
  void name(const std::vector<std::string>& fullNames);
  /// Takes what a checkpoint says; tables that it does not know are wanted.
  void adopt(const Checkpoint& checkpoint);
  /// Fills in the tables of a checkpoint, and the hole.
  void fill(Checkpoint& checkpoint) const;

  std::vector<RouteTable>& all() noexcept { return tables_; }
  const std::vector<RouteTable>& all() const noexcept { return tables_; }
  RouteTable* find(std::string_view name) noexcept;
  const RouteTable* find(std::string_view name) const noexcept;

  /// The plan of an event's table and shape, made where it is new; null for a table of no route.
  /// @throws Error{invalidConfig}
  struct Lookup {
    RouteTable* table = nullptr;
    Plan plan{};
  };
  const Lookup& lookup(const Shape& shape);
  /// The same, or nullptr where it would have to be made.
  const Lookup* known(const Shape& shape) const noexcept;

  std::optional<Hole> hole{};  ///< what `dropOldest` threw away, as routed
  bool changed = false;        ///< since the last commit
  bool stale = false;          ///< the next checkpoint has to be written anew, but is not needed for it

  /// The open unit became durable, or was undone.
  void committed();
  void undone();

 private:
  static constexpr std::size_t kMostShapes = 4'096;
  const PipelineSpec& spec_;
  std::vector<RouteTable> tables_;
  std::optional<Hole> durableHole_{};
  std::unordered_map<const TableShape*, std::pair<Shape, Lookup>> byShape_;
};

}  // namespace tidegate::detail
