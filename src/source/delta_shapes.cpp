#include "source/detail/delta_shapes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace {

template <class Number>
bool readNumber(std::string_view text, Value& out) {
  Number number{};
  const auto end = std::from_chars(text.data(), text.data() + text.size(), number);
  if (end.ec != std::errc() || end.ptr != text.data() + text.size()) return false;
  out = Value(number);
  return true;
}

template <class T, class Parse>
bool readBy(Parse parse, std::string_view text, Value& out) {
  T value{};
  if (!parse(text, value)) return false;
  out = Value(value);
  return true;
}

/// The inverse of what `rowIdOf` does with one value.
bool readKeyValue(ValueKind kind, std::string_view text, Value& out) {
  switch (kind) {
    case ValueKind::null:
    case ValueKind::text:
      out = Value(text);
      return true;
    case ValueKind::boolean:
      out = Value(text == "true");
      return text == "true" || text == "false";
    case ValueKind::int64:
      return readNumber<std::int64_t>(text, out);
    case ValueKind::uint64:
      return readNumber<std::uint64_t>(text, out);
    case ValueKind::real:
      return readNumber<double>(text, out);
    case ValueKind::decimal:
      out = Value(Decimal{std::string(text)});
      return isDecimal(text);
    case ValueKind::date:
      return readBy<Date>(parseDate, text, out);
    case ValueKind::time:
      return readBy<Time>(parseTime, text, out);
    case ValueKind::timestamp:
      return readBy<Timestamp>(parseTimestamp, text, out);
    case ValueKind::uuid:
      return readBy<Uuid>(parseUuid, text, out);
    case ValueKind::bytes:
    case ValueKind::json:
      return false;
  }
  return false;
}

[[noreturn]] void noKey(const TableShape& shape, std::string_view rowId) {
  std::string key;
  for (const std::uint32_t column : shape.key) {
    key += fmt::format("{}{} {}", key.empty() ? "" : ", ", (*shape.columns)[column],
                       toString(shape.schema.columns[column].kind));
  }
  throw Error(ErrorCode::rowIdInvalid, Retry::afterOperator,
              fmt::format("table \"{}\": row id \"{}\" is no key of ({}): give the schema that its writers go by",
                          shape.schema.table, rowId.substr(0, 100), key));
}

}  // namespace

bool DeltaShapes::readable(ValueKind kind) noexcept { return kind != ValueKind::bytes && kind != ValueKind::json; }

DeltaShapes::DeltaShapes(const std::vector<TableSchema>& schemas, std::string rowIdColumn)
    : rowIdColumn_(std::move(rowIdColumn)) {
  for (const TableSchema& schema : schemas) {
    if (schema.primaryKey.empty()) {
      throw Error(ErrorCode::invalidConfig, Retry::never,
                  fmt::format("the schema of table \"{}\" needs a primaryKey", schema.table));
    }
    if (!tables_.emplace(schema.table, Table{makeShape(schema), true}).second) {
      throw Error(ErrorCode::invalidConfig, Retry::never, fmt::format("table \"{}\" has two schemas", schema.table));
    }
  }
}

void DeltaShapes::set(TableSchema schema, std::set<std::string, std::less<>> untyped) {
  const std::string name = schema.table;
  tables_.insert_or_assign(name, Table{makeShape(std::move(schema)), true, std::move(untyped)});
}

std::shared_ptr<const SchemaChange> DeltaShapes::learnKey(const std::string& name,
                                                          const std::vector<ValueKind>& kinds) {
  Table& table = tableOf(name);
  TableSchema next = table.shape->schema;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    ColumnSchema& column = next.columns[table.shape->key[i]];
    if (table.untyped.erase(column.name) > 0) column.kind = kinds[i];
  }
  if (next == table.shape->schema) return nullptr;
  auto change = std::make_shared<SchemaChange>();
  change->before = table.shape;
  table.shape = makeShape(std::move(next));
  return change;
}

Shape DeltaShapes::find(const std::string& table) const {
  const auto at = tables_.find(table);
  return at == tables_.end() ? nullptr : at->second.shape;
}

std::string typeNameOf(const Value& value) {
  if (value.kind() != ValueKind::timestamp) return {};
  return value.as<Timestamp>().hasZone ? "timestamp with time zone" : "timestamp without time zone";
}

bool isOfType(const ColumnSchema& column, const Value& value) {
  if (value.kind() != column.kind) return false;
  if (column.kind != ValueKind::timestamp) return true;
  const std::string other = value.as<Timestamp>().hasZone ? "timestamp without time zone" : "timestamp with time zone";
  return column.sourceType != other;
}

DeltaShapes::Table& DeltaShapes::tableOf(const std::string& table) {
  const auto at = tables_.find(table);
  if (at != tables_.end()) return at->second;
  TableSchema schema{.table = table,
                     .columns = {{.name = rowIdColumn_, .kind = ValueKind::text, .nullable = false}},
                     .primaryKey = {rowIdColumn_}};
  return tables_.emplace(table, Table{makeShape(std::move(schema)), false}).first->second;
}

const Shape& DeltaShapes::shapeOf(const std::string& table) { return tableOf(table).shape; }

std::shared_ptr<const SchemaChange> DeltaShapes::learn(const RowDelta& delta) {
  Table& table = tableOf(delta.table);
  const TableShape& shape = *table.shape;
  std::optional<TableSchema> next;
  bool retyped = false;
  const auto grown = [&]() -> TableSchema& { return next ? *next : next.emplace(shape.schema); };
  for (const ColumnValue& column : delta.columns) {
    const ValueKind kind = column.value.kind();
    const auto at = shape.columns->find(column.column);
    if (!at) {
      grown().columns.push_back({.name = column.column, .kind = kind, .sourceType = typeNameOf(column.value)});
      if (kind == ValueKind::null) table.untyped.insert(column.column);
      continue;
    }
    const bool key = std::find(shape.key.begin(), shape.key.end(), *at) != shape.key.end();
    if (key && !table.given) {
      throw Error(ErrorCode::invalidConfig, Retry::afterOperator,
                  fmt::format("table \"{}\" has a column \"{}\" of its own: set rowIdColumn to another name",
                              delta.table, column.column));
    }
    const ColumnSchema& known = shape.schema.columns[*at];
    if (key || kind == ValueKind::null || isOfType(known, column.value)) continue;
    if (table.untyped.erase(column.column) > 0) {
      grown().columns[*at].kind = kind;
      next->columns[*at].sourceType = typeNameOf(column.value);
    } else if (known.kind == kind) {
      grown().columns[*at].sourceType.clear();  // timestamps of both forms
      retyped = true;
    } else if (known.kind != ValueKind::null) {
      grown().columns[*at].kind = ValueKind::null;  // any
      next->columns[*at].sourceType.clear();
    }
  }
  if (!next) return nullptr;
  auto change = std::make_shared<SchemaChange>();
  change->rowsChanged = retyped;
  change->before = table.shape;
  table.shape = makeShape(std::move(*next));
  return change;
}

void DeltaShapes::readKey(const TableShape& shape, std::string_view rowId, std::vector<Value>& out) const {
  const auto kindOf = [&](std::size_t i) { return shape.schema.columns[shape.key[i]].kind; };
  if (shape.key.size() == 1) {
    if (!readKeyValue(kindOf(0), rowId, out[shape.key[0]])) noKey(shape, rowId);
    return;
  }
  const auto parts = nlohmann::json::parse(rowId, nullptr, false);
  if (!parts.is_array() || parts.size() != shape.key.size()) noKey(shape, rowId);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string text = parts[i].is_string() ? parts[i].get<std::string>() : parts[i].dump();
    if (!readKeyValue(kindOf(i), text, out[shape.key[i]])) noKey(shape, rowId);
  }
}

template <class Each>
void DeltaShapes::fill(const std::string& table, std::string_view rowId, Each&& each, std::vector<Value>& out,
                       std::vector<std::uint32_t>& absent) {
  const TableShape& shape = *shapeOf(table);
  const std::size_t width = shape.columns->size();
  std::vector<bool> has(width);
  out.assign(width, Value());
  each([&](std::string_view column, const Value& value) {
    const auto at = shape.columns->find(column);
    if (!at) return;
    out[*at] = value;
    has[*at] = true;
  });
  readKey(shape, rowId, out);
  for (const std::uint32_t column : shape.key) has[column] = true;
  absent.clear();
  for (std::uint32_t column = 0; column < width; ++column) {
    if (!has[column]) absent.push_back(column);
  }
}

void DeltaShapes::values(const RowDelta& delta, std::vector<Value>& out, std::vector<std::uint32_t>& absent) {
  const auto each = [&](auto&& put) {
    for (const ColumnValue& column : delta.columns) put(column.column, column.value);
  };
  fill(delta.table, delta.rowId, each, out, absent);
}

void DeltaShapes::values(const std::string& table, std::string_view rowId, const Row* row, std::vector<Value>& out,
                         std::vector<std::uint32_t>& absent) {
  const auto each = [&](auto&& put) {
    for (std::size_t i = 0; row != nullptr && i < row->values.size(); ++i) put((*row->columns)[i], row->values[i]);
  };
  fill(table, rowId, each, out, absent);
}

}  // namespace tidegate::detail
