#include "tidegate/core/delta.h"

#include <algorithm>

namespace tidegate {

std::string_view toString(DeltaOp op) noexcept {
  switch (op) {
    case DeltaOp::insert:
      return "INSERT";
    case DeltaOp::update:
      return "UPDATE";
    case DeltaOp::erase:
      return "DELETE";
  }
  return "unknown";
}

std::optional<DeltaOp> parseDeltaOp(std::string_view text) noexcept {
  if (text == "INSERT") return DeltaOp::insert;
  if (text == "UPDATE") return DeltaOp::update;
  if (text == "DELETE") return DeltaOp::erase;
  return std::nullopt;
}

namespace {

bool isListed(const std::string& column, const DeltaContext& context) {
  return !context.schema || context.schema->find(column);
}

/// Every column of a new row.
void addAllColumns(const Row& after, const DeltaContext& context, std::vector<ColumnValue>& columns) {
  columns.reserve(after.values.size());
  for (std::size_t i = 0; i < after.values.size(); ++i) {
    const std::string& name = (*after.columns)[i];
    if (isListed(name, context)) columns.push_back({name, after.values[i]});
  }
}

/// The columns whose value in `after` is not the one in `before`.
void addChangedColumns(const Row& before, const Row& after, const DeltaContext& context,
                       std::vector<ColumnValue>& columns) {
  const bool sameList = before.columns == after.columns;
  for (std::size_t i = 0; i < after.values.size(); ++i) {
    const std::string& name = (*after.columns)[i];
    const Value* const old = sameList ? &before.values[i] : before.find(name);
    if (old && sameValue(*old, after.values[i])) continue;
    if (isListed(name, context)) columns.push_back({name, after.values[i]});
  }
}

}  // namespace

std::optional<RowDelta> extractDelta(const Row* before, const Row* after, const DeltaContext& context) {
  if (!before && !after) return std::nullopt;
  std::optional<RowDelta> result(std::in_place);
  RowDelta& delta = *result;
  if (!before) {
    delta.op = DeltaOp::insert;
    addAllColumns(*after, context, delta.columns);
  } else if (!after) {
    delta.op = DeltaOp::erase;
  } else {
    delta.op = DeltaOp::update;
    addChangedColumns(*before, *after, context, delta.columns);
    if (delta.columns.empty()) return std::nullopt;
  }
  delta.table = context.table;
  delta.rowId = context.rowId;
  delta.clientId = context.clientId;
  delta.hlc = context.hlc;
  if (context.computeId) delta.deltaId = computeDeltaId(delta);
  return result;
}

std::optional<Row> applyDelta(std::optional<Row> row, const RowDelta& delta) {
  if (delta.op == DeltaOp::erase) return std::nullopt;
  if (!row) row.emplace();
  std::vector<std::string> added;
  std::vector<Value> addedValues;
  for (const ColumnValue& change : delta.columns) {
    if (const auto at = row->columns ? row->columns->find(change.column) : std::nullopt) {
      row->values[*at] = change.value;
      continue;
    }
    const auto again = std::find(added.begin(), added.end(), change.column);
    if (again != added.end()) {
      addedValues[static_cast<std::size_t>(again - added.begin())] = change.value;
    } else {
      added.push_back(change.column);
      addedValues.push_back(change.value);
    }
  }
  if (added.empty() && row->columns) return row;
  std::vector<std::string> names = row->columns ? row->columns->names() : std::vector<std::string>();
  std::move(added.begin(), added.end(), std::back_inserter(names));
  row->columns = makeColumns(std::move(names));
  std::move(addedValues.begin(), addedValues.end(), std::back_inserter(row->values));
  return row;
}

}  // namespace tidegate
