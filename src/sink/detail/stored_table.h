/// One table of a MemorySink: packed rows by number, found by key, with the indexes of its columns.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sink/detail/column_index.h"
#include "sink/detail/key_index.h"
#include "sink/detail/row_layout.h"
#include "sink/detail/row_slabs.h"
#include "tidegate/sink/memory_sink.h"

namespace tidegate::detail {

/// What a write did.
enum class RowOutcome { added, replaced, same, left };

/// How a row that is not as its table keeps rows is read.
struct RowForm {
  const std::vector<int>& map;                  ///< for each column of the table its place in the row, or -1: it stays
  const std::vector<std::uint32_t>& unchanged;  ///< columns of the table that stay too, ascending
  bool onlyExisting = false;                    ///< where there is no such row, none is made
};

/// @thread One writer, or readers: the owner's lock. `slabs().append` may run beside readers.
class StoredTable {
 public:
  StoredTable(const Shape& shape, const std::vector<MemoryIndex>& indexes);

  const RowLayout& layout() const noexcept { return *layout_; }
  RowSlabs& slabs() noexcept { return slabs_; }
  std::size_t count() const noexcept { return count_; }
  std::size_t bytes() const noexcept;

  /// Takes a published record in, as a new row or in place of one with its key. Another's memory is given up.
  RowOutcome put(RowPlace place, std::uint64_t hash);
  void reserve(std::size_t rows);
  void prefetch(std::uint64_t hash) const noexcept { keys_.prefetch(hash); }
  /// Writes a row that came in another form, and tells its key.
  RowOutcome merge(const std::vector<Value>& row, const RowForm& form, std::vector<Value>& key);
  bool erase(std::string_view packedKey);
  void truncate();

  void beginBaseline() noexcept;
  /// @param gone is told each row that goes.
  void endBaseline(const std::function<void(const RowRecord&)>& gone);

  /// Gives every row the columns of `shape`: by name, or by the new name in `renamed`. The key must stay.
  /// Records appended for the old columns stay readable until `dropRetired`.
  void relayout(const Shape& shape, const std::vector<std::pair<std::string, std::string>>& renamed);
  RowSlabs* retired() noexcept { return retired_.get(); }
  /// Ends a commit: moves rows together where much memory is dead.
  void tidy();

  std::uint32_t find(std::string_view packedKey) const;
  /// Row numbers ever used; some may be free.
  std::uint32_t end() const noexcept { return static_cast<std::uint32_t>(rows_.size()); }
  /// The row's record; null where the number is free.
  const RowRecord* record(std::uint32_t row) const noexcept {
    return rows_[row] == kNoPlace ? nullptr : slabs_.at(rows_[row]);
  }
  /// An index of the column, an ordered one where `ordered`; null if there is none.
  const ColumnIndex* index(std::size_t column, bool ordered) const noexcept;

 private:
  struct Secondary {
    std::string column;
    std::unique_ptr<ColumnIndex> index;
    std::optional<std::size_t> place;  ///< of the column; nullopt while the table has none of that name
  };

  std::uint32_t takeNumber();
  void replace(std::uint32_t row, RowPlace place);
  void remove(std::uint32_t row);
  void fillIndexes();
  void touchIndexes(const RowRecord* before, const RowRecord* after, std::uint32_t row);

  std::shared_ptr<const RowLayout> layout_;
  RowSlabs slabs_;
  std::unique_ptr<RowSlabs> retired_;
  std::vector<RowPlace> rows_;  ///< by number; kNoPlace: free
  std::vector<std::uint32_t> free_;
  KeyIndex keys_;
  std::vector<Secondary> secondary_;
  std::size_t count_ = 0;
  std::uint32_t baselines_ = 0;  ///< begun so far; rows written since the last bear its number
  bool baseline_ = false;
  std::string packed_;         ///< scratch
  std::vector<Value> values_;  ///< scratch
};

}  // namespace tidegate::detail
