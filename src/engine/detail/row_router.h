/// Law 6.4: what a change of a row is for a sink that holds only the rows a filter wants.
#pragma once

#include <cstdint>

#include "engine/detail/table_plan.h"

namespace tidegate::detail {

/// What became of a change.
struct RoutedRow {
  bool filtered = false;  ///< nothing is left of it
  /// The row may be entering the filter, but columns of it are unknown: a sink that lacks it leaves it out.
  bool mayBeMissed = false;
  /// The row is certainly wrong in the sink now, because columns of it are unknown: the table must be read anew.
  bool needsReload = false;
};

/// Appends what the sink shall do: nothing, the change, an insert or erase in its place, or an erase and an insert
/// where the key changed. `event` is an insert, update, erase or read.
RoutedRow routeRow(const TablePlan& plan, const ChangeEvent& event, std::int64_t nowMicros, ChangeBatch& out);

/// Whether the update names another key before than after.
bool keyChanged(const ChangeEvent& update) noexcept;

}  // namespace tidegate::detail
