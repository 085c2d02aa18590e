/// Column-level last-writer-wins, usable without a gateway (design, law 4.2).
///
/// A row is a set of registers (value, hlc, clientId), one per column, and a life register. A register takes the
/// greater (hlc, clientId); where those are equal too, the greater canonical JSON of the value, so that the outcome
/// never depends on order. An erase hides every register that is not later than it; a later write brings back only what
/// was written later. The row is visible while an insert or a column is later than the last erase.
///
///     RowState state;
///     for (const RowDelta& d : deltas) merge(state, d);   // any order, any of them twice: the same state
///
/// Origin: LakeSync's column LWW; differs in that merging never lends one column another's stamp.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tidegate/core/delta.h"

namespace tidegate {

/// Who wrote, and when. Ordered by (hlc, clientId); the default stamp is earlier than any real one.
struct Stamp {
  Hlc hlc;
  std::string clientId;
  auto operator<=>(const Stamp&) const = default;
};

/// One column's last-writer-wins register.
struct Register {
  Value value;
  Stamp stamp;
  bool operator==(const Register&) const = default;
};

/// All registers of one row. Registers hidden by `erased` are dropped.
struct RowState {
  Stamp inserted;                           ///< the greatest insert seen
  Stamp erased;                             ///< the greatest erase seen
  std::map<std::string, Register> columns;  ///< only those later than `erased`

  /// Whether the row exists for a reader.
  bool visible() const noexcept;
  bool operator==(const RowState&) const = default;
};

/// What a merge did to what readers see: none, or the ops that turn the old visible row into the new one.
/// An erase that arrives late and hides only some columns gives {erase, insert}: a delta has no way to remove one
/// column.
struct MergeEffect {
  struct Step {
    DeltaOp op;
    std::vector<ColumnValue> columns;  ///< insert: the whole visible row; update: the columns that won and differ
  };
  std::vector<Step> steps;    ///< empty where nothing visible changed
  bool stateChanged = false;  ///< whether any register changed, visible or not
};

/// Merges one delta. Commutative, associative and idempotent over the resulting state.
MergeEffect merge(RowState& state, const RowDelta& delta);

/// Merges two states: the least state that contains both. Same laws.
RowState merge(const RowState& a, const RowState& b);

}  // namespace tidegate
