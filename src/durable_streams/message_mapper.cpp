#include "durable_streams/detail/message_mapper.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/detail/json_tree.h"
#include "tidegate/core/json.h"
#include "tidegate/durable_streams/state_protocol.h"

namespace tidegate::durable_streams::detail {
namespace {

using tidegate::detail::JsonKind;
using tidegate::detail::JsonRef;
using tidegate::detail::JsonTree;

constexpr std::size_t kMessageDepth = kMaxJsonDepth + 4;

std::optional<JsonRef> childAt(const JsonRef& at, const std::string& part) {
  if (at.kind() == JsonKind::object) return at.find(part);
  if (at.kind() != JsonKind::array) return std::nullopt;
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
  if (error != std::errc() || end != part.data() + part.size()) return std::nullopt;
  const auto items = at.items();
  return index < items.size() ? std::optional(items[index]) : std::nullopt;
}

std::optional<JsonRef> resolve(JsonRef at, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) {
    const auto next = childAt(at, part);
    if (!next) return std::nullopt;
    at = *next;
  }
  return at;
}

Value fieldValue(const JsonRef& at, ValueKind kind) {
  const bool asText = kind == ValueKind::text && at.kind() != JsonKind::string && !at.isNull();
  if (asText) return std::string(at.source());
  return valueFromState(at.source(), kind);
}

std::uint64_t transactionNumber(const std::string& txid) {
  std::uint64_t n = 0;
  const auto [end, error] = std::from_chars(txid.data(), txid.data() + txid.size(), n);
  return error == std::errc() && end == txid.data() + txid.size() ? n : 0;
}

std::int64_t microsOf(const std::string& timestamp) {
  Timestamp at;
  return !timestamp.empty() && parseTimestamp(timestamp, at) ? at.micros : 0;
}

/// Of a row that is gone the old value may hold any part; which row it was the message's key says.
void completeKey(const ChangeMessage& message, ChangeEvent& event) {
  const auto& key = event.shape->key;
  if (std::none_of(key.begin(), key.end(), [&](std::uint32_t i) { return event.before[i].isNull(); })) return;
  std::vector<Value> named;
  keyFromState(*event.shape, message.key, named);
  for (const std::uint32_t i : key) {
    event.before[i] = named[i];
    std::erase(event.beforeAbsent, i);
  }
}

/// The old row, where it is told; else the key's columns alone.
void fillBefore(const ChangeMessage& message, ChangeEvent& event) {
  const TableSchema& schema = event.shape->schema;
  if (!message.oldValue.empty() && message.oldValue != "null") {
    rowFromJson(schema, message.oldValue, event.before, KindMismatch::refuse, &event.beforeAbsent);
    if (event.op == ChangeOp::erase) completeKey(message, event);
    return;
  }
  if (event.op != ChangeOp::erase) return;
  keyFromState(*event.shape, message.key, event.before);
  for (std::uint32_t i = 0; i < schema.columns.size(); ++i) {
    const auto& key = event.shape->key;
    if (std::find(key.begin(), key.end(), i) == key.end()) event.beforeAbsent.push_back(i);
  }
}

void fillAfter(const ChangeMessage& message, ChangeEvent& event) {
  std::vector<std::uint32_t> missing;
  rowFromJson(event.shape->schema, message.value, event.after, KindMismatch::refuse, &missing);
  for (const std::uint32_t i : event.shape->key) {
    if (!event.after[i].isNull()) continue;
    throw Error(ErrorCode::parseError, Retry::never,
                fmt::format("value.{}: the key's column is missing or null", event.shape->schema.columns[i].name));
  }
  // A member that is not there is a column without a value: messages of the State Protocol are whole.
}

}  // namespace

std::vector<std::string> pointerParts(const std::string& pointer) {
  const auto refuse = [&](const char* why) {
    throw Error(ErrorCode::invalidConfig, Retry::never,
                fmt::format("\"{}\" is no JSON pointer (RFC 6901): {}", pointer, why));
  };
  std::vector<std::string> parts;
  if (pointer.empty()) return parts;
  if (pointer.front() != '/') refuse("it must begin with '/'");
  for (std::size_t i = 0; i < pointer.size(); ++i) {
    if (pointer[i] == '/') {
      parts.emplace_back();
    } else if (pointer[i] == '~') {
      const char code = i + 1 < pointer.size() ? pointer[++i] : '\0';
      if (code != '0' && code != '1') refuse("'~' must be followed by 0 or 1");
      parts.back().push_back(code == '0' ? '~' : '/');
    } else {
      parts.back().push_back(pointer[i]);
    }
  }
  return parts;
}

MessageMapper::MessageMapper(const SourceOptions& options)
    : skipOrigins_(options.skipOrigins.begin(), options.skipOrigins.end()),
      name_(options.name.empty() ? options.stream : options.name) {
  for (const StreamTable& table : options.tables) {
    Table& made = tables_.emplace_back();
    made.shape = makeShape(table.schema);
    made.fields = table.fields;
    if (made.fields.empty()) made.type = table.type.empty() ? table.schema.table : table.type;
    for (const EventField& field : made.fields) {
      auto& paths = made.paths.emplace_back();
      for (const std::string& pointer : field.pointers) paths.push_back(pointerParts(pointer));
    }
  }
}

Shape MessageMapper::shapeOf(const std::string& table) const {
  for (const Table& t : tables_) {
    if (t.shape->schema.table == table) return t.shape;
  }
  return nullptr;
}

/// Whether it is the echo of a change that came from where these rows go.
bool MessageMapper::isOwn(std::string_view message) const {
  if (skipOrigins_.empty()) return false;
  const JsonTree tree(message, kMessageDepth);
  if (tree.root().kind() != JsonKind::object) return false;
  const auto headers = tree.root().find("headers");
  if (!headers || headers->kind() != JsonKind::object) return false;
  const auto source = headers->find("source");
  return source && source->kind() == JsonKind::string && skipOrigins_.contains(source->string());
}

void MessageMapper::map(std::string_view message, const MessageSite& site, const std::set<std::string>& wanted,
                        MappedMessage& out) const {
  out.events.clear();
  out.entities = 0;
  out.inTransaction = false;
  if (isOwn(message)) return;
  const bool asEntity = std::any_of(tables_.begin(), tables_.end(), [&](const Table& t) {
    return t.fields.empty() && wanted.contains(t.shape->schema.table);
  });
  if (asEntity) mapEntity(message, wanted, out);
  out.entities = out.events.size();
  for (const Table& table : tables_) {
    if (!table.fields.empty() && wanted.contains(table.shape->schema.table)) mapEvent(table, message, site, out);
  }
}

void MessageMapper::mapEntity(std::string_view message, const std::set<std::string>& wanted, MappedMessage& out) const {
  const StateMessage parsed = parseStateMessage(message);
  if (const auto* control = std::get_if<ControlMessage>(&parsed)) {
    // Borders of snapshots are hints: whoever writes one says one by one what is gone.
    if (control->control != StateControl::reset) return;
    for (const Table& table : tables_) {
      const bool meant = table.fields.empty() && (control->type.empty() || control->type == table.type);
      if (!meant || !wanted.contains(table.shape->schema.table)) continue;
      out.events.push_back({.op = ChangeOp::truncate, .shape = table.shape});
    }
    return;
  }
  const auto& change = std::get<ChangeMessage>(parsed);
  out.inTransaction = change.last == std::optional(false);
  for (const Table& table : tables_) {
    if (!table.fields.empty() || table.type != change.type || !wanted.contains(table.shape->schema.table)) continue;
    ChangeEvent& event = out.events.emplace_back();
    event.shape = table.shape;
    event.op = change.operation == StateOperation::insert   ? ChangeOp::insert
               : change.operation == StateOperation::update ? ChangeOp::update
                                                            : ChangeOp::erase;
    event.commitMicros = microsOf(change.timestamp);
    event.transactionId = transactionNumber(change.txid);
    if (event.op != ChangeOp::erase) fillAfter(change, event);
    if (event.op != ChangeOp::insert) fillBefore(change, event);
  }
}

void MessageMapper::mapEvent(const Table& table, std::string_view message, const MessageSite& site,
                             MappedMessage& out) const {
  const JsonTree tree(message, kMessageDepth);
  ChangeEvent& event = out.events.emplace_back();
  event.op = ChangeOp::insert;
  event.shape = table.shape;
  event.commitMicros = site.receivedMicros;
  for (std::size_t i = 0; i < table.fields.size(); ++i) {
    const EventField& field = table.fields[i];
    Value& value = event.after.emplace_back();
    switch (field.part) {
      case EventPart::pointer:
        for (const auto& parts : table.paths[i]) {
          if (const auto at = resolve(tree.root(), parts); at && value.isNull()) value = fieldValue(*at, field.kind);
        }
        break;
      case EventPart::message:
        value = field.kind == ValueKind::text ? Value(message) : Value(Json{std::string(message)});
        break;
      case EventPart::streamName:
        value = name_;
        break;
      case EventPart::offset:
        value = site.before.offset;
        break;
      case EventPart::index:
        value = site.before.skip;
        break;
      case EventPart::number:
        value = site.before.number;
        break;
      case EventPart::receivedAt:
        value = Timestamp::utc(site.receivedMicros);
        break;
    }
    const bool isKey = std::find(table.shape->key.begin(), table.shape->key.end(), i) != table.shape->key.end();
    if (!value.isNull() || !(field.required || isKey)) continue;
    throw Error(ErrorCode::parseError, Retry::never, fmt::format("column \"{}\" has no value", field.column));
  }
}

}  // namespace tidegate::durable_streams::detail
