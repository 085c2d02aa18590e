#include "engine/detail/compiled_transform.h"

#include <algorithm>

#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace {

[[noreturn]] void refuse(const TableSchema& schema, const std::string& why) {
  throw Error(ErrorCode::invalidConfig, Retry::afterOperator, "a transform of table \"" + schema.table + "\": " + why);
}

}  // namespace

CompiledTransform::CompiledTransform(const TableSchema& schema, const std::vector<Transform>& steps) : schema_(schema) {
  for (std::size_t i = 0; i < schema.columns.size(); ++i) columns_.push_back({.from = i});
  for (const Transform& one : steps) std::visit([this](const auto& what) { step(what); }, one.step);
}

std::size_t CompiledTransform::find(std::string_view name, std::string_view step) const {
  for (std::size_t i = 0; i < schema_.columns.size(); ++i) {
    if (schema_.columns[i].name == name) return i;
  }
  refuse(schema_, std::string(step) + " names column \"" + std::string(name) + "\", which is not there");
}

void CompiledTransform::requireFree(const std::string& name) const {
  if (name.empty()) refuse(schema_, "a column needs a name");
  if (schema_.find(name) != nullptr) refuse(schema_, "column \"" + name + "\" is there already; choose another name");
}

void CompiledTransform::add(ColumnSchema column, Column from) {
  requireFree(column.name);
  schema_.columns.push_back(std::move(column));
  columns_.push_back(std::move(from));
}

void CompiledTransform::step(const Transform::Drop& drop) {
  for (const std::string& name : drop.columns) {
    const std::size_t at = find(name, "drop");
    if (std::find(schema_.primaryKey.begin(), schema_.primaryKey.end(), name) != schema_.primaryKey.end()) {
      refuse(schema_, "column \"" + name + "\" is part of the key and cannot be dropped");
    }
    schema_.columns.erase(schema_.columns.begin() + static_cast<std::ptrdiff_t>(at));
    columns_.erase(columns_.begin() + static_cast<std::ptrdiff_t>(at));
  }
}

void CompiledTransform::step(const Transform::Rename& rename) {
  const std::size_t at = find(rename.from, "rename");
  if (rename.from == rename.to) return;
  requireFree(rename.to);
  schema_.columns[at].name = rename.to;
  std::replace(schema_.primaryKey.begin(), schema_.primaryKey.end(), rename.from, rename.to);
}

void CompiledTransform::step(const Transform::AddConstant& given) {
  add({.name = given.column, .kind = given.value.kind(), .nullable = given.value.isNull()},
      {.from = kConstant, .constant = given.value});
}

void CompiledTransform::step(const Transform::AddTimestamp& given) {
  add({.name = given.column, .kind = ValueKind::timestamp, .nullable = false, .sourceType = "timestamp with time zone"},
      {.from = kNow});
}

void CompiledTransform::step(const Transform::Map& map) {
  const std::size_t at = find(map.column, "map");
  if (!map.function) refuse(schema_, "the map of column \"" + map.column + "\" has no function");
  ColumnSchema& column = schema_.columns[at];
  const bool key =
      std::find(schema_.primaryKey.begin(), schema_.primaryKey.end(), map.column) != schema_.primaryKey.end();
  // A map may make null of anything, so the target has to take nulls.
  column = {.name = column.name, .kind = map.result, .nullable = !key};
  columns_[at].maps.push_back(map.function);
}

std::optional<std::size_t> CompiledTransform::targetOf(std::size_t sourceColumn) const noexcept {
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (columns_[i].from == sourceColumn) return i;
  }
  return std::nullopt;
}

std::vector<std::string> CompiledTransform::timestampColumns() const {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (columns_[i].from == kNow) names.push_back(schema_.columns[i].name);
  }
  return names;
}

void CompiledTransform::apply(const EventRow& row, std::optional<std::int64_t> nowMicros, std::vector<Value>& values,
                              std::vector<std::uint32_t>& missing) const {
  values.resize(columns_.size());
  missing.clear();
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const Column& column = columns_[i];
    const bool known = column.from == kConstant || (column.from == kNow ? nowMicros.has_value() : row.has(column.from));
    if (!known) {
      values[i] = Null{};
      missing.push_back(static_cast<std::uint32_t>(i));
      continue;
    }
    if (column.from == kConstant)
      values[i] = column.constant;
    else if (column.from == kNow)
      values[i] = Timestamp::utc(*nowMicros);
    else
      values[i] = row.values[column.from];
    for (const auto& map : column.maps) values[i] = map(values[i]);
  }
}

}  // namespace tidegate::detail
