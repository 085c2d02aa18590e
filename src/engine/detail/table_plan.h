/// What a route makes of the rows of one shape.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "engine/detail/compiled_filter.h"
#include "engine/detail/compiled_transform.h"
#include "tidegate/engine/pipeline.h"

namespace tidegate::detail {

/// The sink's name of a route's table.
std::string targetName(const TableRoute& route, const std::string& sourceTable);

/// Everything that is decided once for a shape.
/// @thread Immutable: any.
struct TablePlan {
  /// @throws Error{invalidConfig} where filter, transforms or time to live do not fit the shape.
  TablePlan(const TableRoute& route, Shape sourceShape);

  Shape source, target;
  CompiledFilter filter{};
  CompiledTransform transform{};
  bool transforms = false;
  std::optional<std::size_t> ttlColumn{};  ///< the source's
  std::string ttlTarget{};                 ///< the sink's name of it
  std::chrono::seconds ttlAge{0};

  /// Nothing but the shape has to be replaced.
  bool plain() const noexcept { return filter.matchesEverything() && !transforms && !ttlColumn; }
  /// Whether the row belongs into the sink.
  Verdict wants(const EventRow& row, std::int64_t nowMicros) const;
};
using Plan = std::shared_ptr<const TablePlan>;

/// Where rows become too old, as a value that compares with those of the column.
/// @param like  one of them, or null: then by the column's kind.
Value ttlCutoff(ValueKind kind, const Value& like, std::int64_t nowMicros, std::chrono::seconds age);

/// What becomes of a schema change; null where the target's columns stay as they were.
std::shared_ptr<const SchemaChange> transformedChange(const SchemaChange& change, const TablePlan* before,
                                                      const TablePlan& after);

}  // namespace tidegate::detail
