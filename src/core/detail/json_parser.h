/// The parser behind JsonTree: iterative, strict, and without exceptions of its own.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/detail/json_tree.h"

namespace tidegate::detail {

/// Fills a tree from its text.
class JsonParser {
 public:
  JsonParser(JsonTree& tree, std::size_t maxDepth)
      : tree_(tree), text_(tree.text_), maxDepth_(maxDepth < kMostDepth ? maxDepth : kMostDepth) {}

  /// @return false where the text is not JSON; `error` and `errorAt` then say why and at which byte.
  bool run();
  const std::string& error() const noexcept { return error_; }
  std::size_t errorAt() const noexcept { return at_; }

 private:
  static constexpr std::size_t kMostDepth = 250;  ///< Node::height is one octet

  bool value();
  bool open(JsonKind kind);
  bool close();
  bool nextInContainer();
  bool memberKey();
  bool number();
  bool digits();
  bool string(bool& escaped);
  bool escape();
  bool hex4(unsigned& out);
  bool literal(std::string_view word);
  void addNode(JsonKind kind);
  void skipSpace();
  bool peek(char c) const { return at_ < text_.size() && text_[at_] == c; }
  bool refuse(std::string what);

  JsonTree& tree_;
  std::string_view text_;
  std::size_t maxDepth_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
  std::size_t container_ = JsonTree::kNone;  ///< the innermost open array or object
  std::size_t previous_ = JsonTree::kNone;   ///< the last complete child of `container_`
  std::size_t keyBegin_ = 0;
  std::size_t keyEnd_ = 0;
  bool keyEscaped_ = false;
  std::string error_;
};

}  // namespace tidegate::detail
