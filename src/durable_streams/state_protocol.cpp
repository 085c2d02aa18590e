#include "tidegate/durable_streams/state_protocol.h"

#include "core/detail/json_tree.h"
#include "tidegate/core/error.h"
#include "tidegate/core/json.h"

namespace tidegate::durable_streams {
namespace {

using tidegate::detail::JsonKind;
using tidegate::detail::JsonRef;
using tidegate::detail::JsonTree;

/// Values of full depth inside a message.
constexpr std::size_t kStateDepth = kMaxJsonDepth + 4;

std::string nonEmptyText(const JsonRef& at) {
  std::string text = at.string();
  if (text.empty()) at.fail("must not be empty");
  return text;
}

std::string optionalText(const JsonRef& headers, std::string_view name) {
  const auto found = headers.find(name);
  return found ? nonEmptyText(*found) : std::string();
}

/// RFC 3339: a date, a time and a zone.
std::string rfc3339(const JsonRef& headers) {
  const auto found = headers.find("timestamp");
  if (!found) return {};
  std::string text = nonEmptyText(*found);
  Timestamp parsed;
  if (!parseTimestamp(text, parsed) || !parsed.hasZone) found->fail("expected an RFC 3339 timestamp");
  return text;
}

StateOperation operationAt(const JsonRef& at) {
  const std::string text = at.string();
  if (text == "insert") return StateOperation::insert;
  if (text == "update" || text == "upsert") return StateOperation::update;
  if (text == "delete") return StateOperation::erase;
  at.fail("expected \"insert\", \"update\" or \"delete\"");
}

ControlMessage readControl(const JsonRef& control, const JsonRef& headers) {
  ControlMessage message;
  const std::string text = control.string();
  if (text == "snapshot-start")
    message.control = StateControl::snapshotStart;
  else if (text == "snapshot-end")
    message.control = StateControl::snapshotEnd;
  else if (text == "reset")
    message.control = StateControl::reset;
  else
    control.fail("expected \"snapshot-start\", \"snapshot-end\" or \"reset\"");
  message.offset = optionalText(headers, "offset");
  message.type = optionalText(headers, "type");
  return message;
}

ChangeMessage readChangeMessage(const JsonRef& root, const JsonRef& headers) {
  ChangeMessage message;
  message.operation = operationAt(headers.member("operation"));
  message.type = nonEmptyText(root.member("type"));
  message.key = nonEmptyText(root.member("key"));
  if (message.operation == StateOperation::erase) {
    if (const auto value = root.find("value")) message.value = value->source();
  } else {
    message.value = root.member("value").source();
  }
  if (const auto old = root.find("old_value")) message.oldValue = old->source();
  message.txid = optionalText(headers, "txid");
  message.timestamp = rfc3339(headers);
  message.offset = optionalText(headers, "offset");
  message.source = optionalText(headers, "source");
  if (const auto last = headers.find("last")) message.last = last->boolean();
  return message;
}

void appendMember(std::string_view name, std::string_view text, std::string& out) {
  if (text.empty()) return;
  out.append(",\"").append(name).append("\":");
  appendJsonString(text, out);
}

}  // namespace

std::string_view toString(StateOperation operation) noexcept {
  constexpr std::string_view kNames[] = {"insert", "update", "delete"};
  return kNames[static_cast<std::size_t>(operation)];
}

std::string_view toString(StateControl control) noexcept {
  constexpr std::string_view kNames[] = {"snapshot-start", "snapshot-end", "reset"};
  return kNames[static_cast<std::size_t>(control)];
}

StateMessage parseStateMessage(std::string_view json) {
  const JsonTree tree(json, kStateDepth);
  const JsonRef root = tree.root();
  const JsonRef headers = root.member("headers");
  if (const auto control = headers.find("control")) {
    if (headers.find("operation")) headers.fail("has both \"control\" and \"operation\"");
    return readControl(*control, headers);
  }
  return readChangeMessage(root, headers);
}

void appendStateMessage(const ChangeMessage& message, std::string& out) {
  out.append("{\"type\":");
  appendJsonString(message.type, out);
  out.append(",\"key\":");
  appendJsonString(message.key, out);
  if (!message.value.empty()) out.append(",\"value\":").append(message.value);
  if (!message.oldValue.empty()) out.append(",\"old_value\":").append(message.oldValue);
  out.append(",\"headers\":{\"operation\":\"").append(toString(message.operation)).push_back('"');
  appendMember("txid", message.txid, out);
  appendMember("timestamp", message.timestamp, out);
  appendMember("offset", message.offset, out);
  appendMember("source", message.source, out);
  if (message.last) out.append(*message.last ? ",\"last\":true" : ",\"last\":false");
  out.append("}}");
}

void appendStateMessage(const ControlMessage& message, std::string& out) {
  out.append("{\"headers\":{\"control\":\"").append(toString(message.control)).push_back('"');
  appendMember("offset", message.offset, out);
  appendMember("type", message.type, out);
  out.append("}}");
}

}  // namespace tidegate::durable_streams
