#include "server/detail/sync_schema.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "server/detail/sync_errors.h"

namespace tidegate::server::detail {
namespace {

using SchemaJson = nlohmann::json;

constexpr std::size_t kMostNameBytes = 64;

[[noreturn]] void badSchema(const std::string& what) { refuseSync(400, "SCHEMA_ERROR", what); }

bool isSchemaName(const std::string& name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !name.empty() && name.size() <= kMostNameBytes && letter(name[0]) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

std::string schemaName(const SchemaJson& node, const std::string& where) {
  if (!node.is_string() || !isSchemaName(node.get_ref<const std::string&>())) {
    badSchema(where + ": expected a name of 1 to 64 letters, digits and '_' that begins with no digit");
  }
  return node.get<std::string>();
}

ValueKind schemaKind(const SchemaJson& column, const std::string& where) {
  static constexpr std::array<std::pair<std::string_view, ValueKind>, 5> kKinds{{{"string", ValueKind::text},
                                                                                 {"number", ValueKind::real},
                                                                                 {"boolean", ValueKind::boolean},
                                                                                 {"json", ValueKind::json},
                                                                                 {"null", ValueKind::null}}};
  const auto type = column.find("type");
  if (type != column.end() && type->is_string()) {
    for (const auto& [name, kind] : kKinds) {
      if (*type == name) return kind;
    }
  }
  badSchema(where + ".type: expected one of string, number, boolean, json, null");
}

std::vector<ColumnSchema> schemaColumns(const SchemaJson& list) {
  std::vector<ColumnSchema> columns;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string where = "columns[" + std::to_string(i) + "]";
    if (!list[i].is_object() || !list[i].contains("name")) badSchema(where + ".name: missing");
    ColumnSchema column{.name = schemaName(list[i]["name"], where + ".name")};
    column.kind = schemaKind(list[i], where);
    columns.push_back(std::move(column));
  }
  return columns;
}

void readKey(const SchemaJson& document, TableSchema& schema) {
  const auto key = document.find("primaryKey");
  if (key == document.end()) return;
  if (!key->is_array() || key->empty()) badSchema("primaryKey: expected a list of column names");
  for (const SchemaJson& one : *key) {
    const std::string name = schemaName(one, "primaryKey");
    if (name == "row_id") continue;  // LakeSync's name for the delta's rowId
    if (schema.find(name) == nullptr) badSchema("primaryKey: \"" + name + "\" is not among the columns");
    schema.primaryKey.push_back(name);
  }
}

}  // namespace

TableSchema syncSchemaFromJson(std::string_view json) {
  const SchemaJson document = SchemaJson::parse(json, nullptr, false);
  if (!document.is_object()) badSchema("the body is no JSON object");
  const auto columns = document.find("columns");
  if (!document.contains("table") || columns == document.end() || !columns->is_array()) {
    badSchema("missing members: table and columns");
  }
  TableSchema schema{.table = schemaName(document["table"], "table")};
  if (document.contains("sourceTable")) schema.table = schemaName(document["sourceTable"], "sourceTable");
  schema.columns = schemaColumns(*columns);
  readKey(document, schema);
  return schema;
}

}  // namespace tidegate::server::detail
