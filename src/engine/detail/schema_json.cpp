#include "engine/detail/schema_json.h"

#include "tidegate/core/json.h"

namespace tidegate::detail {

void appendSchemaJson(const TableSchema& schema, std::string& out) {
  out += "{\"table\":";
  appendJsonString(schema.table, out);
  out += ",\"columns\":[";
  const char* comma = "";
  for (const ColumnSchema& column : schema.columns) {
    out += comma;
    comma = ",";
    out += '[';
    appendJsonString(column.name, out);
    out += ',';
    appendJsonString(toString(column.kind), out);
    out += column.nullable ? ",true," : ",false,";
    appendJsonString(column.sourceType, out);
    out += ']';
  }
  out += "],\"key\":[";
  comma = "";
  for (const std::string& name : schema.primaryKey) {
    out += comma;
    comma = ",";
    appendJsonString(name, out);
  }
  out += "]}";
}

ValueKind valueKindNamed(const JsonRef& name) {
  const std::string text = name.string();
  for (auto kind = ValueKind::null; kind <= ValueKind::json;
       kind = static_cast<ValueKind>(static_cast<int>(kind) + 1)) {
    if (toString(kind) == text) return kind;
  }
  name.fail("no kind of value is called \"" + text + "\"");
}

TableSchema readSchemaJson(const JsonRef& node) {
  TableSchema schema;
  schema.table = node.member("table").string();
  for (const JsonRef& item : node.member("columns").items()) {
    const auto parts = item.items();
    if (parts.size() != 4) item.fail("expected [name, kind, nullable, type]");
    schema.columns.push_back({.name = parts[0].string(),
                              .kind = valueKindNamed(parts[1]),
                              .nullable = parts[2].boolean(),
                              .sourceType = parts[3].string()});
  }
  for (const JsonRef& name : node.member("key").items()) schema.primaryKey.push_back(name.string());
  return schema;
}

}  // namespace tidegate::detail
