#include <algorithm>
#include <array>

#include "tidegate/core/error.h"

namespace tidegate {
namespace {

constexpr std::string_view kRedacted = "***";

char lowerAscii(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool isKeyChar(char c) {
  const char l = lowerAscii(c);
  return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

bool isRedactSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// Whether a key names a secret: its letters and digits end in one of the known words.
bool namesSecret(std::string_view key) {
  constexpr std::array<std::string_view, 15> kWords = {
      "password", "passwd",    "pwd",         "pass",       "passphrase", "token",       "secret",       "secretkey",
      "apikey",   "accesskey", "accesskeyid", "privatekey", "credential", "credentials", "authorization"};
  std::string letters;
  for (const char c : key) {
    if (c != '_' && c != '-' && c != '.') letters.push_back(lowerAscii(c));
  }
  return std::any_of(kWords.begin(), kWords.end(), [&](std::string_view word) { return letters.ends_with(word); });
}

/// Rewrites a text from front to back; what is not a secret is copied.
class Redactor {
 public:
  explicit Redactor(std::string_view text) : text_(text) {}

  std::string run() {
    while (at_ < text_.size()) {
      if (text_.substr(at_, 3) == "://") {
        copy(3);
        userInfo();
      } else if (isKeyChar(text_[at_])) {
        word();
      } else {
        copy(1);
      }
    }
    return std::move(out_);
  }

 private:
  char peek(std::size_t at) const { return at < text_.size() ? text_[at] : '\0'; }

  void copy(std::size_t n) {
    out_.append(text_.substr(at_, n));
    at_ += std::min(n, text_.size() - at_);
  }

  std::size_t skipSpaces(std::size_t at) const {
    while (at < text_.size() && isRedactSpace(text_[at])) ++at;
    return at;
  }

  /// "user:secret@" or "secret@" behind "://".
  void userInfo() {
    const std::size_t tokenEnd = std::min(text_.size(), text_.find_first_of(" \t\r\n\"'<>`,", at_));
    const std::size_t hostEnd = std::min(tokenEnd, text_.find_first_of("/?#", at_));
    std::size_t sign = findLast('@', hostEnd);
    const std::size_t colon = std::min(tokenEnd, text_.find(':', at_));
    // A secret that was not percent-encoded may hold '/', '?' or '#': then no '@' stands before them.
    if (sign == std::string_view::npos && colon < hostEnd && text_[at_] != '[') sign = findLast('@', tokenEnd);
    if (sign == std::string_view::npos) return;
    if (colon < sign) copy(colon + 1 - at_);
    out_.append(kRedacted);
    at_ = sign;
  }

  std::size_t findLast(char c, std::size_t end) const {
    const std::size_t found = text_.substr(at_, end - at_).rfind(c);
    return found == std::string_view::npos ? found : at_ + found;
  }

  void word() {
    std::size_t end = at_;
    while (end < text_.size() && isKeyChar(text_[end])) ++end;
    const std::string_view key = text_.substr(at_, end - at_);
    copy(key.size());
    if (isScheme(key)) {
      const std::size_t from = skipSpaces(at_);
      if (from > at_ && isKeyChar(peek(from))) value(from);
      return;
    }
    if (!namesSecret(key)) return;
    std::size_t from = 0;
    if (findValue(key, from)) value(from);
  }

  /// HTTP's "Bearer <token>".
  static bool isScheme(std::string_view key) { return key == "Bearer" || key == "bearer"; }

  /// Where the secret behind a key starts: "=", ":" (JSON, YAML, headers), or in SQL a quoted text (PASSWORD '…').
  bool findValue(std::string_view key, std::size_t& from) const {
    std::size_t at = at_;
    const bool quotedKey = peek(at) == '"' || peek(at) == '\'';
    if (quotedKey) ++at;
    at = skipSpaces(at);
    if (peek(at) == '=' || (peek(at) == ':' && (quotedKey || allowsColon(key)))) {
      from = skipSpaces(at + 1);
      return from < text_.size();
    }
    from = at;
    return !quotedKey && at > at_ && peek(at) == '\'';
  }

  /// "unexpected token: x" is a parser's message, "password: x" or "auth_token: x" a secret.
  static bool allowsColon(std::string_view key) { return key != "token" && key != "pass"; }

  /// Replaces the value at `from`: quoted, in braces (ODBC), or up to a delimiter.
  void value(std::size_t from) {
    copy(from - at_);
    const char open = peek(at_);
    if (open == '"' || open == '\'' || open == '{') {
      copy(1);
      quotedValue(open == '{' ? '}' : open);
      return;
    }
    // "Authorization: Bearer x": the scheme stays readable, the rest goes.
    if (const std::size_t scheme = schemeLength(); scheme > 0) {
      copy(scheme);
      copy(skipSpaces(at_) - at_);
    }
    out_.append(kRedacted);
    at_ = std::min(text_.size(), text_.find_first_of(" \t\r\n,;&)]}\"'", at_));
  }

  std::size_t schemeLength() const {
    for (const std::string_view scheme : {"Bearer ", "bearer ", "Basic ", "basic "}) {
      if (text_.substr(at_, scheme.size()) == scheme) return scheme.size() - 1;
    }
    return 0;
  }

  void quotedValue(char close) {
    out_.append(kRedacted);
    while (at_ < text_.size()) {
      if (text_[at_] == '\\' && close != '}') {
        at_ += 2;
      } else if (text_[at_] == close) {
        if (peek(at_ + 1) != close) return;
        at_ += 2;
      } else {
        ++at_;
      }
    }
    at_ = text_.size();
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string out_;
};

}  // namespace

std::string redactSecrets(std::string_view text) { return Redactor(text).run(); }

}  // namespace tidegate
