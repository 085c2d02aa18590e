#include "tidegate/core/conflict.h"

#include <algorithm>
#include <compare>

#include "core/detail/json_write.h"
#include "core/detail/packed.h"

namespace tidegate {
namespace {

/// Which of two values written under one stamp stays: by canonical JSON, and, where kinds differ but their JSON does
/// not (text "1" and Decimal 1), by the packed form, so that the order is total.
std::strong_ordering compareForTie(const Value& a, const Value& b) {
  if (a == b) return std::strong_ordering::equal;
  std::string x;
  std::string y;
  detail::appendCanonicalValue(a, x);
  detail::appendCanonicalValue(b, y);
  if (x == y) {
    detail::packValue(a, x);
    detail::packValue(b, y);
  }
  return x.compare(y) <=> 0;
}

bool winsOver(const Register& challenger, const Register& holder) {
  const auto order = challenger.stamp <=> holder.stamp;
  if (order != 0) return order > 0;
  return compareForTie(challenger.value, holder.value) > 0;
}

bool hides(const Stamp& erased, const Stamp& written) { return written <= erased; }

/// Drops the registers that the erase hides. @return whether there were any.
bool dropHidden(RowState& state) {
  return std::erase_if(state.columns, [&](const auto& entry) { return hides(state.erased, entry.second.stamp); }) > 0;
}

/// Every visible column, in the map's order.
std::vector<ColumnValue> visibleRow(const RowState& state) {
  std::vector<ColumnValue> row;
  row.reserve(state.columns.size());
  for (const auto& [column, held] : state.columns) row.push_back({column, held.value});
  return row;
}

/// What a delta's registers did to a state.
struct RegisterChanges {
  bool any = false;
  std::map<std::string, Value> before;  ///< the old value of columns that had one and lost it
  std::vector<std::string> touched;     ///< columns that won, once each, in the delta's order
};

RegisterChanges takeColumns(RowState& state, const RowDelta& delta, const Stamp& stamp) {
  RegisterChanges changes;
  if (hides(state.erased, stamp)) return changes;
  for (const ColumnValue& c : delta.columns) {
    Register challenger{c.value, stamp};
    const auto at = state.columns.find(c.column);
    if (at == state.columns.end()) {
      state.columns.emplace(c.column, std::move(challenger));
      changes.touched.push_back(c.column);
    } else if (winsOver(challenger, at->second)) {
      // Unless the delta names a column twice, in which case the first displaced value is what readers saw.
      if (std::find(changes.touched.begin(), changes.touched.end(), c.column) == changes.touched.end()) {
        changes.before.emplace(c.column, std::move(at->second.value));
        changes.touched.push_back(c.column);
      }
      at->second = std::move(challenger);
    } else {
      continue;
    }
    changes.any = true;
  }
  return changes;
}

/// The columns that won and that a reader can tell from what it had.
std::vector<ColumnValue> differingColumns(const RowState& state, const RegisterChanges& changes) {
  std::vector<ColumnValue> differing;
  for (const std::string& column : changes.touched) {
    const Value& now = state.columns.at(column).value;
    const auto old = changes.before.find(column);
    if (old == changes.before.end() || !sameValue(old->second, now)) differing.push_back({column, now});
  }
  return differing;
}

MergeEffect mergeErase(RowState& state, Stamp stamp) {
  MergeEffect effect;
  if (!hides(state.erased, stamp)) {
    const bool wasVisible = state.visible();
    state.erased = std::move(stamp);
    effect.stateChanged = true;
    const bool dropped = dropHidden(state);
    if (wasVisible && !state.visible()) {
      effect.steps.push_back({DeltaOp::erase, {}});
    } else if (wasVisible && dropped) {
      effect.steps.push_back({DeltaOp::erase, {}});
      effect.steps.push_back({DeltaOp::insert, visibleRow(state)});
    }
  }
  return effect;
}

}  // namespace

bool RowState::visible() const noexcept { return inserted > erased || !columns.empty(); }

MergeEffect merge(RowState& state, const RowDelta& delta) {
  Stamp stamp{delta.hlc, delta.clientId};
  if (delta.op == DeltaOp::erase) return mergeErase(state, std::move(stamp));
  MergeEffect effect;
  const bool wasVisible = state.visible();
  if (delta.op == DeltaOp::insert && stamp > state.inserted) {
    state.inserted = stamp;
    effect.stateChanged = true;
  }
  const RegisterChanges changes = takeColumns(state, delta, stamp);
  effect.stateChanged = effect.stateChanged || changes.any;
  if (!wasVisible && state.visible()) {
    effect.steps.push_back({DeltaOp::insert, visibleRow(state)});
  } else if (auto differing = differingColumns(state, changes); !differing.empty()) {
    effect.steps.push_back({DeltaOp::update, std::move(differing)});
  }
  return effect;
}

RowState merge(const RowState& a, const RowState& b) {
  RowState merged = a;
  merged.inserted = std::max(a.inserted, b.inserted);
  merged.erased = std::max(a.erased, b.erased);
  for (const auto& [column, theirs] : b.columns) {
    const auto [at, added] = merged.columns.emplace(column, theirs);
    if (!added && winsOver(theirs, at->second)) at->second = theirs;
  }
  dropHidden(merged);
  return merged;
}

}  // namespace tidegate
