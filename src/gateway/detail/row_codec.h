/// Reads and writes row blocks: key, life stamps, then one register per column with its ingest memory.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "gateway/detail/name_table.h"
#include "gateway/detail/row_block.h"

namespace tidegate::detail {

/// Who wrote, and when, with the client as a number.
struct PackedStamp {
  std::uint64_t hlc = 0;
  NameId client = kNoName;

  bool isSet() const noexcept { return client != kNoName; }
  bool operator==(const PackedStamp&) const = default;
};

/// Whether `a` is earlier than `b`: by hlc, then by the client's text.
inline bool earlier(const PackedStamp& a, const PackedStamp& b, const NameTable& names) noexcept {
  if (a.hlc != b.hlc) return a.hlc < b.hlc;
  return a.client != b.client && names.at(a.client) < names.at(b.client);
}

/// One column of a delta, packed.
struct IncomingColumn {
  NameId name = 0;
  std::string_view value;
};

/// One column of a row as read; texts point into the block or the push.
struct ColumnImage {
  NameId name = 0;
  bool hasRegister = false;  ///< false: only ingest memory is left, the register is hidden by an erase
  bool ingest = false;       ///< the register's value was brought by an ingest sender
  bool hasMemory = false;
  PackedStamp stamp;
  std::string_view value;
  NameId memorySender = kNoName;  ///< the ingest sender whose last value `memory` is (decision 4)
  std::string_view memory;
};

/// All of a row, in the order its columns were first written.
struct RowImage {
  NameId table = 0;
  std::string_view rowId;
  PackedStamp inserted;
  PackedStamp erased;
  bool insertedByIngest = false;
  std::vector<ColumnImage> columns;

  void clear(NameId ofTable, std::string_view ofRowId);
  bool visible(const NameTable& names) const noexcept;
  /// Whether any ingest memory is left: then even a tombstone says something that is nowhere else.
  bool remembersIngest(const NameTable& names) const noexcept;
};

/// Whether the block is of this row. Reads the head of the block only.
bool blockHasKey(const RowBlock& block, NameId table, std::string_view rowId) noexcept;
NameId blockTable(const RowBlock& block) noexcept;
/// Decodes; `row`'s capacity is reused. @throws Error{storeCorrupt} for octets that `writeRow` did not make.
void readRow(std::string_view octets, RowImage& row);
/// An upper bound of what `writeRow` writes.
std::size_t rowOctetsBound(const RowImage& row) noexcept;
/// Encodes to `out` (of `rowOctetsBound` octets). @return the octets written.
std::size_t writeRow(const RowImage& row, char* out) noexcept;
/// Encodes into a new block, with `visible` set. @throws std::bad_alloc
RowBlock* makeBlock(const RowImage& row, const NameTable& names, std::string& scratch);

/// A row that nobody has written before, as an insert makes it.
struct FreshRow {
  NameId table = 0;
  std::string_view rowId;
  PackedStamp stamp;
  bool ingest = false;
  std::span<const IncomingColumn> columns;  ///< at least one
};

/// The block that `makeBlock` would make of it, without an image in between. @throws std::bad_alloc
RowBlock* makeFreshBlock(const FreshRow& row);

}  // namespace tidegate::detail
