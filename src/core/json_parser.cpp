#include "core/detail/json_parser.h"

#include <algorithm>
#include <charconv>

#include "core/detail/utf8.h"

namespace tidegate::detail {

bool JsonParser::refuse(std::string what) {
  if (error_.empty()) error_ = std::move(what);
  return false;
}

void JsonParser::skipSpace() {
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c != ' ' && c != '\n' && c != '\r' && c != '\t') return;
    ++at_;
  }
}

bool JsonParser::run() {
  skipSpace();
  if (!value()) return false;
  while (container_ != JsonTree::kNone) {
    if (!nextInContainer()) return false;
  }
  skipSpace();
  return at_ == text_.size() || refuse("unexpected text after the document");
}

void JsonParser::addNode(JsonKind kind) {
  JsonTree::Node node;
  node.begin = at_;
  node.kind = kind;
  node.parent = container_;
  node.keyBegin = keyBegin_;
  node.keyEnd = keyEnd_;
  node.keyEscaped = keyEscaped_;
  keyBegin_ = keyEnd_ = 0;
  keyEscaped_ = false;
  const std::size_t index = tree_.nodes_.size();
  if (previous_ != JsonTree::kNone) tree_.nodes_[previous_].next = index;
  previous_ = index;
  tree_.nodes_.push_back(node);
}

bool JsonParser::value() {
  if (at_ >= text_.size()) return refuse("the text ends where a value is expected");
  const std::size_t index = tree_.nodes_.size();
  bool escaped = false;
  bool ok = false;
  switch (text_[at_]) {
    case '{':
      return open(JsonKind::object);
    case '[':
      return open(JsonKind::array);
    case '"':
      addNode(JsonKind::string);
      ok = string(escaped);
      break;
    case 't':
      addNode(JsonKind::boolean);
      ok = literal("true");
      break;
    case 'f':
      addNode(JsonKind::boolean);
      ok = literal("false");
      break;
    case 'n':
      addNode(JsonKind::null);
      ok = literal("null");
      break;
    default:
      addNode(JsonKind::number);
      ok = number();
  }
  tree_.nodes_[index].end = at_;
  tree_.nodes_[index].escaped = escaped;
  return ok;
}

bool JsonParser::open(JsonKind kind) {
  if (depth_ == maxDepth_) return refuse("nested over " + std::to_string(maxDepth_) + " levels deep");
  ++depth_;
  addNode(kind);
  container_ = previous_;
  previous_ = JsonTree::kNone;
  tree_.nodes_[container_].height = 1;
  ++at_;
  return true;
}

bool JsonParser::close() {
  ++at_;
  --depth_;
  JsonTree::Node& node = tree_.nodes_[container_];
  node.end = at_;
  previous_ = container_;
  container_ = node.parent;
  if (container_ != JsonTree::kNone) {
    JsonTree::Node& parent = tree_.nodes_[container_];
    parent.height = std::max(parent.height, static_cast<std::uint8_t>(node.height + 1));
  }
  return true;
}

bool JsonParser::nextInContainer() {
  const bool object = tree_.nodes_[container_].kind == JsonKind::object;
  const char end = object ? '}' : ']';
  skipSpace();
  if (peek(end)) return close();
  if (previous_ != JsonTree::kNone) {
    if (!peek(',')) return refuse(object ? "expected ',' or '}'" : "expected ',' or ']'");
    ++at_;
    skipSpace();
  }
  return (!object || memberKey()) && value();
}

bool JsonParser::memberKey() {
  if (!peek('"')) return refuse("expected a member's name in quotes");
  keyBegin_ = at_;
  if (!string(keyEscaped_)) return false;
  keyEnd_ = at_;
  skipSpace();
  if (!peek(':')) return refuse("expected ':'");
  ++at_;
  skipSpace();
  return true;
}

bool JsonParser::literal(std::string_view word) {
  if (text_.substr(at_, word.size()) != word) return refuse("expected a value");
  at_ += word.size();
  return true;
}

bool JsonParser::digits() {
  const std::size_t from = at_;
  while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
  return at_ > from || refuse("expected a digit");
}

bool JsonParser::number() {
  if (peek('-')) {
    ++at_;
  } else if (text_[at_] < '0' || text_[at_] > '9') {
    return refuse("expected a value");
  }
  if (peek('0')) {
    ++at_;
  } else if (!digits()) {
    return false;
  }
  if (peek('.')) {
    ++at_;
    if (!digits()) return false;
  }
  if (peek('e') || peek('E')) {
    ++at_;
    if (peek('+') || peek('-')) ++at_;
    if (!digits()) return false;
  }
  return true;
}

bool JsonParser::string(bool& escaped) {
  escaped = false;
  ++at_;
  while (at_ < text_.size()) {
    const auto c = static_cast<unsigned char>(text_[at_]);
    if (c == '"') {
      ++at_;
      return true;
    }
    if (c == '\\') {
      escaped = true;
      if (!escape()) return false;
    } else if (c < 0x20) {
      return refuse("a control character inside a string must be escaped");
    } else if (c < 0x80) {
      ++at_;
    } else {
      const std::size_t length = utf8Length(text_.substr(at_));
      if (length == 0) return refuse("a string holds invalid UTF-8");
      at_ += length;
    }
  }
  return refuse("the text ends inside a string");
}

bool JsonParser::hex4(unsigned& out) {
  out = 0;
  if (text_.size() - at_ < 4) return refuse("expected four hex digits");
  const char* const from = text_.data() + at_;
  if (*from == '-' || std::from_chars(from, from + 4, out, 16).ptr != from + 4) {
    return refuse("expected four hex digits");
  }
  at_ += 4;
  return true;
}

bool JsonParser::escape() {
  ++at_;
  if (at_ >= text_.size()) return refuse("the text ends inside a string");
  const char c = text_[at_];
  if (c != 'u') {
    if (std::string_view("\"\\/bfnrt").find(c) == std::string_view::npos) return refuse("unknown escape");
    ++at_;
    return true;
  }
  ++at_;
  unsigned unit = 0;
  if (!hex4(unit)) return false;
  if (unit < 0xD800 || unit > 0xDFFF) return true;
  unsigned low = 0;
  if (unit > 0xDBFF || text_.substr(at_, 2) != "\\u") return refuse("a lone surrogate is no character");
  at_ += 2;
  if (!hex4(low)) return false;
  return (low >= 0xDC00 && low <= 0xDFFF) || refuse("a lone surrogate is no character");
}

}  // namespace tidegate::detail
