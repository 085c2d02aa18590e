#include "conformance/shape_table.h"

#include <nlohmann/json.hpp>

#include "electric/detail/pg_text.h"
#include "tidegate/core/error.h"

namespace tidegate::conformance {

using electric::detail::readPgLiteral;
using electric::detail::sqlTypeOf;

TableSchema itemsSchema() {
  return {.table = "items",
          .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false, .sourceType = "integer"},
                      {.name = "title", .kind = ValueKind::text, .sourceType = "text"},
                      {.name = "amount", .kind = ValueKind::decimal, .sourceType = "numeric(10,2)"},
                      {.name = "done", .kind = ValueKind::boolean, .sourceType = "boolean"},
                      {.name = "tags", .kind = ValueKind::json, .sourceType = "jsonb"},
                      {.name = "seen", .kind = ValueKind::timestamp, .sourceType = "timestamp with time zone"},
                      {.name = "Owner", .kind = ValueKind::text, .sourceType = "character varying(40)"}},
          .primaryKey = {"id"}};
}

namespace {

Value valueOf(const ColumnSchema& column, const nlohmann::json& json) {
  if (json.is_null()) return {};
  const std::string text = json.is_string() ? json.get<std::string>() : json.dump();
  if (column.kind == ValueKind::json) return Json{text};
  const auto value = readPgLiteral(sqlTypeOf(column), text);
  if (!value) throw Error(ErrorCode::invalidArgument, Retry::never, column.name + ": no such value: " + text);
  return *value;
}

}  // namespace

RowDelta deltaOf(const nlohmann::json& change, Hlc hlc) {
  const TableSchema schema = itemsSchema();
  const auto op = parseDeltaOp(change.at("op").get<std::string>());
  if (!op) throw Error(ErrorCode::invalidArgument, Retry::never, "op is INSERT, UPDATE or DELETE");
  RowDelta delta{.op = *op, .table = schema.table, .rowId = change.at("id").dump(), .clientId = "writer", .hlc = hlc};
  const nlohmann::json columns = change.value("columns", nlohmann::json::object());
  for (const auto& [name, value] : columns.items()) {
    const ColumnSchema* column = schema.find(name);
    if (column == nullptr) throw Error(ErrorCode::columnNotFound, Retry::never, "no column " + name);
    delta.columns.push_back({name, valueOf(*column, value)});
  }
  if (delta.op == DeltaOp::insert) delta.columns.push_back({"id", Value(change.at("id").get<std::int64_t>())});
  return delta;
}

}  // namespace tidegate::conformance
