#include "kinesis/detail/json_scanner.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <array>

#include "tidegate/core/error.h"

namespace tidegate::kinesis::detail {
namespace {

using tidegate::detail::JsonKind;
using tidegate::detail::JsonTree;

/// Octets that end the plain part of a string.
constexpr std::array<bool, 256> makeStops() {
  std::array<bool, 256> stops{};
  for (std::size_t c = 0; c < 0x20; ++c) stops[c] = true;
  stops['"'] = stops['\\'] = true;
  return stops;
}
constexpr std::array<bool, 256> kStops = makeStops();

bool isDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

std::string_view ScannedValue::text(std::string& unescaped) const {
  if (!escaped) return source.substr(1, source.size() - 2);
  unescaped = tidegate::detail::decodeJsonString(source);
  return unescaped;
}

JsonScanner::JsonScanner(std::string_view object) : text_(object) {
  if (!simdjson::validate_utf8(text_.data(), text_.size())) refuse("the text is no UTF-8");
  skipSpace();
  expect('{');
}

void JsonScanner::refuse(const char* why) const {
  throw Error(ErrorCode::parseError, Retry::never, fmt::format("JSON at byte {}: {}", at_, why));
}

void JsonScanner::skipSpace() {
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c != ' ' && c != '\t' && c != '\n' && c != '\r') return;
    ++at_;
  }
}

void JsonScanner::expect(char c) {
  if (peek() != c || at_ >= text_.size()) refuse(c == '{' ? "expected an object" : "expected another character");
  ++at_;
}

bool JsonScanner::next(ScannedValue& key, ScannedValue& out) {
  skipSpace();
  if (peek() == '}') {
    ++at_;
    skipSpace();
    if (at_ != text_.size()) refuse("something follows the object");
    return false;
  }
  if (!first_) {
    expect(',');
    skipSpace();
  }
  first_ = false;
  key = string();
  skipSpace();
  expect(':');
  skipSpace();
  out = value();
  return true;
}

ScannedValue JsonScanner::string() {
  const std::size_t begin = at_;
  expect('"');
  bool escaped = false;
  for (;;) {
    while (at_ < text_.size() && !kStops[static_cast<unsigned char>(text_[at_])]) ++at_;
    if (at_ >= text_.size()) refuse("a string does not end");
    if (text_[at_] == '"') break;
    if (text_[at_] != '\\') refuse("a control character in a string");
    escaped = true;
    at_ += 2;
  }
  ++at_;
  const ScannedValue found{JsonKind::string, text_.substr(begin, at_ - begin), escaped};
  if (escaped && !JsonTree::tryParse(found.source)) refuse("a string with a malformed escape");
  return found;
}

ScannedValue JsonScanner::number() {
  const std::size_t begin = at_;
  const auto digits = [this] {
    if (!isDigit(peek())) refuse("a malformed number");
    while (isDigit(peek())) ++at_;
  };
  if (peek() == '-') ++at_;
  if (peek() == '0')
    ++at_;
  else
    digits();
  if (peek() == '.') {
    ++at_;
    digits();
  }
  if (peek() == 'e' || peek() == 'E') {
    ++at_;
    if (peek() == '+' || peek() == '-') ++at_;
    digits();
  }
  return {JsonKind::number, text_.substr(begin, at_ - begin)};
}

ScannedValue JsonScanner::word(std::string_view word, JsonKind kind) {
  if (text_.substr(at_, word.size()) != word) refuse("expected a value");
  at_ += word.size();
  return {kind, word};
}

/// Finds the end by counting brackets outside of strings; whether it is JSON the parser says.
ScannedValue JsonScanner::nested() {
  const std::size_t begin = at_;
  std::size_t depth = 0;
  do {
    if (at_ >= text_.size()) refuse("an array or object does not end");
    const char c = text_[at_];
    if (c == '"') {
      string();
      continue;
    }
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    ++at_;
  } while (depth > 0);
  const std::string_view source = text_.substr(begin, at_ - begin);
  const auto tree = JsonTree::tryParse(source);
  if (!tree) refuse("a malformed array or object");
  return {tree->root().kind(), source};
}

ScannedValue JsonScanner::value() {
  switch (peek()) {
    case '"':
      return string();
    case '{':
    case '[':
      return nested();
    case 't':
      return word("true", JsonKind::boolean);
    case 'f':
      return word("false", JsonKind::boolean);
    case 'n':
      return word("null", JsonKind::null);
    default:
      return number();
  }
}

}  // namespace tidegate::kinesis::detail
