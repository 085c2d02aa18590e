#include "simulation/model_gateway.h"

#include <algorithm>

namespace tidegate::sim {

std::string show(const Key& key) { return key.table + "/" + key.rowId; }

std::string show(const ModelRow* row) {
  if (!row) return "absent";
  std::string text = "{";
  for (const auto& [column, value] : *row) {
    text += (text.size() > 1 ? " " : "") + column + "=";
    if (value.isNull())
      text += "null";
    else if (const auto* s = value.getIf<std::string>())
      text += "'" + *s + "'";
    else if (const auto* i = value.getIf<std::int64_t>())
      text += std::to_string(*i);
    else
      text += describe(value);
  }
  return text + "}";
}

std::string show(const RowDelta& delta) {
  ModelRow row;
  for (const ColumnValue& column : delta.columns) row[column.column] = column.value;
  return std::string(toString(delta.op)) + " " + show(Key{delta.table, delta.rowId}) + " " + show(&row) + " by " +
         delta.clientId + " at " + delta.hlc.text();
}

std::optional<ModelRow> ModelGateway::rowOf(const Life& life) {
  ModelRow row;
  for (const auto& [column, cell] : life.cells) {
    if (cell.stamp > life.erased) row[column] = cell.value;
  }
  if (row.empty() && !(life.inserted > life.erased)) return std::nullopt;
  return row;
}

void ModelGateway::writeCell(Life& life, const std::string& column, const Value& value, const Stamp& stamp) {
  if (!(stamp > life.erased)) return;
  Cell& cell = life.cells[column];
  if (stamp > cell.stamp) cell = {value, stamp};
}

void ModelGateway::applyPlain(Life& life, const RowDelta& delta) {
  const Stamp stamp{delta.hlc.raw, delta.clientId};
  if (delta.op == DeltaOp::erase) {
    life.erased = std::max(life.erased, stamp);
    std::erase_if(life.cells, [&](const auto& entry) { return !(entry.second.stamp > life.erased); });
    return;
  }
  if (delta.op == DeltaOp::insert) life.inserted = std::max(life.inserted, stamp);
  for (const ColumnValue& column : delta.columns) writeCell(life, column.column, column.value, stamp);
}

void ModelGateway::applyIngest(Life& life, const RowDelta& delta) {
  if (delta.op == DeltaOp::erase) {
    std::erase_if(life.brought, [&](const auto& entry) { return entry.second.sender == delta.clientId; });
    applyPlain(life, delta);
    return;
  }
  RowDelta changed = delta;
  changed.columns.clear();
  for (const ColumnValue& column : delta.columns) {
    const auto memory = life.brought.find(column.column);
    const auto cell = life.cells.find(column.column);
    bool same = false;
    if (memory != life.brought.end() && memory->second.sender == delta.clientId) {
      same = memory->second.value == column.value;
    } else if (cell != life.cells.end() && cell->second.stamp > life.erased) {
      same = cell->second.value == column.value;
    }
    life.brought[column.column] = {delta.clientId, column.value};
    if (!same) changed.columns.push_back(column);
  }
  if (!changed.columns.empty()) applyPlain(life, changed);
}

std::size_t ModelGateway::apply(const SyncPush& push, PushContext context) {
  std::size_t changed = 0;
  for (const RowDelta& delta : push.deltas) {
    Life& life = rows_[Key{delta.table, delta.rowId}];
    const std::optional<ModelRow> before = rowOf(life);
    context.ingest ? applyIngest(life, delta) : applyPlain(life, delta);
    if (rowOf(life) != before) ++changed;
  }
  return changed;
}

std::optional<ModelRow> ModelGateway::row(const Key& key) const {
  const auto life = rows_.find(key);
  return life == rows_.end() ? std::nullopt : rowOf(life->second);
}

ModelState ModelGateway::visible() const {
  ModelState state;
  for (const auto& [key, life] : rows_) {
    if (auto row = rowOf(life)) state[key] = std::move(*row);
  }
  return state;
}

ModelRow ModelGateway::brought(const Key& key, const std::string& sender) const {
  ModelRow row;
  const auto life = rows_.find(key);
  if (life == rows_.end()) return row;
  for (const auto& [column, memory] : life->second.brought) {
    if (memory.sender == sender) row[column] = memory.value;
  }
  return row;
}

std::set<Key> ModelGateway::broughtKeys(const std::string& sender) const {
  std::set<Key> keys;
  for (const auto& [key, life] : rows_) {
    for (const auto& [column, memory] : life.brought) {
      if (memory.sender == sender) keys.insert(key);
    }
  }
  return keys;
}

void ModelGateway::purgeTable(const std::string& table) {
  std::erase_if(rows_, [&](const auto& entry) { return entry.first.table == table; });
}

}  // namespace tidegate::sim
