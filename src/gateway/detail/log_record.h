/// One log entry as octets: what a reader gets, and what a view needs to judge it (decision 2; docs/formats.md).
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/detail/packed.h"
#include "gateway/detail/name_table.h"
#include "gateway/detail/row_codec.h"
#include "gateway/detail/row_merge.h"
#include "tidegate/core/delta.h"

namespace tidegate::detail {

inline std::uint32_t recordSize(const char* record) noexcept {
  std::uint32_t size = 0;
  std::memcpy(&size, record, 4);
  return size;
}
inline std::uint64_t recordServerHlc(const char* record) noexcept {
  std::uint64_t hlc = 0;
  std::memcpy(&hlc, record + 4, 8);
  return hlc;
}

/// A rule column of a row before and after a change.
struct RuleCell {
  std::optional<std::string_view> before;  ///< packed; nullopt: absent
  std::optional<std::string_view> after;
};

/// What the rules need of a change. Empty `cells`: no rule names a column of the table.
struct RuleSection {
  std::vector<RuleCell> cells;          ///< in the order of SyncRules::columnsOf
  std::vector<IncomingColumn> context;  ///< the visible columns that are not effective, where a verdict may flip
  PackedStamp contextStamp;             ///< with context: the greatest stamp of the whole row
  void clear() {
    cells.clear();
    context.clear();
  }
};

/// What is appended.
struct RecordDraft {
  std::uint64_t serverHlc = 0;
  DeltaOp op = DeltaOp::update;
  bool pairedWithNext = false;  ///< an erase whose insert follows: a page must not end between them
  NameId table = 0;
  PackedStamp stamp;
  const DeltaId* id = nullptr;  ///< null: computed when read
  std::string_view rowId;
  std::span<const IncomingColumn> columns;
  const RuleSection* rules = nullptr;
};

/// An upper bound of what `writeRecord` writes.
std::size_t recordBound(const RecordDraft& draft) noexcept;
/// @return the octets written.
std::size_t writeRecord(const RecordDraft& draft, char* to) noexcept;

/// A record as read; texts point into it.
struct RecordView {
  std::uint64_t serverHlc = 0;
  DeltaOp op = DeltaOp::update;
  bool pairedWithNext = false;
  bool hasRules = false;
  NameId table = 0;
  PackedStamp stamp;
  std::string_view id;  ///< 32 octets, or empty
  std::string_view rowId;
  std::vector<IncomingColumn> columns;
  RuleSection rules;

  /// Reads everything. Capacity is reused. @throws Error{storeCorrupt}
  void read(std::string_view record);
};

/// The record as a delta for a reader; its id is computed where it is not kept.
void toDelta(const RecordView& record, const NameTable& names, RowDelta& delta);
/// The row entering a view: an insert of effective and context columns.
void toInsert(const RecordView& record, const NameTable& names, RowDelta& delta);
/// The row leaving a view.
void toErase(const RecordView& record, const NameTable& names, RowDelta& delta);

}  // namespace tidegate::detail
