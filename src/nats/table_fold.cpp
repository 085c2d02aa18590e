#include "nats/detail/table_fold.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/detail/packed.h"

namespace tidegate::nats::detail {
namespace {

std::size_t bytesOf(const std::vector<Value>& row) {
  std::size_t sum = 64;
  for (const Value& value : row) sum += sizeof(Value) + valueBytes(value);
  return sum;
}

}  // namespace

std::string TableFold::keyOf(const TableShape& shape, const std::vector<Value>& row) {
  std::string key;
  for (const std::uint32_t i : shape.key) tidegate::detail::packValue(row[i], key);
  return key;
}

void TableFold::count(std::size_t before, std::size_t now, const std::string& table) {
  bytes_ = bytes_ - std::min(bytes_, before) + now;
  if (bytes_ <= mostBytes_) return;
  throw Error(
      ErrorCode::invalidConfig, Retry::afterOperator,
      fmt::format("nats: rows of table \"{}\" and others need more than {} octets of memory: raise readBackBytes",
                  table, mostBytes_));
}

void TableFold::place(Table& table, const TableShape& shape) {
  table.places.clear();
  for (const std::string& name : shape.columns->names()) {
    const auto [at, isNew] = table.columns.emplace(name, table.width);
    if (isNew) ++table.width;
    table.places.push_back(at->second);
  }
}

void TableFold::fit(Table& table, const Shape& shape) {
  if (table.shape == shape) return;
  const bool keyChanged = table.shape && table.shape->schema.primaryKey != shape->schema.primaryKey;
  table.shape = shape;
  place(table, *shape);
  if (!keyChanged) return;
  std::map<std::string, Row> rows;
  for (auto& [key, row] : table.rows) {
    std::vector<Value> values(shape->columns->size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (table.places[i] < row.values.size()) values[i] = row.values[table.places[i]];
    }
    const std::string next = shape->key.empty() ? std::to_string(++table.keyless) : keyOf(*shape, values);
    rows.insert_or_assign(next, std::move(row));
  }
  table.rows = std::move(rows);
}

void TableFold::apply(const ChangeEvent& event) {
  if (event.op == ChangeOp::progress) return;
  Table& table = tables_[event.shape->schema.table];
  if (event.op == ChangeOp::schemaChange) return change(table, event);
  fit(table, event.shape);
  switch (event.op) {
    case ChangeOp::insert:
    case ChangeOp::update:
    case ChangeOp::read:
      return write(table, event);
    case ChangeOp::erase: {
      const auto found = table.rows.find(keyOf(*event.shape, event.before));
      if (found == table.rows.end()) return;
      count(bytesOf(found->second.values), 0, event.shape->schema.table);
      table.rows.erase(found);
      return;
    }
    case ChangeOp::truncate:
      for (const auto& [key, row] : table.rows) bytes_ -= std::min(bytes_, bytesOf(row.values));
      table.rows.clear();
      return;
    case ChangeOp::baselineBegin:
      ++table.generation;
      table.sawBaseline = true;
      return;
    case ChangeOp::baselineEnd:
      std::erase_if(table.rows, [&](const auto& row) { return row.second.generation < table.generation; });
      return;
    default:
      return;
  }
}

void TableFold::write(Table& table, const ChangeEvent& event) {
  const bool keyless = event.shape->key.empty();
  const std::string key = keyless ? std::to_string(++table.keyless) : keyOf(*event.shape, event.after);
  auto found = table.rows.find(key);
  if (found == table.rows.end()) {
    if (!event.unchanged.empty()) return;  // not all of a row that is not there: its baseline brings it
    found = table.rows.emplace(key, Row{}).first;
  }
  Row& row = found->second;
  row.generation = table.generation;
  const std::size_t before = row.values.empty() ? 0 : bytesOf(row.values);
  if (row.values.size() < table.width) row.values.resize(table.width);
  std::size_t at = 0;
  for (std::uint32_t i = 0; i < event.after.size(); ++i) {
    if (at < event.unchanged.size() && event.unchanged[at] == i)
      ++at;
    else
      row.values[table.places[i]] = event.after[i];
  }
  count(before, bytesOf(row.values), event.shape->schema.table);
}

/// Renamed columns keep their values, dropped ones lose them: else a new column of that name would have them.
void TableFold::change(Table& table, const ChangeEvent& event) {
  if (const Shape before = event.schemaChange ? event.schemaChange->before : nullptr) {
    const auto& renamed = event.schemaChange->renamed;
    std::map<std::string, std::size_t> columns = table.columns;
    for (const auto& names : renamed) columns.erase(names.first);
    for (const auto& names : renamed) {
      const auto was = table.columns.find(names.first);
      if (was != table.columns.end()) columns.insert_or_assign(names.second, was->second);
    }
    for (const std::string& name : before->columns->names()) {
      if (!event.shape->columns->find(name)) columns.erase(name);
    }
    table.columns = std::move(columns);
    place(table, *event.shape);
  }
  fit(table, event.shape);
}

std::vector<std::vector<Value>> TableFold::rowsOf(const TableShape& shape) const {
  std::vector<std::vector<Value>> rows;
  const auto found = tables_.find(shape.schema.table);
  if (found == tables_.end()) return rows;
  const Table& table = found->second;
  std::vector<std::optional<std::size_t>> places;
  for (const std::string& name : shape.columns->names()) {
    const auto at = table.columns.find(name);
    places.push_back(at == table.columns.end() ? std::nullopt : std::optional(at->second));
  }
  for (const auto& [key, row] : table.rows) {
    std::vector<Value>& values = rows.emplace_back(places.size());
    for (std::size_t i = 0; i < places.size(); ++i) {
      if (places[i] && *places[i] < row.values.size()) values[i] = row.values[*places[i]];
    }
  }
  return rows;
}

bool TableFold::sawBaseline(const std::string& table) const {
  const auto found = tables_.find(table);
  return found != tables_.end() && found->second.sawBaseline;
}

Shape TableFold::shapeOf(const std::string& table) const {
  const auto found = tables_.find(table);
  return found == tables_.end() ? nullptr : found->second.shape;
}

}  // namespace tidegate::nats::detail
