/// Merging one delta into one row's registers: law 4.2 as core/conflict.h has it, with the ingest memory of decision 4.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "gateway/detail/name_table.h"
#include "gateway/detail/row_codec.h"
#include "tidegate/core/delta.h"

namespace tidegate::detail {

/// A delta with its names as numbers and its values packed.
struct Incoming {
  DeltaOp op = DeltaOp::update;
  PackedStamp stamp;
  bool ingest = false;
  std::span<const IncomingColumn> columns;
};

/// What a merge did.
struct MergeOutcome {
  enum class Effect : std::uint8_t { none, insert, update, erase, eraseThenInsert };
  Effect effect = Effect::none;  ///< what turns the old visible row into the new one
  bool stateChanged = false;     ///< whether any register or memory changed, visible or not
  /// update only: the pushed columns that won and differ, in the delta's order.
  std::vector<IncomingColumn> changed;

  void clear() {
    effect = Effect::none;
    stateChanged = false;
    changed.clear();
  }
};

/// Merges deltas into rows; keeps scratch between calls.
/// @thread One at a time.
class RowMerger {
 public:
  explicit RowMerger(const NameTable& names) : names_(names) {}

  /// Changes `row`; its texts may afterwards point into the delta's.
  void merge(RowImage& row, const Incoming& delta, MergeOutcome& outcome);

 private:
  /// Which columns of an ingest delta say something that its sender has not said before (decision 4).
  void dropRepetitions(RowImage& row, const Incoming& delta, MergeOutcome& outcome);
  bool repeatsInsert(const RowImage& row, const Incoming& delta) const noexcept;
  void applyErase(RowImage& row, const Incoming& delta, MergeOutcome& outcome, bool& hidSome);
  void applyColumns(RowImage& row, const Incoming& delta, std::span<const IncomingColumn> columns,
                    MergeOutcome& outcome);
  void applyColumn(RowImage& row, ColumnImage& register_, const Incoming& delta, const IncomingColumn& column,
                   MergeOutcome& outcome);
  /// Finds a column, searching on from where the last one was: deltas mostly keep the row's order.
  ColumnImage* find(RowImage& row, std::size_t count, NameId name) noexcept;
  bool wins(const PackedStamp& stamp, std::string_view value, const ColumnImage& over) const;

  const NameTable& names_;
  std::vector<IncomingColumn> kept_;
  std::size_t hint_ = 0;
};

/// The greatest stamp among the row's visible registers.
PackedStamp greatestStamp(const RowImage& row, const NameTable& names) noexcept;

}  // namespace tidegate::detail
