#include "source/detail/cursor_page.h"

#include <fmt/format.h>

#include "core/detail/packed.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {

void CursorPage::begin(const GuardedRows& rows) {
  if (!shape_ || shape_->columns()->names() != rows.columns()->names()) {
    shape_.emplace(rows.columns(), options_.table.rowIdColumns);
  }
  cursorAt_ = shape_->require(options_.cursorColumn, "cursor column");
  keyAt_.clear();
  for (const std::string& column : options_.keyColumns) keyAt_.push_back(shape_->require(column, "row id column"));
  waiting_ = false;
}

bool CursorPage::read(GuardedRows& rows, const LookbackWindow& known, CursorForm* form) {
  batch_.begin(*shape_);
  notes_.clear();
  runCount_ = 0;
  bytes_ = suppressed_ = 0;
  while (waiting_ || rows.next(next_)) {
    const std::size_t bytes = bytesOf(next_);
    waiting_ = !batch_.fits(bytes);
    if (waiting_) return true;
    row_.swap(next_);
    shape_->rowId(row_, rowId_);
    if (form != nullptr && (runCount_ == 0 || !(runs_[runCount_ - 1].cursor == row_[cursorAt_]))) {
      startRun(row_[cursorAt_], *form);
    }
    keep(bytes, known);
    if (notes_.size() == options_.pushRows) return true;
  }
  return false;
}

PageEnd CursorPage::end() const {
  PageEnd end;
  if (runCount_ > 0) end.cursor = runs_[runCount_ - 1].cursor;
  for (const std::size_t at : keyAt_) end.ids.push_back(row_[at]);
  return end;
}

std::size_t CursorPage::bytesOf(const std::vector<Value>& row) const {
  std::size_t bytes = 0;
  for (const Value& v : row) bytes += valueBytes(v);
  return bytes;
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

void CursorPage::keep(std::size_t bytes, const LookbackWindow& known) {
  bytes_ += bytes;
  Note& note = notes_.emplace_back();
  note.pushed = true;
  note.delta = static_cast<std::uint32_t>(batch_.size());
  const RowDelta& delta = batch_.add(*shape_, rowId_, row_, bytes);
  if (known.empty()) return;
  note.row = hash64(rowId_);
  const Hash128* before = known.find(note.row);
  if (before == nullptr) return;
  const Hash128 now = print(delta);
  if (now != *before) return;
  batch_.takeBack();
  note.pushed = false;
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
  return note.row != 0 ? note.row : hash64(batch_.at(note.delta).rowId);
}

Hash128 CursorPage::printOf(const Note& note) const { return note.pushed ? print(batch_.at(note.delta)) : note.print; }

}  // namespace tidegate::detail
