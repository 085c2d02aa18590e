#include "mysql/detail/row_changes.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "mysql/detail/octet_cursor.h"

namespace tidegate::mysql::detail {

void RowChanges::take(const BinlogEvent& event) {
  delivery_.nextEvent();
  const std::uint64_t id = tableIdOf(event);
  TableBinding* const table = tables_.find(id);
  if (table == nullptr) return;
  const RowsEvent rows = readRows(event, inflated_);
  if (rows.columns != table->plans.size()) {
    refuseOctets(fmt::format("rows of {} have {} columns, and its description {}", table->name.full(), rows.columns,
                             table->plans.size()));
  }
  OctetCursor in(rows.rows, "a row");
  while (!in.done()) {
    const std::size_t left = in.left();
    if (table->pending) tellSchema(*table);
    switch (rows.kind) {
      case RowsKind::write:
        insert(in, rows, *table);
        break;
      case RowsKind::update:
        update(in, rows, *table);
        break;
      case RowsKind::erase:
        erase(in, rows, *table);
        break;
    }
    if (in.left() == left) refuseOctets("a row has no columns");
    delivery_.nextRow();
  }
}

void RowChanges::tellSchema(TableBinding& table) {
  if (delivery_.wants(Part::schema)) {
    ChangeEvent& event = delivery_.add(ChangeOp::schemaChange, table.shape, Part::schema, 0);
    event.after.clear();
    event.schemaChange = table.pending;
    delivery_.added();
  }
  tables_.told(table);
}

void RowChanges::insert(OctetCursor& in, const RowsEvent& rows, const TableBinding& table) {
  if (!delivery_.wants(Part::row)) return readImage(in, table.plans, rows.present, after_, afterAbsent_);
  if (!rows.whole) return insertInPart(in, rows, table);
  const std::size_t before = in.left();
  ChangeEvent& event = delivery_.add(ChangeOp::insert, table.shape, Part::row, 0);
  readImage(in, table.plans, rows.present, event.after, event.unchanged);
  delivery_.addBytes(before - in.left());
  delivery_.added();
}

/// With row image MINIMAL, what the statement did not name took its default, which only the table has. Of a row that is
/// gone by now nothing is told: its end is, behind.
void RowChanges::insertInPart(OctetCursor& in, const RowsEvent& rows, const TableBinding& table) {
  const std::size_t left = in.left();
  readImage(in, table.plans, rows.present, after_, afterAbsent_);
  if (!fill_(table, after_, afterAbsent_)) return;
  delivery_.add(ChangeOp::insert, table.shape, Part::row, left - in.left()).after.swap(after_);
  delivery_.added();
}

void RowChanges::erase(OctetCursor& in, const RowsEvent& rows, const TableBinding& table) {
  const std::size_t left = in.left();
  readImage(in, table.plans, rows.present, before_, beforeAbsent_);
  if (!delivery_.wants(Part::row)) return;
  ChangeEvent& event = delivery_.add(ChangeOp::erase, table.shape, Part::row, left - in.left());
  event.after.clear();
  event.before.swap(before_);
  event.beforeAbsent.swap(beforeAbsent_);
  delivery_.added();
}

void RowChanges::update(OctetCursor& in, const RowsEvent& rows, const TableBinding& table) {
  const std::size_t left = in.left();
  readImage(in, table.plans, rows.present, before_, beforeAbsent_);
  unknown_.clear();
  if (rows.partialJson) {
    readPartialImage(in, table.plans, rows.presentAfter, {before_, beforeAbsent_}, after_, afterAbsent_, unknown_);
  } else {
    readImage(in, table.plans, rows.presentAfter, after_, afterAbsent_);
  }
  completeAfter();
  const std::size_t bytes = left - in.left();
  if (keyChanged(table)) return changeKey(table, bytes);
  if (!delivery_.wants(Part::row)) return;
  ChangeEvent& event = delivery_.add(ChangeOp::update, table.shape, Part::row, bytes);
  event.before.swap(before_);
  event.beforeAbsent.swap(beforeAbsent_);
  event.after.swap(after_);
  event.unchanged.swap(afterAbsent_);
  if (!unknown_.empty()) completeDocuments(table, event);
  delivery_.added();
}

/// What the second image leaves out is as it was in the first, where that has it.
void RowChanges::completeAfter() {
  if (afterAbsent_.empty()) return;
  std::erase_if(afterAbsent_, [&](std::uint32_t i) {
    if (std::binary_search(beforeAbsent_.begin(), beforeAbsent_.end(), i)) return false;
    after_[i] = before_[i];
    return true;
  });
}

/// As they are by now: what changed in between follows. Where the row is gone its erase does, and nothing is said of
/// them.
void RowChanges::completeDocuments(const TableBinding& table, ChangeEvent& event) {
  if (fill_(table, event.after, unknown_)) return;
  event.unchanged.insert(event.unchanged.end(), unknown_.begin(), unknown_.end());
  std::sort(event.unchanged.begin(), event.unchanged.end());
}

bool RowChanges::keyChanged(const TableBinding& table) const {
  return std::any_of(table.shape->key.begin(), table.shape->key.end(), [&](std::uint32_t i) {
    const bool known = !std::binary_search(beforeAbsent_.begin(), beforeAbsent_.end(), i) &&
                       !std::binary_search(afterAbsent_.begin(), afterAbsent_.end(), i);
    return known && !(before_[i] == after_[i]);
  });
}

/// The row under its old key goes, and one under its new key comes. What the server left out as unchanged would be lost
/// with the old row, so it is looked up. A row that has left its new key meanwhile is not told there: it comes under
/// the key it has, or its end comes.
void RowChanges::changeKey(const TableBinding& table, std::size_t bytes) {
  if (delivery_.wants(Part::erase)) {
    ChangeEvent& gone = delivery_.add(ChangeOp::erase, table.shape, Part::erase, bytes);
    gone.after.clear();
    gone.before.swap(before_);
    gone.beforeAbsent.swap(beforeAbsent_);
    delivery_.added();
  }
  if (!delivery_.wants(Part::row)) return;
  afterAbsent_.insert(afterAbsent_.end(), unknown_.begin(), unknown_.end());
  if (!afterAbsent_.empty() && !fill_(table, after_, afterAbsent_)) return;
  delivery_.add(ChangeOp::insert, table.shape, Part::row, bytes).after.swap(after_);
  delivery_.added();
}

}  // namespace tidegate::mysql::detail
