#include "electric/detail/source_message.h"

#include <charconv>

#include "core/detail/json_tree.h"
#include "tidegate/core/error.h"

namespace tidegate::electric::reading {
namespace {

using tidegate::detail::JsonKind;
using tidegate::detail::JsonRef;
using tidegate::detail::JsonTree;

/// A number, or its decimal digits in a string: servers write a log's places as strings, since JavaScript would round
/// them.
template <class Number>
Number wireNumber(const JsonRef& node) {
  std::string text;
  if (node.kind() == JsonKind::string) {
    text = node.string();
  } else if (node.kind() == JsonKind::number) {
    text = node.source();
  }
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = !text.empty() && text[0] != '-' && error == std::errc{} && end == text.data() + text.size();
  if (!whole) node.fail("expected a whole number that fits");
  return number;
}

std::optional<std::string> wireText(const JsonRef& node) {
  switch (node.kind()) {
    case JsonKind::null:
      return std::nullopt;
    case JsonKind::string:
      return node.string();
    case JsonKind::boolean:
    case JsonKind::number:
      return std::string(node.source());
    default:
      node.fail("expected a string or null");
  }
}

void readCells(const JsonRef& object, std::vector<WireCell>& out) {
  for (const JsonRef& member : object.members()) out.push_back({member.key(), wireText(member)});
}

std::string optionalText(const JsonRef& object, std::string_view name) {
  const auto found = object.find(name);
  return found && !found->isNull() ? found->string() : std::string();
}

void readOperation(const JsonRef& node, const JsonRef& headers, const JsonRef& operation, WireMessage& out) {
  const std::string name = operation.string();
  if (name == "insert")
    out.kind = WireKind::insert;
  else if (name == "update")
    out.kind = WireKind::update;
  else if (name == "delete")
    out.kind = WireKind::erase;
  else
    operation.fail("expected insert, update or delete");
  out.key = optionalText(node, "key");
  readCells(node.member("value"), out.value);
  if (const auto old = node.find("old_value"); old && !old->isNull()) {
    out.hasOldValue = true;
    readCells(*old, out.oldValue);
  }
  if (const auto lsn = headers.find("lsn"); lsn && !lsn->isNull()) out.lsn = wireNumber<std::int64_t>(*lsn);
  if (const auto position = headers.find("op_position"); position && !position->isNull())
    out.position = wireNumber<std::uint64_t>(*position);
  if (const auto last = headers.find("last"); last && !last->isNull()) out.last = last->boolean();
  if (const auto ids = headers.find("txids"); ids && !ids->isNull()) {
    const auto all = ids->items();
    if (!all.empty()) out.transactionId = wireNumber<std::uint64_t>(all.front());
  }
  out.keyChangeTo = optionalText(headers, "key_change_to");
  out.keyChangeFrom = optionalText(headers, "key_change_from");
}

void readControl(const JsonRef& headers, const JsonRef& control, WireMessage& out) {
  out.control = control.string();
  if (out.control == "must-refetch") {
    out.kind = WireKind::mustRefetch;
  } else if (out.control == "up-to-date") {
    out.kind = WireKind::upToDate;
    const auto seen = headers.find("global_last_seen_lsn");
    if (seen && !seen->isNull()) out.seenLsn = wireNumber<std::int64_t>(*seen);
  }
}

WireMessage readMessage(const JsonRef& node) {
  WireMessage out;
  const JsonRef headers = node.member("headers");
  if (const auto control = headers.find("control")) {
    readControl(headers, *control, out);
  } else if (const auto operation = headers.find("operation")) {
    readOperation(node, headers, *operation, out);
  } else if (const auto event = headers.find("event")) {
    throw Error(ErrorCode::typeUnsupported, Retry::afterOperator,
                event->path() + " is \"" + event->string().substr(0, 40) +
                    "\": the condition has a subquery, which this source does not follow; write it without one");
  } else {
    headers.fail("expected an operation or a control");
  }
  return out;
}

void hashText(std::uint32_t& hash, std::string_view text) noexcept {
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16'777'619u;
  hash = (hash ^ 0xFFu) * 16'777'619u;
}

}  // namespace

void readMessages(std::string_view json, const std::function<void(WireMessage& message)>& take) {
  const JsonTree tree(json, JsonTree::kMessageDepth);
  if (tree.root().kind() == JsonKind::object) {
    WireMessage message = readMessage(tree.root());
    return take(message);
  }
  for (const JsonRef& item : tree.root().items()) {
    WireMessage message = readMessage(item);
    take(message);
  }
}

std::uint32_t markOf(const WireMessage& message) noexcept {
  std::uint32_t hash = 2'166'136'261u ^ static_cast<std::uint32_t>(message.kind);
  hashText(hash, message.key);
  for (const WireCell& cell : message.value) {
    hashText(hash, cell.column);
    if (cell.text) hashText(hash, *cell.text);
  }
  return hash == 0 ? 1 : hash;
}

}  // namespace tidegate::electric::reading
