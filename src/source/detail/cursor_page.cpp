#include "source/detail/cursor_page.h"

#include <fmt/format.h>

#include "core/detail/packed.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {

void CursorPage::read(GuardedRows rows, const LookbackWindow& known, CursorForm& form) { readAll(rows, known, &form); }

void CursorPage::readNulls(GuardedRows rows, const LookbackWindow& known) { readAll(rows, known, nullptr); }

void CursorPage::readAll(GuardedRows& rows, const LookbackWindow& known, CursorForm* form) {
  if (!shape_ || shape_->columns()->names() != rows.columns()->names()) {
    shape_.emplace(rows.columns(), options_.table.rowIdColumns);
  }
  const std::size_t cursorAt = shape_->require(options_.cursorColumn, "cursor column");
  std::vector<std::size_t> keyAt;
  for (const std::string& column : options_.keyColumns) keyAt.push_back(shape_->require(column, "row id column"));
  batch_.begin(*shape_);
  notes_.clear();
  runCount_ = 0;
  bytes_ = suppressed_ = 0;
  end_.reset();
  PageEnd end;
  end.ids.resize(keyAt.size());
  std::vector<Value> row;
  while (rows.next(row)) {
    shape_->rowId(row, rowId_);
    // The keyset of the last row must outlive the row; copying into kept values reuses their strings.
    for (std::size_t i = 0; i < keyAt.size(); ++i) end.ids[i] = row[keyAt[i]];
    if (form != nullptr && (runCount_ == 0 || !(runs_[runCount_ - 1].cursor == row[cursorAt]))) {
      startRun(row[cursorAt], *form);
    }
    keep(row, known);
  }
  if (notes_.empty()) return;
  if (form != nullptr) end.cursor = runs_[runCount_ - 1].cursor;
  end_ = std::move(end);
}

void CursorPage::startRun(const Value& cursor, CursorForm& form) {
  const CursorForm now = cursorFormOf(cursor);
  if (now.kind == CursorKind::none || (form.kind != CursorKind::none && !(now == form))) wrongForm(cursor, form, now);
  form = now;
  if (runCount_ == runs_.size()) runs_.emplace_back();
  Run& run = runs_[runCount_++];
  run.cursor = cursor;
  run.key = form.isTime() ? timeKey(cursor) : 0;
  run.firstNote = notes_.size();
}

void CursorPage::wrongForm(const Value& cursor, CursorForm before, CursorForm now) const {
  const std::string& column = options_.cursorColumn;
  if (now.kind == CursorKind::none) {
    throw Error(
        ErrorCode::typeUnsupported, Retry::afterOperator,
        fmt::format("cursor column \"{}\" holds {} (a {}) in row \"{}\", which has no order to follow: name a time "
                    "or number column, or use the diff strategy",
                    column, describe(cursor), toString(cursor.kind()), rowId_));
  }
  throw Error(
      ErrorCode::typeUnsupported, Retry::afterOperator,
      fmt::format("cursor column \"{}\" held {} before and holds {} ({}) in row \"{}\": values of two forms do not "
                  "sort by time or number, so rows would be missed; mend the column or name another",
                  column, describe(before), describe(now), describe(cursor), rowId_));
}

void CursorPage::keep(std::vector<Value>& row, const LookbackWindow& known) {
  std::size_t bytes = rowId_.size();
  for (const Value& v : row) bytes += valueBytes(v);
  bytes_ += bytes;
  Note& note = notes_.emplace_back();
  note.run = static_cast<std::uint32_t>(runCount_ == 0 ? 0 : runCount_ - 1);
  note.place = batch_.add(*shape_, rowId_, row, bytes);
  note.pushed = true;
  if (known.empty()) return;
  const std::uint64_t id = hash64(rowId_);
  const Hash128* before = known.find(id);
  if (before == nullptr) return;
  const Hash128 now = print(batch_.at(note.place));
  if (now != *before) return;
  batch_.takeBack();
  note.pushed = false;
  note.row = id;
  note.print = now;
  ++suppressed_;
}

Hash128 CursorPage::print(const RowDelta& delta) const {
  scratch_.clear();
  putText(delta.rowId, scratch_);
  for (const ColumnValue& c : delta.columns) packValue(c.value, scratch_);
  return hash128(scratch_, shape_->hash());
}

std::uint64_t CursorPage::rowOf(const Note& note) const {
  return note.pushed ? hash64(batch_.at(note.place).rowId) : note.row;
}

Hash128 CursorPage::printOf(const Note& note) const { return note.pushed ? print(batch_.at(note.place)) : note.print; }

}  // namespace tidegate::detail
