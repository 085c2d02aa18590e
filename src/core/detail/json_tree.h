/// JSON as it was written: a flat list of nodes over the source text, so that numbers keep every digit and nested
/// documents can be sliced out unchanged. Reading is strict RFC 8259 (UTF-8 only, no byte order mark, no lone
/// surrogates), bounded in depth, and never recurses.
///
///     const JsonTree tree(text);                             // throws Error{parseError, "JSON at byte 17: …"}
///     const JsonRef root = tree.root();
///     for (JsonRef bucket : root.member("buckets").items())  // "buckets: missing", "buckets: expected an array"
///       names.push_back(bucket.member("name").string());     // "buckets[2].name: expected a string"
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tidegate/core/hlc.h"
#include "tidegate/core/json.h"
#include "tidegate/core/value.h"

namespace tidegate::detail {

enum class JsonKind : std::uint8_t { null, boolean, number, string, array, object };

/// "null", "a bool", "a number", "a string", "an array", "an object".
std::string_view describeKind(JsonKind kind) noexcept;

class JsonRef;

/// A parsed document. Its text must outlive it; the tree must outlive its JsonRefs.
/// @thread Immutable once made: any.
class JsonTree {
 public:
  /// Depth for messages: values of full depth inside a delta inside a list of deltas.
  static constexpr std::size_t kMessageDepth = kMaxJsonDepth + 8;

  /// @throws Error{parseError} naming the byte offset.
  explicit JsonTree(std::string_view text, std::size_t maxDepth = kMaxJsonDepth);
  /// The same without an exception; nullopt where the text is not JSON.
  static std::optional<JsonTree> tryParse(std::string_view text, std::size_t maxDepth = kMaxJsonDepth);

  JsonRef root() const;
  std::string_view text() const noexcept { return text_; }

 private:
  friend class JsonRef;
  friend class JsonParser;
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  struct Node {
    std::size_t begin = 0;  ///< source slice, quotes and brackets included
    std::size_t end = 0;
    std::size_t keyBegin = 0;  ///< the member's key with its quotes; empty outside objects
    std::size_t keyEnd = 0;
    std::size_t parent = kNone;
    std::size_t next = kNone;  ///< the following sibling
    JsonKind kind = JsonKind::null;
    bool escaped = false;  ///< the string holds a backslash
    bool keyEscaped = false;
    std::uint8_t height = 0;  ///< levels of arrays and objects, this one included
  };

  JsonTree() = default;

  std::string_view text_;
  std::vector<Node> nodes_;  ///< pre-order: a container's first child follows it
};

/// One node with where it stands. Cheap to copy.
/// Accessors throw Error{parseError} with the node's path.
class JsonRef {
 public:
  JsonKind kind() const { return node().kind; }
  bool isNull() const { return kind() == JsonKind::null; }
  /// The source text of this node.
  std::string_view source() const { return tree_->text_.substr(node().begin, node().end - node().begin); }
  /// Levels of arrays and objects, this one included; 0 for scalars.
  std::size_t height() const { return node().height; }
  /// The key under which the parent object holds this node; empty elsewhere.
  std::string key() const;
  /// "deltas[3].hlc"; "" for the root.
  std::string path() const;

  /// A member by name: the last where it is repeated. @throws also if this is no object or has no such member.
  JsonRef member(std::string_view name) const;
  /// nullopt where it is missing. @throws if this is no object.
  std::optional<JsonRef> find(std::string_view name) const;
  /// An object's members in source order, repeated ones included (`key()` tells them apart).
  std::vector<JsonRef> members() const;
  /// An array's items.
  std::vector<JsonRef> items() const;

  bool boolean() const;
  std::string string() const;
  /// A whole number without point or exponent that fits. A string is not taken.
  std::uint64_t uint64() const;
  /// A decimal string, or a whole number that fits.
  Hlc hlc() const;
  /// As `valueFromJson`. @throws if it is nested over kMaxJsonDepth.
  Value value() const;

  /// @throws Error{parseError, "<path>: <what>"}.
  [[noreturn]] void fail(std::string_view what) const;

 private:
  friend class JsonTree;
  friend class JsonParser;
  JsonRef(const JsonTree* tree, std::size_t index) : tree_(tree), index_(index) {}

  const JsonTree::Node& node() const { return tree_->nodes_[index_]; }
  std::vector<JsonRef> children() const;
  void expect(JsonKind kind) const;
  bool keyIs(std::string_view name) const;

  const JsonTree* tree_;
  std::size_t index_;
};

/// Decodes a JSON string literal that the parser accepted (quotes included).
std::string decodeJsonString(std::string_view literal);

/// One delta at `node`, as `deltaFromJson`.
RowDelta readDelta(const JsonRef& node);

/// Deep comparison: member order, white space and the spelling of numbers and strings aside; numbers by exact value.
/// Text that is not JSON (or deeper than kMaxJsonDepth) compares as text.
bool sameJson(std::string_view a, std::string_view b) noexcept;

/// Appends a document without insignificant white space, otherwise as written; a JSON string of the text where it is
/// not JSON, so that the output always is. `Out` is std::string or TextOut.
template <class Out>
void appendCompactJson(std::string_view json, Out& out);

/// Appends the RFC 8785 form; likewise a JSON string where the text is not JSON.
template <class Out>
void appendCanonicalDocument(std::string_view json, Out& out);

}  // namespace tidegate::detail
