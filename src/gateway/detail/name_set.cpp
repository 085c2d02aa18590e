#include "gateway/detail/name_set.h"

namespace tidegate::detail {

void NameSet::addRow(const RowImage& row) {
  add(row.table);
  add(row.inserted.client);
  add(row.erased.client);
  for (const ColumnImage& column : row.columns) {
    add(column.name);
    add(column.stamp.client);
    add(column.memorySender);
  }
}

void NameSet::clear() {
  ids_.clear();
  if (++epoch_ != 0) return;
  marks_.assign(marks_.size(), 0);
  epoch_ = 1;
}

}  // namespace tidegate::detail
