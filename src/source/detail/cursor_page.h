/// Reads one page of a cursor poll: which rows changed (packed into pushes) and which the window knows already.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "source/detail/cursor_sql.h"
#include "source/detail/cursor_value.h"
#include "source/detail/insert_batch.h"
#include "source/detail/lookback_window.h"
#include "source/detail/poll_run.h"
#include "source/detail/row_shape.h"

namespace tidegate::detail {

class CursorPage {
 public:
  /// One row read.
  struct Note {
    DeltaPlace place;  ///< where `pushed`
    std::uint32_t run = 0;
    bool pushed = false;
    std::uint64_t row = 0;  ///< where not `pushed`: the row id's hash
    Hash128 print;          ///< likewise
  };
  /// Rows that stand together with one cursor.
  struct Run {
    Value cursor;
    std::int64_t key = 0;  ///< `timeKey`, for time cursors
    std::size_t firstNote = 0;
  };
  struct Options {
    const IngestTableConfig& table;
    std::string cursorColumn;
    std::vector<std::string> keyColumns;  ///< see `CursorSql::keyColumns`
    InsertBatch::Options batch;
  };
  explicit CursorPage(Options options) : options_(std::move(options)), batch_(options_.batch) {}

  /// Reads all rows of an answer. `form` is what the cursor was so far, and takes on the first one's form.
  /// @throws Error; the page is then of no use, and nothing else changed.
  void read(GuardedRows rows, const LookbackWindow& known, CursorForm& form);
  /// The same for rows whose cursor is NULL.
  void readNulls(GuardedRows rows, const LookbackWindow& known);

  const std::vector<Note>& notes() const noexcept { return notes_; }
  /// Of the page's runs the first `runCount` count.
  const Run& run(std::size_t at) const { return runs_[at]; }
  std::size_t runCount() const noexcept { return runCount_; }
  InsertBatch& batch() noexcept { return batch_; }
  const std::optional<PageEnd>& end() const noexcept { return end_; }
  std::uint64_t bytes() const noexcept { return bytes_; }
  std::uint64_t suppressed() const noexcept { return suppressed_; }

  std::uint64_t rowOf(const Note& note) const;
  Hash128 printOf(const Note& note) const;

 private:
  void readAll(GuardedRows& rows, const LookbackWindow& known, CursorForm* form);
  void startRun(const Value& cursor, CursorForm& form);
  void keep(std::vector<Value>& row, const LookbackWindow& known);
  Hash128 print(const RowDelta& delta) const;
  [[noreturn]] void wrongForm(const Value& cursor, CursorForm before, CursorForm now) const;

  const Options options_;
  InsertBatch batch_;
  std::optional<RowShape> shape_;
  std::vector<Note> notes_;
  std::vector<Run> runs_;  ///< reused from page to page
  std::size_t runCount_ = 0;
  std::optional<PageEnd> end_;
  std::uint64_t bytes_ = 0, suppressed_ = 0;
  std::string rowId_;
  mutable std::string scratch_;
};

}  // namespace tidegate::detail
