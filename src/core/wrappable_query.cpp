#include <algorithm>

#include "tidegate/core/error.h"
#include "tidegate/core/query.h"

namespace tidegate {
namespace {

[[noreturn]] void refuseQuery(const std::string& what) {
  throw Error(ErrorCode::invalidConfig, Retry::never, "the query " + what);
}

bool isSqlSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool isSqlWord(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

/// Walks SQL token by token, as far as needed to know what is text, comment or a statement's end.
class SqlScanner {
 public:
  SqlScanner(Dialect dialect, std::string_view sql) : dialect_(dialect), sql_(sql) {}

  /// The one statement: from its first to its last significant octet.
  std::string_view statement() {
    while (at_ < sql_.size()) step();
    if (begin_ == end_) refuseQuery("is empty; give a SELECT");
    if (depth_ > 0) refuseQuery("lacks a closing parenthesis");
    return sql_.substr(begin_, end_ - begin_);
  }

 private:
  char peek(std::size_t ahead = 0) const { return at_ + ahead < sql_.size() ? sql_[at_ + ahead] : '\0'; }
  bool startsWith(std::string_view what) const { return sql_.substr(at_, what.size()) == what; }
  bool afterWord() const { return at_ > 0 && (isSqlWord(sql_[at_ - 1]) || sql_[at_ - 1] == '$'); }

  void step() {
    if (isSqlSpace(peek())) {
      ++at_;
    } else if (startsLineComment()) {
      at_ = std::min(sql_.size(), sql_.find('\n', at_));
    } else if (startsBlockComment()) {
      blockComment();
    } else if (peek() == ';') {
      ++at_;
      ended_ = ended_ || begin_ != end_;
    } else {
      significant();
    }
  }

  void significant() {
    if (ended_) refuseQuery("holds a second statement after ';'; give one SELECT");
    const std::size_t from = at_;
    token();
    if (begin_ == end_) begin_ = from;
    end_ = at_;
  }

  bool startsLineComment() const {
    if (peek() == '#') return dialect_ == Dialect::mysql;
    if (!startsWith("--")) return false;
    // MySQL takes "--" for two minus signs unless white space follows.
    return dialect_ != Dialect::mysql || at_ + 2 == sql_.size() || static_cast<unsigned char>(peek(2)) <= ' ';
  }

  bool startsBlockComment() const {
    if (!startsWith("/*")) return false;
    // "/*! … */" and MariaDB's "/*M! … */" are executed, so they are no comments.
    return dialect_ != Dialect::mysql || (peek(2) != '!' && !(peek(2) == 'M' && peek(3) == '!'));
  }

  void blockComment() {
    std::size_t depth = 0;
    while (at_ < sql_.size()) {
      if (startsWith("/*") && (depth == 0 || dialect_ == Dialect::postgres)) {
        ++depth;
        at_ += 2;
      } else if (startsWith("*/")) {
        at_ += 2;
        if (--depth == 0) return;
      } else {
        ++at_;
      }
    }
    refuseQuery("holds a comment that does not end; close it with */");
  }

  void token() {
    switch (peek()) {
      case '\0':
        refuseQuery("holds a NUL character");
      case '\'':
        quoted('\'', takesBackslash());
        return;
      case '"':
        quoted('"', dialect_ == Dialect::mysql);
        return;
      case '`':
        if (dialect_ == Dialect::postgres) break;
        quoted('`', false);
        return;
      case '[':
        if (dialect_ != Dialect::sqlite) break;
        bracketed();
        return;
      case '$':
        if (dialect_ == Dialect::postgres && !afterWord() && dollarQuoted()) return;
        break;
      case '(':
        ++depth_;
        break;
      case ')':
        if (depth_ == 0) refuseQuery("closes a parenthesis that it did not open");
        --depth_;
        break;
      default:
        break;
    }
    ++at_;
  }

  /// MySQL's strings take backslash escapes, Postgres's only behind E.
  bool takesBackslash() const {
    if (dialect_ != Dialect::postgres) return dialect_ == Dialect::mysql;
    if (at_ == 0 || (sql_[at_ - 1] != 'e' && sql_[at_ - 1] != 'E')) return false;
    return at_ == 1 || !(isSqlWord(sql_[at_ - 2]) || sql_[at_ - 2] == '$');
  }

  void quoted(char quote, bool backslash) {
    for (++at_; at_ < sql_.size(); ++at_) {
      if (backslash && peek() == '\\') {
        ++at_;
      } else if (peek() == '\0') {
        refuseQuery("holds a NUL character");
      } else if (peek() == quote) {
        ++at_;
        if (peek() != quote || at_ == sql_.size()) return;
      }
    }
    refuseQuery(std::string("holds a text or name that does not end; close it with ") + quote);
  }

  void bracketed() {
    const std::size_t close = sql_.find(']', at_);
    if (close == std::string_view::npos) refuseQuery("holds a name that does not end; close it with ]");
    at_ = close + 1;
  }

  /// "$tag$ … $tag$". @return false where the dollar starts something else, as a parameter.
  bool dollarQuoted() {
    std::size_t tagEnd = at_ + 1;
    while (tagEnd < sql_.size() && isSqlWord(sql_[tagEnd])) ++tagEnd;
    const bool digitFirst = peek(1) >= '0' && peek(1) <= '9';
    if (tagEnd >= sql_.size() || sql_[tagEnd] != '$' || digitFirst) return false;
    const std::string_view tag = sql_.substr(at_, tagEnd + 1 - at_);
    const std::size_t close = sql_.find(tag, tagEnd + 1);
    if (close == std::string_view::npos)
      refuseQuery("holds a text that does not end; close it with " + std::string(tag));
    at_ = close + tag.size();
    return true;
  }

  Dialect dialect_;
  std::string_view sql_;
  std::size_t at_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t depth_ = 0;  ///< open parentheses
  bool ended_ = false;     ///< a semicolon closed the statement
};

}  // namespace

std::string wrappableQuery(Dialect dialect, std::string_view sql) {
  return std::string(SqlScanner(dialect, sql).statement());
}

}  // namespace tidegate
