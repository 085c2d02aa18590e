#include "engine/detail/event_json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "core/detail/json_tree.h"
#include "core/detail/octet_text.h"
#include "engine/detail/compiled_filter.h"
#include "engine/detail/schema_json.h"
#include "tidegate/core/json.h"
#include "tidegate/source/sync_source.h"

namespace tidegate::detail {
namespace {

std::string octetsOf(std::string_view hex, const JsonRef& node) {
  std::optional<std::string> octets = fromHex(hex);
  if (!octets) node.fail("expected hexadecimal digits, two for each octet");
  return *std::move(octets);
}

std::string doubleText(double v) {
  char text[40];
  const auto end = std::to_chars(text, text + sizeof text, v, std::chars_format::hex).ptr;
  return std::isfinite(v) ? std::string(text, end) : std::isnan(v) ? "nan" : v < 0 ? "-inf" : "inf";
}

template <class Number>
Number numberOf(const std::string& text, const JsonRef& node) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) node.fail("expected a number, not \"" + text + "\"");
  return number;
}

double doubleOf(const std::string& text, const JsonRef& node) {
  if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (text == "inf" || text == "-inf") return (text[0] == '-' ? -1 : 1) * std::numeric_limits<double>::infinity();
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::hex);
  if (error != std::errc() || end != text.data() + text.size()) node.fail("expected a number, not \"" + text + "\"");
  return number;
}

/// Text of a value other than null. Octets that may not be UTF-8 are hexadecimal, since JSON would change them.
std::string valueText(const Value& value) {
  switch (value.kind()) {
    case ValueKind::boolean:
      return value.as<bool>() ? "true" : "false";
    case ValueKind::int64:
      return std::to_string(value.as<std::int64_t>());
    case ValueKind::uint64:
      return std::to_string(value.as<std::uint64_t>());
    case ValueKind::real:
      return doubleText(value.as<double>());
    case ValueKind::decimal:
      return value.as<Decimal>().text;
    case ValueKind::text:
      return value.as<std::string>();
    case ValueKind::bytes:
      return hexOf(value.as<Bytes>().octets);
    case ValueKind::date:
      return std::to_string(value.as<Date>().days);
    case ValueKind::time:
      return std::to_string(value.as<Time>().micros);
    case ValueKind::timestamp: {
      const auto& time = value.as<Timestamp>();
      return std::to_string(time.micros) + (time.hasZone ? "Z" : "");
    }
    case ValueKind::uuid: {
      const auto& octets = value.as<Uuid>().octets;
      return hexOf({reinterpret_cast<const char*>(octets.data()), octets.size()});
    }
    case ValueKind::json:
      return value.as<Json>().text;
    case ValueKind::null:
      break;
  }
  return {};
}

Uuid uuidOf(const std::string& text, const JsonRef& node) {
  Uuid uuid;
  const std::string octets = octetsOf(text, node);
  if (octets.size() != uuid.octets.size()) node.fail("expected 16 octets");
  std::transform(octets.begin(), octets.end(), uuid.octets.begin(),
                 [](char c) { return static_cast<std::uint8_t>(c); });
  return uuid;
}

Value valueOf(ValueKind kind, std::string text, const JsonRef& node) {
  switch (kind) {
    case ValueKind::boolean:
      return text == "true";
    case ValueKind::int64:
      return numberOf<std::int64_t>(text, node);
    case ValueKind::uint64:
      return numberOf<std::uint64_t>(text, node);
    case ValueKind::real:
      return doubleOf(text, node);
    case ValueKind::decimal:
      return Decimal{std::move(text)};
    case ValueKind::text:
      return text;
    case ValueKind::bytes:
      return Bytes{octetsOf(text, node)};
    case ValueKind::date:
      return Date{numberOf<std::int32_t>(text, node)};
    case ValueKind::time:
      return Time{numberOf<std::int64_t>(text, node)};
    case ValueKind::timestamp: {
      const bool zone = text.ends_with('Z');
      if (zone) text.pop_back();
      return Timestamp{numberOf<std::int64_t>(text, node), zone};
    }
    case ValueKind::uuid:
      return uuidOf(text, node);
    case ValueKind::json:
      return Json{std::move(text)};
    case ValueKind::null:
      break;
  }
  node.fail("a null is written as null");
}

Value readValue(const JsonRef& node) {
  if (node.isNull()) return Null{};
  const auto parts = node.items();
  if (parts.size() < 2) node.fail("expected [kind, text]");
  if (parts.size() == 3) {  // text that is no UTF-8
    std::string octets = octetsOf(parts[2].string(), node);
    return valueOf(valueKindNamed(parts[0]), std::move(octets), node);
  }
  return valueOf(valueKindNamed(parts[0]), parts[1].string(), node);
}

void appendValues(const char* name, const std::vector<Value>& values, std::string& out) {
  if (values.empty()) return;
  out += ",\"";
  out += name;
  out += "\":[";
  const char* comma = "";
  for (const Value& value : values) {
    out += comma;
    comma = ",";
    appendTypedValue(value, out);
  }
  out += ']';
}

void appendColumns(const char* name, const std::vector<std::uint32_t>& columns, std::string& out) {
  if (columns.empty()) return;
  out += ",\"";
  out += name;
  out += "\":[";
  const char* comma = "";
  for (const std::uint32_t column : columns) {
    out += comma;
    comma = ",";
    out += std::to_string(column);
  }
  out += ']';
}

void readColumns(const JsonRef& root, const char* name, std::size_t most, std::vector<std::uint32_t>& out) {
  const auto list = root.find(name);
  if (!list) return;
  for (const JsonRef& item : list->items()) {
    const std::uint64_t column = item.uint64();
    if (column >= most) item.fail("there is no such column");
    out.push_back(static_cast<std::uint32_t>(column));
  }
}

void readValues(const JsonRef& root, const char* name, std::size_t columns, std::vector<Value>& out) {
  const auto list = root.find(name);
  if (!list) return;
  for (const JsonRef& item : list->items()) out.push_back(readValue(item));
  if (out.size() != columns) list->fail("expected a value for each column");
}

ChangeOp opNamed(const JsonRef& node) {
  const std::string text = node.string();
  for (const ChangeOp op : {ChangeOp::insert, ChangeOp::update, ChangeOp::erase, ChangeOp::read}) {
    if (toString(op) == text) return op;
  }
  node.fail("\"" + text + "\" is no change of a row");
}

}  // namespace

void appendTypedValue(const Value& value, std::string& out) {
  if (value.isNull()) {
    out += "null";
    return;
  }
  out += '[';
  appendJsonString(toString(value.kind()), out);
  out += ',';
  const std::string text = valueText(value);
  if (isUtf8(text)) {
    appendJsonString(text, out);
  } else {
    out += "null,";
    appendJsonString(hexOf(text), out);
  }
  out += ']';
}

std::string eventJson(const ChangeEvent& event, const SyncSource& source) {
  std::string out = "{\"op\":";
  appendJsonString(toString(event.op), out);
  out += ",\"position\":";
  appendJsonString(source.positionToText(event.position), out);
  out += ",\"commitMicros\":" + std::to_string(event.commitMicros);
  out += ",\"transactionId\":" + std::to_string(event.transactionId);
  appendValues("before", event.before, out);
  appendColumns("beforeAbsent", event.beforeAbsent, out);
  appendValues("after", event.after, out);
  appendColumns("unchanged", event.unchanged, out);
  out += ",\"shape\":";
  appendSchemaJson(event.shape->schema, out);
  return out + "}";
}

ChangeEvent eventFromJson(std::string_view json, const SyncSource& source) {
  const JsonTree tree(json);
  const JsonRef root = tree.root();
  ChangeEvent event;
  event.op = opNamed(root.member("op"));
  event.shape = makeShape(readSchemaJson(root.member("shape")));
  event.position = source.positionFromText(root.member("position").string());
  const JsonRef commit = root.member("commitMicros");
  event.commitMicros = numberOf<std::int64_t>(std::string(commit.source()), commit);
  event.transactionId = root.member("transactionId").uint64();
  const std::size_t columns = event.shape->columns->size();
  readValues(root, "before", columns, event.before);
  readColumns(root, "beforeAbsent", columns, event.beforeAbsent);
  readValues(root, "after", columns, event.after);
  readColumns(root, "unchanged", columns, event.unchanged);
  return event;
}

std::string describeKey(const ChangeEvent& event) {
  const bool old = event.after.empty();
  const EventRow row = old ? EventRow{event.before, event.beforeAbsent} : EventRow{event.after, event.unchanged};
  std::string out;
  const auto add = [&](std::size_t column) {
    if (!row.has(column)) return;
    if (!out.empty()) out += ", ";
    out += (*event.shape->columns)[column] + "=" + describe(row.values[column]);
  };
  for (const std::uint32_t column : event.shape->key) add(column);
  if (event.shape->key.empty()) {
    for (std::size_t i = 0; i < row.values.size(); ++i) add(i);
  }
  return out;
}

}  // namespace tidegate::detail
