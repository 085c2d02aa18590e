#include "places.h"

#include <algorithm>

namespace {

/// Walks a text that a parser has found to be JSON.
class Walker {
 public:
  explicit Walker(const std::string& text) : text_(text) {}

  void value(const std::string& path) {
    space();
    if (!places.emplace(path, at_).second) repeated.push_back({path, at_});
    if (here() == '{' || here() == '[') return members(path, here() == '{');
    if (here() == '"') return (void)string();
    while (at_ < text_.size() && std::string(",]} \t\r\n").find(text_[at_]) == std::string::npos) ++at_;
  }

  std::map<std::string, std::size_t> places;
  std::vector<std::pair<std::string, std::size_t>> repeated;

 private:
  char here() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void space() {
    while (at_ < text_.size() && std::string(" \t\r\n").find(text_[at_]) != std::string::npos) ++at_;
  }
  /// As written: names with escapes are found by nobody, and then the mistake stands at the file's beginning.
  std::string string() {
    const std::size_t from = ++at_;
    while (here() != '"' && here() != '\0') at_ += here() == '\\' ? 2 : 1;
    return text_.substr(from, at_++ - from);
  }
  void members(const std::string& path, bool named) {
    ++at_;
    for (std::size_t index = 0;; ++index) {
      space();
      if (here() == ',') {
        ++at_;
        space();
      }
      if (here() == '}' || here() == ']' || here() == '\0') break;
      std::string name = std::to_string(index);
      if (named) {
        name = string();
        space();
        ++at_;  // the colon
      }
      value(path + "/" + name);
    }
    ++at_;
  }

  const std::string& text_;
  std::size_t at_ = 0;
};

}  // namespace

Places placesOf(const std::string& text) {
  Walker walker(text);
  walker.value("");
  return {std::move(walker.places), std::move(walker.repeated)};
}

std::pair<std::size_t, std::size_t> lineAndColumn(const std::string& text, std::size_t offset) {
  const std::string before = text.substr(0, std::min(offset, text.size()));
  const std::size_t lineStart = before.rfind('\n') == std::string::npos ? 0 : before.rfind('\n') + 1;
  return {static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n')) + 1, before.size() - lineStart + 1};
}
