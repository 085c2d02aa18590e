#include "sink/detail/gateway_sink_unit.h"

#include <algorithm>
#include <utility>

namespace tidegate::detail {
namespace {

bool isBefore(const Row& row, const GatewayStep& step) {
  const Value* value = row.find(step.column);
  return value != nullptr && compareValues(*value, step.cutoff) == std::partial_ordering::less;
}

/// The new names' values, and null under the old ones that no column took.
std::vector<ColumnValue> renamedColumns(const Row& row, const SchemaChange& change) {
  std::vector<ColumnValue> columns;
  for (const auto& [from, to] : change.renamed) {
    if (const Value* value = row.find(from)) columns.push_back({to, *value});
  }
  for (const auto& [from, to] : change.renamed) {
    const auto taken = [&, name = from](const ColumnValue& c) { return c.column == name; };
    if (row.find(from) != nullptr && std::none_of(columns.begin(), columns.end(), taken)) {
      columns.push_back({from, nullptr});
    }
  }
  return columns;
}

/// Columns that the source has only from now on.
std::vector<std::string> addedColumns(const TableShape& after, const SchemaChange& change) {
  if (!change.before) return {};
  std::vector<std::string> added;
  for (const std::string& name : after.columns->names()) {
    const auto isNew = [&](const auto& renamed) { return renamed.second == name; };
    if (change.before->columns->find(name)) continue;
    if (std::none_of(change.renamed.begin(), change.renamed.end(), isNew)) added.push_back(name);
  }
  return added;
}

}  // namespace

std::vector<std::string> expiredRows(const Gateway& gateway, std::string_view sender, const GatewayStep& step) {
  const std::string& table = step.shape->schema.table;
  std::vector<std::string> old = gateway.ingestedRows(table, sender);
  std::erase_if(old, [&](const std::string& id) {
    const auto row = gateway.row(table, id);
    return !row || !isBefore(*row, step);
  });
  return old;
}

void GatewayUnit::add(RowDelta delta) {
  auto& rows = alive_[delta.table];
  if (delta.op == DeltaOp::update) {
    const auto known = rows.find(delta.rowId);
    const bool there = known != rows.end() ? known->second : gateway_.row(delta.table, delta.rowId).has_value();
    if (!there) return;
  }
  rows[delta.rowId] = delta.op != DeltaOp::erase;
  if (delta.op != DeltaOp::erase) baselines_.name(delta.table, delta.rowId);
  deltas_.push_back(std::move(delta));
}

std::vector<std::string> GatewayUnit::rowIds(const std::string& table) const {
  std::vector<std::string> ids = gateway_.ingestedRows(table, sender_);
  const auto known = alive_.find(table);
  if (known == alive_.end()) return ids;
  std::erase_if(ids, [&](const std::string& id) { return known->second.contains(id); });
  for (const auto& [id, alive] : known->second) {
    if (alive) ids.push_back(id);
  }
  return ids;
}

void GatewayUnit::forEachRow(const std::string& table, const RowVisitor& visit) const {
  std::unordered_map<std::string_view, std::vector<const RowDelta*>> changes;
  for (const RowDelta& delta : deltas_) {
    if (delta.table == table) changes[delta.rowId].push_back(&delta);
  }
  for (const std::string& id : rowIds(table)) {
    std::optional<Row> row = gateway_.row(table, id);
    if (const auto own = changes.find(id); own != changes.end()) {
      for (const RowDelta* delta : own->second) row = applyDelta(std::move(row), *delta);
    }
    if (row) visit(id, *row);
  }
}

void GatewayUnit::erase(const std::string& table, const std::string& rowId) {
  add({.op = DeltaOp::erase, .table = table, .rowId = rowId, .clientId = std::string(sender_)});
}

void GatewayUnit::follow(const TableShape& after, const SchemaChange& change) {
  const std::vector<std::string> added = addedColumns(after, change);
  if (change.renamed.empty() && added.empty()) return;
  const std::string& table = after.schema.table;
  std::vector<RowDelta> made;
  forEachRow(table, [&](const std::string& id, const Row& row) {
    std::vector<ColumnValue> columns = renamedColumns(row, change);
    for (const std::string& name : added) {  // of a column that was dropped before: a row keeps its values
      const Value* old = row.find(name);
      if (old != nullptr && !old->isNull()) columns.push_back({name, nullptr});
    }
    if (columns.empty()) return;
    made.push_back({.op = DeltaOp::update,
                    .table = table,
                    .rowId = id,
                    .clientId = std::string(sender_),
                    .columns = std::move(columns)});
  });
  // Not `add`: no change of the source has named these rows.
  std::move(made.begin(), made.end(), std::back_inserter(deltas_));
}

void GatewayUnit::expire(const std::string& table, const GatewayStep& step) {
  std::vector<std::string> old;
  forEachRow(table, [&](const std::string& id, const Row& row) {
    if (isBefore(row, step)) old.push_back(id);
  });
  for (const std::string& id : old) erase(table, id);
}

void GatewayUnit::run(const GatewayStep& step) {
  const std::string& table = step.shape->schema.table;
  switch (step.op) {
    case ChangeOp::truncate:
      baselines_.truncated(table);
      for (const std::string& id : rowIds(table)) erase(table, id);
      return;
    case ChangeOp::baselineBegin:
      return baselines_.begin(table, rowIds(table));
    case ChangeOp::baselineEnd:
      for (const std::string& id : baselines_.end(table)) erase(table, id);
      return;
    case ChangeOp::schemaChange:
      if (step.change) follow(*step.shape, *step.change);
      return;
    default:
      return expire(table, step);
  }
}

}  // namespace tidegate::detail
