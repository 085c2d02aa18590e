/// Reads a cursor poll's rows push by push: which of them changed, and which the window knows already.
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
    std::uint32_t delta = 0;  ///< where `pushed`: its place in the batch
    bool pushed = false;
    std::uint64_t row = 0;  ///< the row id's hash; 0: not made yet
    Hash128 print;          ///< where not `pushed`
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
    std::string clientId;
    std::size_t pushRows;
  };
  explicit CursorPage(Options options)
      : options_(std::move(options)), batch_(options_.table.table, options_.clientId) {}

  /// Begins an answer. @throws Error{columnNotFound}
  void begin(const GuardedRows& rows);
  /// Reads the answer's next rows, one push at most. `form` is what the cursor was so far, and takes on the first one's
  /// form; it is null for rows whose cursor is NULL. @return false at the answer's end.
  /// @throws Error; what was read is then of no use, and nothing else changed.
  bool read(GuardedRows& rows, const LookbackWindow& known, CursorForm* form);

  /// Of the last `read`, as is all that follows.
  const std::vector<Note>& notes() const noexcept { return notes_; }
  const Run& run(std::size_t at) const { return runs_[at]; }
  std::size_t runCount() const noexcept { return runCount_; }
  std::size_t rowsOfRun(std::size_t at) const noexcept {
    return (at + 1 < runCount_ ? runs_[at + 1].firstNote : notes_.size()) - runs_[at].firstNote;
  }
  InsertBatch& batch() noexcept { return batch_; }
  /// Where the last row stands. There must be one.
  PageEnd end() const;
  std::uint64_t bytes() const noexcept { return bytes_; }
  std::uint64_t suppressed() const noexcept { return suppressed_; }

  std::uint64_t rowOf(const Note& note) const;
  Hash128 printOf(const Note& note) const;

 private:
  void startRun(const Value& cursor, CursorForm& form);
  void keep(std::size_t bytes, const LookbackWindow& known);
  std::size_t bytesOf(const std::vector<Value>& row) const;
  Hash128 print(const RowDelta& delta) const;
  [[noreturn]] void wrongForm(const Value& cursor, CursorForm before, CursorForm now) const;

  const Options options_;
  InsertBatch batch_;
  std::optional<RowShape> shape_;
  std::size_t cursorAt_ = 0;
  std::vector<std::size_t> keyAt_;
  std::vector<Note> notes_;
  std::vector<Run> runs_;  ///< the first `runCount_` count
  std::size_t runCount_ = 0;
  std::vector<Value> row_;   ///< the last one noted; its data columns are in the batch
  std::vector<Value> next_;  ///< the one after
  bool waiting_ = false;     ///< `next_` did not fit the last push
  std::uint64_t bytes_ = 0, suppressed_ = 0;
  std::string rowId_;
  mutable std::string scratch_;
};

}  // namespace tidegate::detail
