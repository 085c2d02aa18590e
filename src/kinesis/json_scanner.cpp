#include "kinesis/detail/json_scanner.h"

#include <fmt/format.h>
#include <simdjson.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <bit>
#include <cstdint>
#include <cstring>

#include "tidegate/core/error.h"

namespace tidegate::kinesis::detail {
namespace {

using tidegate::detail::JsonKind;
using tidegate::detail::JsonTree;

constexpr std::uint64_t kOnes = 0x0101010101010101, kHighs = 0x8080808080808080;

/// The high bit of each octet that is zero; beyond the first such octet there may be others by mistake.
constexpr std::uint64_t zeros(std::uint64_t octets) { return (octets - kOnes) & ~octets & kHighs; }

/// Octets, from the first on, that stand for themselves in a string: no quote, backslash, control character, nor part
/// of a longer UTF-8 sequence. Many at once.
std::size_t plainOctets(const char* text, std::size_t size) {
  std::size_t at = 0;
#if defined(__SSE2__)
  for (; at + 16 <= size; at += 16) {
    const __m128i octets = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text + at));
    // As signed numbers octets over 0x7F are below the space, as control characters are.
    const __m128i stops = _mm_or_si128(
        _mm_cmplt_epi8(octets, _mm_set1_epi8(' ')),
        _mm_or_si128(_mm_cmpeq_epi8(octets, _mm_set1_epi8('"')), _mm_cmpeq_epi8(octets, _mm_set1_epi8('\\'))));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(stops));
    if (mask != 0) return at + static_cast<std::size_t>(std::countr_zero(mask));
  }
#endif
  for (; at + 8 <= size; at += 8) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, text + at, 8);
    const std::uint64_t stops = zeros(eight ^ (kOnes * '"')) | zeros(eight ^ (kOnes * '\\')) |
                                ((eight - kOnes * 0x20) & ~eight & kHighs) | (eight & kHighs);
    if (stops == 0) continue;
    if constexpr (std::endian::native == std::endian::little) {
      return at + static_cast<std::size_t>(std::countr_zero(stops)) / 8;
    }
    break;
  }
  for (; at < size; ++at) {
    const auto octet = static_cast<unsigned char>(text[at]);
    if (octet < 0x20 || octet >= 0x80 || octet == '"' || octet == '\\') break;
  }
  return at;
}

bool isDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

std::string_view ScannedValue::text(std::string& unescaped) const {
  if (!escaped) return source.substr(1, source.size() - 2);
  unescaped = tidegate::detail::decodeJsonString(source);
  return unescaped;
}

JsonScanner::JsonScanner(std::string_view object) : text_(object) {
  skipSpace();
  expect('{');
}

void JsonScanner::refuse(const char* why) const {
  throw Error(ErrorCode::parseError, Retry::never, fmt::format("JSON at byte {}: {}", at_, why));
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

bool JsonScanner::takeKey(std::string_view key) {
  const std::size_t at = at_ + (first_ ? 0 : 1);
  if (!first_ && peek() != ',') return false;
  if (text_.size() < at + key.size() || std::memcmp(text_.data() + at, key.data(), key.size()) != 0) return false;
  at_ = at + key.size();
  first_ = false;
  skipSpace();
  return true;
}

bool JsonScanner::takeInteger(std::int64_t& out) {
  const char* const begin = text_.data() + at_;
  const char* const end = text_.data() + text_.size();
  const char* at = begin;
  const bool negative = at != end && *at == '-';
  if (negative) ++at;
  const char* const first = at;
  std::int64_t number = 0;
  while (at != end && isDigit(*at) && at - first < 18) number = number * 10 + (*at++ - '0');
  const bool whole = at != first && (*first != '0' || at - first == 1) && at != end && (*at == ',' || *at == '}');
  if (!whole) return false;
  at_ += static_cast<std::size_t>(at - begin);
  out = negative ? -number : number;
  return true;
}

bool JsonScanner::takePlainText(std::string_view& out) {
  if (peek() != '"') return false;
  const std::size_t begin = at_ + 1;
  const std::size_t end = begin + plainOctets(text_.data() + begin, text_.size() - begin);
  if (end >= text_.size() || text_[end] != '"') return false;
  out = text_.substr(begin, end - begin);
  at_ = end + 1;
  return true;
}

ScannedValue JsonScanner::string() {
  const std::size_t begin = at_;
  expect('"');
  bool escaped = false, ascii = true;
  for (;;) {
    at_ += plainOctets(text_.data() + at_, text_.size() - at_);
    if (at_ >= text_.size()) refuse("a string does not end");
    const auto octet = static_cast<unsigned char>(text_[at_]);
    if (octet == '"') break;
    if (octet < 0x20) refuse("a control character in a string");
    if (octet >= 0x80) {
      ascii = false;
      ++at_;
    } else {
      if (text_.size() - at_ < 2) refuse("a string does not end");
      escaped = true;
      at_ += 2;
    }
  }
  ++at_;
  const ScannedValue found{JsonKind::string, text_.substr(begin, at_ - begin), escaped};
  if (!ascii && !simdjson::validate_utf8(found.source.data(), found.source.size())) refuse("a string that is no UTF-8");
  if (escaped && !JsonTree::tryParse(found.source)) refuse("a string with a malformed escape");
  return found;
}

ScannedValue JsonScanner::number() {
  const std::size_t begin = at_;
  const auto digits = [this] {
    const char* const text = text_.data();
    std::size_t at = at_;
    while (at < text_.size() && isDigit(text[at])) ++at;
    if (at == at_) refuse("a malformed number");
    at_ = at;
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
