#include "replica.h"

#include "tidegate/core/json.h"

void Replica::apply(const std::vector<tidegate::RowDelta>& deltas) {
  for (const tidegate::RowDelta& delta : deltas) {
    Rows& rows = tables_[delta.table];
    if (delta.op == tidegate::DeltaOp::erase) {
      rows.erase(delta.rowId);
      continue;
    }
    const auto [row, fresh] = rows.try_emplace(delta.rowId);
    if (delta.op == tidegate::DeltaOp::insert && !fresh) ++repeated_;
    for (const tidegate::ColumnValue& column : delta.columns) row->second[column.column] = toJson(column.value);
  }
}

const Replica::Rows& Replica::rows(const std::string& table) const {
  static const Rows kNone;
  const auto found = tables_.find(table);
  return found == tables_.end() ? kNone : found->second;
}
