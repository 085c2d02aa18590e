#include <fmt/format.h>

#include <set>

#include "durable_streams/detail/message_mapper.h"

namespace tidegate::durable_streams {
namespace {

[[noreturn]] void refuseTable(const std::string& table, const std::string& why) {
  throw Error(ErrorCode::invalidConfig, Retry::never, fmt::format("durable_streams: table \"{}\": {}", table, why));
}

void checkStreamTable(const TableSchema& schema) {
  if (schema.table.empty()) refuseTable("", "it needs a name");
  if (schema.columns.empty()) refuseTable(schema.table, "it needs columns");
  if (schema.primaryKey.empty()) refuseTable(schema.table, "it needs a key");
  try {
    makeShape(schema);
  } catch (const Error& e) {
    refuseTable(schema.table, e.message());
  }
}

ValueKind kindOf(const EventField& field) {
  switch (field.part) {
    case EventPart::pointer:
      return field.kind;
    case EventPart::message:
      return field.kind == ValueKind::text ? ValueKind::text : ValueKind::json;
    case EventPart::streamName:
    case EventPart::offset:
      return ValueKind::text;
    case EventPart::index:
    case EventPart::number:
      return ValueKind::int64;
    case EventPart::receivedAt:
      return ValueKind::timestamp;
  }
  return field.kind;
}

}  // namespace

StreamTable entityTable(TableSchema schema, std::string type) {
  checkStreamTable(schema);
  return {.schema = std::move(schema), .type = std::move(type)};
}

StreamTable eventTable(std::string table, std::vector<EventField> fields, std::vector<std::string> key) {
  TableSchema schema{.table = std::move(table), .primaryKey = std::move(key)};
  for (EventField& field : fields) {
    if (field.part == EventPart::pointer && field.pointers.empty()) {
      refuseTable(schema.table, fmt::format("column \"{}\" has no pointer to where its value stands", field.column));
    }
    for (const std::string& pointer : field.pointers) detail::pointerParts(pointer);
    field.kind = kindOf(field);
    const std::set<std::string> keys(schema.primaryKey.begin(), schema.primaryKey.end());
    const bool always = field.part != EventPart::pointer || field.required || keys.contains(field.column);
    schema.columns.push_back({.name = field.column, .kind = field.kind, .nullable = !always});
  }
  checkStreamTable(schema);
  return {.schema = std::move(schema), .type = {}, .fields = std::move(fields)};
}

StreamTable sessionEvents(std::string table) {
  return eventTable(std::move(table),
                    {{.column = "stream_name", .part = EventPart::streamName},
                     {.column = "ds_offset", .part = EventPart::offset},
                     {.column = "ds_index", .part = EventPart::index},
                     {.column = "event_key", .pointers = {"/key"}},
                     {.column = "event_type", .pointers = {"/type"}},
                     {.column = "operation", .pointers = {"/operation", "/headers/operation"}},
                     {.column = "payload", .kind = ValueKind::json, .part = EventPart::message},
                     {.column = "received_at", .part = EventPart::receivedAt}},
                    {"stream_name", "ds_offset", "ds_index"});
}

}  // namespace tidegate::durable_streams
