#include "mysql/detail/json_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "core/detail/json_tree.h"
#include "core/detail/json_write.h"
#include "mysql/detail/json_binary.h"
#include "mysql/detail/octet_cursor.h"

namespace tidegate::mysql::detail {
namespace {

using DocumentKind = tidegate::detail::JsonKind;
using tidegate::detail::JsonRef;
using tidegate::detail::JsonTree;

/// MySQL's own limit of a document's depth.
constexpr std::size_t kMostLevels = 100;

enum class JsonOperation : std::uint8_t { replace = 0, insert = 1, remove = 2 };

/// A document that can be changed. Scalars stay as they are written.
struct JsonNode {
  DocumentKind kind = DocumentKind::null;
  std::string scalar{};
  std::vector<std::string> keys{};  ///< of an object, in the order of `children`
  std::vector<JsonNode> children{};
};

JsonNode nodeOf(const JsonRef& from) {
  JsonNode node{.kind = from.kind()};
  if (node.kind == DocumentKind::object) {
    for (const JsonRef& member : from.members()) {
      node.keys.push_back(member.key());
      node.children.push_back(nodeOf(member));
    }
  } else if (node.kind == DocumentKind::array) {
    for (const JsonRef& item : from.items()) node.children.push_back(nodeOf(item));
  } else {
    node.scalar = from.source();
  }
  return node;
}

JsonNode parseDocument(std::string_view text) {
  const auto tree = JsonTree::tryParse(text, kMostLevels + 1);
  if (!tree) refuseOctets("a JSON document that is updated in part is none");
  return nodeOf(tree->root());
}

void print(const JsonNode& node, std::string& out) {
  const bool isObject = node.kind == DocumentKind::object;
  if (!isObject && node.kind != DocumentKind::array) return void(out += node.scalar);
  out += isObject ? '{' : '[';
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    if (i != 0) out += ", ";
    if (isObject) {
      tidegate::detail::writeJsonString(node.keys[i], out);
      out += ": ";
    }
    print(node.children[i], out);
  }
  out += isObject ? '}' : ']';
}

std::size_t levelsOf(const JsonNode& node) {
  std::size_t most = 0;
  for (const JsonNode& child : node.children) most = std::max(most, levelsOf(child));
  return node.children.empty() ? most : most + 1;
}

/// One step of a path: `.name`, `[3]`, `[last]`, `[last-2]`.
struct PathLeg {
  bool isCell = false;
  bool fromEnd = false;
  std::size_t index = 0;
  std::string name{};
};

[[noreturn]] void refusePath(std::string_view path) {
  refuseOctets(fmt::format("a JSON document is updated at the unreadable path {}", path.substr(0, 80)));
}

std::size_t takeIndex(std::string_view& rest, std::string_view path) {
  std::uint32_t index = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), index);
  if (error != std::errc{}) refusePath(path);
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  return index;
}

PathLeg takeCell(std::string_view& rest, std::string_view path) {
  constexpr std::string_view kLast = "last";
  PathLeg leg{.isCell = true};
  rest.remove_prefix(1);
  if (rest.starts_with(kLast)) {
    leg.fromEnd = true;
    rest.remove_prefix(kLast.size());
    if (rest.starts_with('-')) {
      rest.remove_prefix(1);
      leg.index = takeIndex(rest, path);
    }
  } else {
    leg.index = takeIndex(rest, path);
  }
  if (!rest.starts_with(']')) refusePath(path);
  rest.remove_prefix(1);
  return leg;
}

PathLeg takeMember(std::string_view& rest, std::string_view path) {
  rest.remove_prefix(1);
  PathLeg leg;
  if (!rest.starts_with('"')) {
    leg.name = rest.substr(0, rest.find_first_of(".["));
    if (leg.name.empty()) refusePath(path);
    rest.remove_prefix(leg.name.size());
    return leg;
  }
  std::size_t end = 1;
  for (; end < rest.size() && rest[end] != '"'; ++end) end += rest[end] == '\\' ? 1 : 0;
  if (end >= rest.size()) refusePath(path);
  const std::string_view quoted = rest.substr(0, end + 1);
  const auto name = JsonTree::tryParse(quoted);
  if (!name || name->root().kind() != DocumentKind::string) refusePath(path);
  leg.name = name->root().string();
  rest.remove_prefix(quoted.size());
  return leg;
}

std::vector<PathLeg> readPath(std::string_view path) {
  std::vector<PathLeg> legs;
  if (!path.starts_with('$')) refusePath(path);
  for (std::string_view rest = path.substr(1); !rest.empty();) {
    if (legs.size() >= kMostLevels) refusePath(path);
    if (rest.starts_with('.')) {
      legs.push_back(takeMember(rest, path));
    } else if (rest.starts_with('[')) {
      legs.push_back(takeCell(rest, path));
    } else {
      refusePath(path);
    }
  }
  return legs;
}

/// The cell's place; the array's size and more where it is behind its end.
std::size_t placeOfCell(const JsonNode& array, const PathLeg& leg) {
  if (!leg.fromEnd) return leg.index;
  const std::size_t size = array.children.size();
  return leg.index < size ? size - 1 - leg.index : size;
}

/// MySQL takes what is no array for an array of one, where a cell is asked for.
bool isWrapped(const JsonNode& node, const PathLeg& leg) {
  return leg.isCell && node.kind != DocumentKind::array && leg.index == 0;
}

/// Null: there is none.
JsonNode* childAt(JsonNode& node, const PathLeg& leg) {
  if (isWrapped(node, leg)) return &node;
  if (leg.isCell) {
    const std::size_t at = node.kind == DocumentKind::array ? placeOfCell(node, leg) : node.children.size();
    return at < node.children.size() ? &node.children[at] : nullptr;
  }
  if (node.kind != DocumentKind::object) return nullptr;
  const auto at = std::find(node.keys.begin(), node.keys.end(), leg.name);
  return at == node.keys.end() ? nullptr : &node.children[static_cast<std::size_t>(at - node.keys.begin())];
}

[[noreturn]] void refuseDiff(std::string_view path) {
  refuseOctets(fmt::format("a JSON document is updated in part at {}, which it does not have", path.substr(0, 80)));
}

/// Objects are ordered by the length of their keys, then by their octets.
bool keyBefore(const std::string& a, const std::string& b) {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

void insertAt(JsonNode& parent, const PathLeg& leg, JsonNode value, std::string_view path) {
  if (leg.isCell) {
    if (parent.kind != DocumentKind::array) refuseDiff(path);
    const std::size_t at = std::min(placeOfCell(parent, leg), parent.children.size());
    parent.children.insert(parent.children.begin() + static_cast<std::ptrdiff_t>(at), std::move(value));
    return;
  }
  if (parent.kind != DocumentKind::object || childAt(parent, leg) != nullptr) refuseDiff(path);
  const auto at = std::upper_bound(parent.keys.begin(), parent.keys.end(), leg.name, keyBefore) - parent.keys.begin();
  parent.keys.insert(parent.keys.begin() + at, leg.name);
  parent.children.insert(parent.children.begin() + at, std::move(value));
}

void removeAt(JsonNode& parent, const PathLeg& leg, std::string_view path) {
  const JsonNode* const gone = childAt(parent, leg);
  if (gone == nullptr || gone == &parent) refuseDiff(path);
  const auto at = gone - parent.children.data();
  parent.children.erase(parent.children.begin() + at);
  if (!leg.isCell) parent.keys.erase(parent.keys.begin() + at);
}

void applyDiff(JsonOperation operation, std::string_view path, JsonNode value, JsonNode& document) {
  std::vector<PathLeg> legs = readPath(path);
  if (legs.size() + levelsOf(value) > kMostLevels) refuseOctets("a JSON document is nested too deep");
  if (legs.empty()) {
    if (operation != JsonOperation::replace) refuseDiff(path);
    document = std::move(value);
    return;
  }
  const PathLeg last = std::move(legs.back());
  legs.pop_back();
  JsonNode* parent = &document;
  for (const PathLeg& leg : legs) {
    parent = childAt(*parent, leg);
    if (parent == nullptr) refuseDiff(path);
  }
  switch (operation) {
    case JsonOperation::replace: {
      JsonNode* const old = childAt(*parent, last);
      if (old == nullptr) refuseDiff(path);
      *old = std::move(value);
      return;
    }
    case JsonOperation::insert:
      return insertAt(*parent, last, std::move(value), path);
    case JsonOperation::remove:
      return removeAt(*parent, last, path);
  }
}

}  // namespace

void applyJsonDiffs(std::string_view diffs, std::string& document) {
  if (diffs.empty()) return;
  JsonNode root = parseDocument(document);
  OctetCursor in(diffs, "a partial update of a JSON document");
  std::string text;
  while (!in.done()) {
    const std::uint8_t operation = in.octet();
    if (operation > static_cast<std::uint8_t>(JsonOperation::remove)) {
      refuseOctets(fmt::format("a JSON document is updated in the unknown way {}", operation));
    }
    const std::string_view path = in.packedText();
    JsonNode value;
    if (operation != static_cast<std::uint8_t>(JsonOperation::remove)) {
      text.clear();
      jsonFromBinary(in.packedText(), text);
      value = parseDocument(text);
    }
    applyDiff(static_cast<JsonOperation>(operation), path, std::move(value), root);
  }
  document.clear();
  print(root, document);
}

}  // namespace tidegate::mysql::detail
