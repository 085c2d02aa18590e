#include "core/detail/json_tree.h"

#include <algorithm>
#include <charconv>

#include "core/detail/json_parser.h"
#include "core/detail/number.h"
#include "core/detail/utf8.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {

std::string_view describeKind(JsonKind kind) noexcept {
  constexpr std::string_view kNames[] = {"null", "a bool", "a number", "a string", "an array", "an object"};
  return kNames[static_cast<std::size_t>(kind)];
}

JsonTree::JsonTree(std::string_view text, std::size_t maxDepth) : text_(text) {
  JsonParser parser(*this, maxDepth);
  if (!parser.run()) {
    throw Error(ErrorCode::parseError, Retry::never,
                "JSON at byte " + std::to_string(parser.errorAt()) + ": " + parser.error());
  }
}

std::optional<JsonTree> JsonTree::tryParse(std::string_view text, std::size_t maxDepth) {
  JsonTree tree;
  tree.text_ = text;
  if (!JsonParser(tree, maxDepth).run()) return std::nullopt;
  return tree;
}

JsonRef JsonTree::root() const { return {this, 0}; }

std::string JsonRef::key() const {
  const auto& n = node();
  if (n.keyBegin == n.keyEnd) return {};
  return decodeJsonString(tree_->text_.substr(n.keyBegin, n.keyEnd - n.keyBegin));
}

bool JsonRef::keyIs(std::string_view name) const {
  const auto& n = node();
  if (n.keyEscaped) return key() == name;
  return tree_->text_.substr(n.keyBegin + 1, n.keyEnd - n.keyBegin - 2) == name;
}

std::string JsonRef::path() const {
  std::vector<std::size_t> chain;
  for (std::size_t i = index_; tree_->nodes_[i].parent != JsonTree::kNone; i = tree_->nodes_[i].parent) {
    chain.push_back(i);
  }
  std::string path;
  for (auto at = chain.rbegin(); at != chain.rend(); ++at) {
    const JsonRef ref(tree_, *at);
    const auto& n = ref.node();
    if (tree_->nodes_[n.parent].kind == JsonKind::object) {
      if (!path.empty()) path.push_back('.');
      path += ref.key();
    } else {
      std::size_t position = 0;
      for (std::size_t i = n.parent + 1; i != *at; i = tree_->nodes_[i].next) ++position;
      path.append("[").append(std::to_string(position)).append("]");
    }
  }
  return path;
}

void JsonRef::fail(std::string_view what) const {
  std::string message = path();
  if (!message.empty()) message += ": ";
  throw Error(ErrorCode::parseError, Retry::never, message.append(what));
}

void JsonRef::expect(JsonKind wanted) const {
  if (kind() != wanted) {
    fail("expected " + std::string(describeKind(wanted)) + ", not " + std::string(describeKind(kind())));
  }
}

std::vector<JsonRef> JsonRef::children() const {
  std::vector<JsonRef> all;
  const auto& nodes = tree_->nodes_;
  const std::size_t first = index_ + 1;
  if (first >= nodes.size() || nodes[first].parent != index_) return all;
  for (std::size_t i = first; i != JsonTree::kNone; i = nodes[i].next) all.push_back(JsonRef(tree_, i));
  return all;
}

std::optional<JsonRef> JsonRef::find(std::string_view name) const {
  expect(JsonKind::object);
  std::optional<JsonRef> found;
  const auto& nodes = tree_->nodes_;
  const std::size_t first = index_ + 1;
  if (first >= nodes.size() || nodes[first].parent != index_) return found;
  for (std::size_t i = first; i != JsonTree::kNone; i = nodes[i].next) {
    const JsonRef ref(tree_, i);
    if (ref.keyIs(name)) found = ref;
  }
  return found;
}

JsonRef JsonRef::member(std::string_view name) const {
  if (auto found = find(name)) return *found;
  std::string message = path();
  if (!message.empty()) message.push_back('.');
  throw Error(ErrorCode::parseError, Retry::never, message.append(name) + ": missing");
}

std::vector<JsonRef> JsonRef::members() const {
  expect(JsonKind::object);
  return children();
}

std::vector<JsonRef> JsonRef::items() const {
  expect(JsonKind::array);
  return children();
}

bool JsonRef::boolean() const {
  expect(JsonKind::boolean);
  return source() == "true";
}

std::string JsonRef::string() const {
  expect(JsonKind::string);
  const std::string_view literal = source();
  if (node().escaped) return decodeJsonString(literal);
  return std::string(literal.substr(1, literal.size() - 2));
}

namespace {

template <class Integer>
bool readWhole(std::string_view digits, Integer& out) {
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), out);
  return result.ec == std::errc() && result.ptr == digits.data() + digits.size();
}

}  // namespace

std::uint64_t JsonRef::uint64() const {
  std::uint64_t v = 0;
  if (kind() != JsonKind::number || !readWhole(source(), v)) fail("expected a whole number from 0 to 2^64 - 1");
  return v;
}

Hlc JsonRef::hlc() const {
  if (kind() == JsonKind::number || kind() == JsonKind::string) {
    if (const auto stamp = Hlc::parse(kind() == JsonKind::string ? string() : std::string(source()))) return *stamp;
  }
  fail("expected a decimal string of at most 64 bits");
}

Value JsonRef::value() const {
  switch (kind()) {
    case JsonKind::null:
      return Null{};
    case JsonKind::boolean:
      return boolean();
    case JsonKind::string:
      return string();
    case JsonKind::number:
      break;
    default:
      if (height() > kMaxJsonDepth) fail("nested over " + std::to_string(kMaxJsonDepth) + " levels deep");
      return Json{std::string(source())};
  }
  const std::string_view text = source();
  if (text.find_first_of(".eE") == std::string_view::npos) {
    std::int64_t integer = 0;
    std::uint64_t large = 0;
    // "-0" has a sign that an integer cannot keep.
    if (text == "-0") return -0.0;
    if (readWhole(text, integer)) return integer;
    if (readWhole(text, large)) return large;
    // JavaScript (and appendNumber) write doubles below 1e21 as whole digits; read as Decimal, which is written as a
    // string, such a number would no longer have its sender's delta id.
    if (const auto number = readDouble(text)) {
      std::string shortest;
      appendNumber(*number, shortest);
      if (shortest == text) return *number;
    }
    return Decimal{std::string(text)};
  }
  if (const auto number = readDouble(text)) return *number;
  return Json{std::string(text)};  // beyond a double's range: a document column may hold it, and no digit is lost
}

std::string decodeJsonString(std::string_view literal) {
  std::string out;
  out.reserve(literal.size());
  const auto hex4 = [&](std::size_t at) {
    std::uint32_t v = 0;
    std::from_chars(literal.data() + at, literal.data() + at + 4, v, 16);
    return v;
  };
  for (std::size_t i = 1; i + 1 < literal.size(); ++i) {
    if (literal[i] != '\\') {
      out.push_back(literal[i]);
      continue;
    }
    switch (literal[++i]) {
      case 'b':
        out.push_back('\b');
        break;
      case 'f':
        out.push_back('\f');
        break;
      case 'n':
        out.push_back('\n');
        break;
      case 'r':
        out.push_back('\r');
        break;
      case 't':
        out.push_back('\t');
        break;
      case 'u': {
        std::uint32_t code = hex4(i + 1);
        i += 4;
        if (code >= 0xD800 && code < 0xDC00) {
          code = 0x10000 + ((code - 0xD800) << 10) + (hex4(i + 3) - 0xDC00);
          i += 6;
        }
        appendUtf8(code, out);
        break;
      }
      default:
        out.push_back(literal[i]);
    }
  }
  return out;
}

}  // namespace tidegate::detail
