#include <algorithm>

#include "core/detail/json_tree.h"
#include "core/detail/json_write.h"
#include "core/detail/number.h"
#include "core/detail/text_out.h"
#include "tidegate/core/json.h"

namespace tidegate {
namespace detail {
namespace {

/// Orders UTF-8 text by its UTF-16 units, as RFC 8785 asks: surrogates (four octets, lead F0 to F4) stand before
/// U+E000 to U+FFFF (leads EE and EF). Elsewhere the order of the octets is that of the units.
bool lessByUtf16(std::string_view a, std::string_view b) {
  const auto rank = [](char c) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet >= 0xF0) return octet - 0xF0 + 0xEE;
    return octet >= 0xEE ? octet + 8 : int{octet};
  };
  const auto [x, y] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (x == a.end() || y == b.end()) return x == a.end() && y != b.end();
  return rank(*x) < rank(*y);
}

struct NamedMember {
  std::string key;
  JsonRef value;
};

/// An object's members by name; of repeated ones the last.
std::vector<NamedMember> sortedMembers(const JsonRef& object) {
  std::vector<NamedMember> sorted;
  for (const JsonRef& member : object.members()) sorted.push_back({member.key(), member});
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const NamedMember& a, const NamedMember& b) { return lessByUtf16(a.key, b.key); });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    if (i + 1 < sorted.size() && sorted[i].key == sorted[i + 1].key) continue;
    if (kept != i) sorted[kept] = std::move(sorted[i]);
    ++kept;
  }
  sorted.erase(sorted.begin() + static_cast<std::ptrdiff_t>(kept), sorted.end());
  return sorted;
}

template <class Out>
void appendCanonicalNumber(std::string_view text, Out& out) {
  if (text.find_first_of(".eE") == std::string_view::npos) {
    out.append(text == "-0" ? std::string_view("0") : text);
    return;
  }
  // A number beyond a double's range has no RFC 8785 form; its own text loses nothing.
  if (const auto number = readDouble(text))
    appendNumber(*number, out);
  else
    out.append(text);
}

// Recursion is bounded by the depth that the tree was parsed with.
template <class Out>
void appendCanonicalNode(const JsonRef& node, Out& out) {
  switch (node.kind()) {
    case JsonKind::number:
      appendCanonicalNumber(node.source(), out);
      return;
    case JsonKind::string:
      writeJsonString(node.string(), out);
      return;
    case JsonKind::array: {
      out.push_back('[');
      bool first = true;
      for (const JsonRef& item : node.items()) {
        if (!first) out.push_back(',');
        first = false;
        appendCanonicalNode(item, out);
      }
      out.push_back(']');
      return;
    }
    case JsonKind::object: {
      out.push_back('{');
      bool first = true;
      for (const NamedMember& member : sortedMembers(node)) {
        if (!first) out.push_back(',');
        first = false;
        writeJsonString(member.key, out);
        out.push_back(':');
        appendCanonicalNode(member.value, out);
      }
      out.push_back('}');
      return;
    }
    default:
      out.append(node.source());
  }
}

bool sameNode(const JsonRef& a, const JsonRef& b);

bool sameItems(const JsonRef& a, const JsonRef& b) {
  const auto x = a.items();
  const auto y = b.items();
  return std::equal(x.begin(), x.end(), y.begin(), y.end(), sameNode);
}

bool sameMembers(const JsonRef& a, const JsonRef& b) {
  const auto x = sortedMembers(a);
  const auto y = sortedMembers(b);
  return std::equal(x.begin(), x.end(), y.begin(), y.end(), [](const NamedMember& p, const NamedMember& q) {
    return p.key == q.key && sameNode(p.value, q.value);
  });
}

bool sameNode(const JsonRef& a, const JsonRef& b) {
  if (a.source() == b.source()) return true;
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case JsonKind::string:
      return a.string() == b.string();
    case JsonKind::array:
      return sameItems(a, b);
    case JsonKind::object:
      return sameMembers(a, b);
    case JsonKind::number: {
      const auto x = NumberText::parse(a.source());
      const auto y = NumberText::parse(b.source());
      return x && y && compareNumbers(*x, *y) == 0;
    }
    default:
      return false;
  }
}

}  // namespace

bool sameJson(std::string_view a, std::string_view b) noexcept {
  if (a == b) return true;
  try {
    const auto x = JsonTree::tryParse(a);
    if (!x) return false;
    const auto y = JsonTree::tryParse(b);
    return y && sameNode(x->root(), y->root());
  } catch (...) {
    return false;  // out of memory: to call it a change is safe, to throw is not
  }
}

template <class Out>
void appendCompactJson(std::string_view json, Out& out) {
  if (!JsonTree::tryParse(json)) return writeJsonString(json, out);
  bool inString = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (!inString && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) continue;
    out.push_back(c);
    if (c == '"') inString = !inString;
    if (inString && c == '\\') out.push_back(json[++i]);
  }
}

template <class Out>
void appendCanonicalDocument(std::string_view json, Out& out) {
  const auto tree = JsonTree::tryParse(json);
  if (tree)
    appendCanonicalNode(tree->root(), out);
  else
    writeJsonString(json, out);
}

template void appendCompactJson(std::string_view, std::string&);
template void appendCompactJson(std::string_view, TextOut&);
template void appendCanonicalDocument(std::string_view, std::string&);
template void appendCanonicalDocument(std::string_view, TextOut&);

}  // namespace detail

std::string canonicalJson(std::string_view json) {
  const detail::JsonTree tree(json);
  std::string out;
  out.reserve(json.size());
  detail::appendCanonicalNode(tree.root(), out);
  return out;
}

}  // namespace tidegate
