#include "electric/detail/where_lexer.h"

#include <fmt/format.h>

#include <charconv>

#include "tidegate/core/error.h"

namespace tidegate::electric::detail {
namespace {

bool isWordStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isWordPart(char c) { return isWordStart(c) || isDigit(c) || c == '$'; }

}  // namespace

void refuseWhere(std::size_t at, const std::string& what) {
  throw Error(ErrorCode::invalidArgument, Retry::never, fmt::format("At location {}: {}", at, what));
}

void WhereLexer::skipSpace() {
  for (; at_ < text_.size(); ++at_) {
    const char c = text_[at_];
    if (c != ' ' && c != '\t' && c != '\n' && c != '\r') break;
  }
}

Token WhereLexer::word() {
  Token token{.kind = TokenKind::word, .at = at_};
  for (; at_ < text_.size() && isWordPart(text_[at_]); ++at_) {
    const char c = text_[at_];
    token.text += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  // E'…', B'…', X'…', N'…' and U&'…' are other kinds of literals, with rules of their own.
  if (at_ < text_.size() && text_[at_] == '\'' && token.text.size() == 1) {
    refuseWhere(token.at, "literals with a prefix are not allowed; write '…'");
  }
  return token;
}

Token WhereLexer::quoted(char quote, TokenKind kind) {
  Token token{.kind = kind, .at = at_};
  for (++at_; at_ < text_.size(); ++at_) {
    if (text_[at_] != quote) {
      token.text += text_[at_];
    } else if (at_ + 1 < text_.size() && text_[at_ + 1] == quote) {
      token.text += quote;
      ++at_;
    } else {
      ++at_;
      if (kind == TokenKind::quotedName && token.text.empty()) refuseWhere(token.at, "a name must not be empty");
      return token;
    }
  }
  refuseWhere(token.at, fmt::format("a {} that does not end", kind == TokenKind::text ? "literal" : "name"));
}

Token WhereLexer::number() {
  Token token{.kind = TokenKind::number, .at = at_};
  const auto digits = [&] {
    const std::size_t from = at_;
    while (at_ < text_.size() && isDigit(text_[at_])) ++at_;
    return at_ > from;
  };
  digits();
  if (at_ < text_.size() && text_[at_] == '.') {
    ++at_;
    digits();
  }
  if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
    ++at_;
    if (at_ < text_.size() && (text_[at_] == '+' || text_[at_] == '-')) ++at_;
    if (!digits()) refuseWhere(token.at, "a number without its exponent");
  }
  if (at_ < text_.size() && isWordPart(text_[at_])) refuseWhere(at_, "a number is followed by a letter");
  token.text = std::string(text_.substr(token.at, at_ - token.at));
  return token;
}

Token WhereLexer::parameter() {
  Token token{.kind = TokenKind::parameter, .at = at_};
  const char* end = text_.data() + text_.size();
  const auto [next, error] = std::from_chars(text_.data() + at_ + 1, end, token.parameter);
  if (error != std::errc{} || token.parameter == 0) refuseWhere(token.at, "a parameter is $ and a number from 1");
  at_ = static_cast<std::size_t>(next - text_.data());
  if (at_ < text_.size() && isWordPart(text_[at_])) refuseWhere(at_, "a parameter is followed by a letter");
  return token;
}

Token WhereLexer::symbol() {
  Token token{.kind = TokenKind::symbol, .at = at_};
  const std::string_view left = text_.substr(at_);
  for (const std::string_view known : {"<=", ">=", "<>", "!=", "::", "=", "<", ">", "(", ")", ",", ".", "-", "+"}) {
    if (!left.starts_with(known)) continue;
    if (left.starts_with("--")) break;  // a comment in SQL
    token.text = known == "!=" ? "<>" : std::string(known);
    at_ += known.size();
    return token;
  }
  std::string shown;
  const auto c = static_cast<unsigned char>(left.front());
  shown = c >= 0x20 && c < 0x7F ? std::string(1, left.front()) : fmt::format("\\x{:02x}", c);
  refuseWhere(at_, fmt::format("\"{}\" is not allowed here", shown));
}

Token WhereLexer::next() {
  skipSpace();
  if (at_ >= text_.size()) return {.kind = TokenKind::end, .at = at_};
  const char c = text_[at_];
  if (isWordStart(c)) return word();
  if (c == '"') return quoted('"', TokenKind::quotedName);
  if (c == '\'') return quoted('\'', TokenKind::text);
  if (isDigit(c) || (c == '.' && at_ + 1 < text_.size() && isDigit(text_[at_ + 1]))) return number();
  if (c == '$') return parameter();
  return symbol();
}

}  // namespace tidegate::electric::detail
