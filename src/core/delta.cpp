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

/// Walks a row's columns in order, the absent ones left out.
class PresentColumns {
 public:
  explicit PresentColumns(const RowView& row) : row_(row) { skip(); }
  bool done() const noexcept { return at_ == row_.values.size(); }
  std::size_t at() const noexcept { return at_; }
  void next() noexcept {
    ++at_;
    skip();
  }

 private:
  void skip() noexcept {
    for (; absent_ < row_.absent.size() && row_.absent[absent_] == at_; ++absent_) ++at_;
  }
  const RowView& row_;
  std::size_t at_ = 0, absent_ = 0;
};

/// Fills columns from the front, so that what was there before gives its memory.
class ColumnFiller {
 public:
  explicit ColumnFiller(std::vector<ColumnValue>& columns) : columns_(columns) {}
  void add(const std::string& name, const Value& value) {
    if (used_ == columns_.size()) {
      columns_.push_back({name, value});
    } else {
      ColumnValue& column = columns_[used_];
      if (column.column != name) column.column = name;
      column.value = value;
    }
    ++used_;
  }
  /// @return whether there are any.
  bool finish() {
    columns_.resize(used_);
    return used_ > 0;
  }

 private:
  std::vector<ColumnValue>& columns_;
  std::size_t used_ = 0;
};

const Value* valueOf(const RowView& row, std::string_view name) {
  const auto at = row.columns.find(name);
  const bool absent = at && std::find(row.absent.begin(), row.absent.end(), *at) != row.absent.end();
  return at && !absent ? &row.values[*at] : nullptr;
}

/// Every column of a new row.
void addAllColumns(const RowView& after, const DeltaContext& context, std::vector<ColumnValue>& columns) {
  columns.reserve(after.values.size());
  ColumnFiller filler(columns);
  for (PresentColumns column(after); !column.done(); column.next()) {
    const std::string& name = after.columns[column.at()];
    if (isListed(name, context)) filler.add(name, after.values[column.at()]);
  }
  filler.finish();
}

/// The columns whose value in `after` is not the one in `before`.
bool addChangedColumns(const RowView& before, const RowView& after, const DeltaContext& context,
                       std::vector<ColumnValue>& columns) {
  const bool sameList = &before.columns == &after.columns && before.absent.empty();
  ColumnFiller filler(columns);
  for (PresentColumns column(after); !column.done(); column.next()) {
    const std::string& name = after.columns[column.at()];
    const Value& value = after.values[column.at()];
    const Value* const old = sameList ? &before.values[column.at()] : valueOf(before, name);
    if (old && sameValue(*old, value)) continue;
    if (isListed(name, context)) filler.add(name, value);
  }
  return filler.finish();
}

}  // namespace

bool extractDelta(const RowView* before, const RowView* after, const DeltaContext& context, RowDelta& delta) {
  if (!before && !after) return false;
  if (!before) {
    delta.op = DeltaOp::insert;
    addAllColumns(*after, context, delta.columns);
  } else if (!after) {
    delta.op = DeltaOp::erase;
    delta.columns.clear();
  } else {
    delta.op = DeltaOp::update;
    if (!addChangedColumns(*before, *after, context, delta.columns)) return false;
  }
  delta.table = context.table;
  delta.rowId = context.rowId;
  delta.clientId = context.clientId;
  delta.hlc = context.hlc;
  delta.deltaId = context.computeId ? computeDeltaId(delta) : DeltaId{};
  return true;
}

std::optional<RowDelta> extractDelta(const Row* before, const Row* after, const DeltaContext& context) {
  static const ColumnList kNone{{}};
  const auto viewOf = [](const Row* row) {
    return row && row->columns ? RowView{*row->columns, row->values} : RowView{kNone, {}};
  };
  const RowView old = viewOf(before), now = viewOf(after);
  std::optional<RowDelta> result(std::in_place);
  if (!extractDelta(before ? &old : nullptr, after ? &now : nullptr, context, *result)) result.reset();
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
