#include "kinesis/detail/manifest.h"

#include <fmt/format.h>

#include <set>

#include "core/detail/json_tree.h"
#include "tidegate/core/error.h"
#include "tidegate/source/change_event.h"

namespace tidegate::kinesis::detail {
namespace {

using tidegate::detail::JsonKind;
using tidegate::detail::JsonRef;
using tidegate::detail::JsonTree;

std::string optionalText(const JsonRef& of, std::string_view name) {
  const auto found = of.find(name);
  return found && !found->isNull() ? std::string(found->string()) : std::string();
}

ValueKind kindNamed(const JsonRef& type) {
  const std::string name(type.string());
  for (int kind = 0; kind <= static_cast<int>(ValueKind::json); ++kind) {
    if (toString(static_cast<ValueKind>(kind)) == name) return static_cast<ValueKind>(kind);
  }
  type.fail(
      fmt::format("\"{}\" is no type; use bool, int64, uint64, double, decimal, text, bytes, date, time, timestamp, "
                  "uuid or json",
                  name));
}

ColumnSchema columnOf(const JsonRef& json) {
  ColumnSchema column{.name = std::string(json.member("name").string()),
                      .sourceType = optionalText(json, "sourceType")};
  if (const auto type = json.find("type")) column.kind = kindNamed(*type);
  if (const auto nullable = json.find("nullable")) column.nullable = nullable->boolean();
  return column;
}

ManifestPart partOf(const JsonRef& json) {
  if (json.kind() == JsonKind::string) return {.key = std::string(json.string())};
  return {.key = std::string(json.member("key").string()), .etag = optionalText(json, "etag")};
}

ManifestTable tableOf(const JsonRef& json) {
  ManifestTable table;
  table.schema.table = json.member("table").string();
  for (const JsonRef& column : json.member("columns").items()) table.schema.columns.push_back(columnOf(column));
  if (const auto key = json.find("primaryKey")) {
    for (const JsonRef& column : key->items()) table.schema.primaryKey.emplace_back(column.string());
  }
  if (const auto parts = json.find("parts")) {
    for (const JsonRef& part : parts->items()) table.parts.push_back(partOf(part));
  }
  makeShape(table.schema);  // refuses repeated columns, and a key that is none
  return table;
}

ShardPlace lastRecordOf(const JsonRef& json) {
  const std::string text(json.string());
  if (text == "TRIM_HORIZON") return {};
  if (text == "SHARD_END") return {.kind = ShardPlaceKind::done};
  if (text.empty() || text.size() > 128 || text.find_first_not_of("0123456789") != text.npos || text[0] == '0') {
    json.fail("expected a sequence number, TRIM_HORIZON or SHARD_END");
  }
  return {.kind = ShardPlaceKind::after, .sequence = text};
}

void readManifest(const JsonRef& root, Manifest& manifest) {
  std::set<std::string> names;
  for (const JsonRef& json : root.member("tables").items()) {
    manifest.tables.push_back(tableOf(json));
    if (!names.insert(manifest.tables.back().schema.table).second) json.fail("the table is named twice");
  }
  if (const auto shards = root.find("stream"); shards && !shards->isNull()) {
    for (const JsonRef& shard : shards->members()) manifest.shards[shard.key()] = lastRecordOf(shard);
  }
  if (const std::string taken = optionalText(root, "takenAt"); !taken.empty()) {
    Timestamp at;
    if (!parseTimestamp(taken, at)) root.member("takenAt").fail("expected a time, as 2026-01-31T12:00:00Z");
    manifest.takenMillis = at.micros / 1'000;
  }
}

}  // namespace

Manifest parseManifest(std::string_view json) {
  Manifest manifest;
  try {
    const JsonTree tree(json);
    readManifest(tree.root(), manifest);
  } catch (const Error& e) {
    throw Error(ErrorCode::parseError, Retry::afterOperator, e.message());
  }
  return manifest;
}

}  // namespace tidegate::kinesis::detail
