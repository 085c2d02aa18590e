/// Steps through the members of one JSON object without making a tree of it: rows are flat, and there are many.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/detail/json_tree.h"

namespace tidegate::kinesis::detail {

/// A value as it stands in the text. Strict: what it gives is JSON.
struct ScannedValue {
  tidegate::detail::JsonKind kind = tidegate::detail::JsonKind::null;
  std::string_view source{};  ///< quotes and brackets included
  bool escaped = false;       ///< a string that holds a backslash

  /// A string's text; `unescaped` holds it where the source does not.
  std::string_view text(std::string& unescaped) const;
};

/// @throws Error{parseError} naming the octet, from every function.
class JsonScanner {
 public:
  /// The text must be one object and nothing else, in UTF-8. It must outlive this.
  explicit JsonScanner(std::string_view object);
  /// The next member. @return false: there was none, and nothing follows the object.
  bool next(ScannedValue& key, ScannedValue& value);
  /// The next member's key, if it is written exactly so: `"name":`. Its value must be read next. @return false: nothing
  /// was read.
  bool takeKey(std::string_view key);
  ScannedValue value();
  /// The value, if it is a number of up to 18 digits without a fraction; nothing is read otherwise.
  bool takeInteger(std::int64_t& out);
  /// The text of the value, if it is a string of plain ASCII without an escape; nothing is read otherwise.
  bool takePlainText(std::string_view& out);

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skipSpace() {
    while (at_ < text_.size() && static_cast<unsigned char>(text_[at_]) <= ' ') {
      const char c = text_[at_];
      if (c != ' ' && c != '\t' && c != '\n' && c != '\r') return;
      ++at_;
    }
  }
  void expect(char c) {
    if (at_ >= text_.size() || text_[at_] != c) refuse(c == '{' ? "expected an object" : "expected another character");
    ++at_;
  }
  ScannedValue string();
  ScannedValue number();
  ScannedValue word(std::string_view word, tidegate::detail::JsonKind kind);
  ScannedValue nested();
  [[noreturn]] void refuse(const char* why) const;

  std::string_view text_;
  std::size_t at_ = 0;
  bool first_ = true;
};

}  // namespace tidegate::kinesis::detail
