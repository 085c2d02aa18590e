/// The tree that a shape's condition is parsed into, typed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/schema.h"
#include "tidegate/core/value.h"

namespace tidegate::electric::detail {

/// Types as conditions tell them apart. `unknown` is a quoted literal, a parameter or NULL before it meets a type.
enum class SqlType : std::uint8_t {
  unknown,
  boolean,
  integer,
  decimal,
  real,
  text,
  bytes,
  date,
  time,
  timestamp,
  timestamptz,
  uuid,
  json,
  any  ///< a column without a fixed kind
};

/// PostgreSQL's name of it, e.g. "timestamptz"; for messages and casts.
std::string_view sqlName(SqlType type) noexcept;
/// What a column's values are in a condition.
SqlType sqlTypeOf(const ColumnSchema& column) noexcept;

inline bool isNumber(SqlType t) { return t == SqlType::integer || t == SqlType::decimal || t == SqlType::real; }
inline bool isMoment(SqlType t) { return t == SqlType::date || t == SqlType::timestamp || t == SqlType::timestamptz; }

enum class WhereOp : std::uint8_t {
  literal,   ///< `literal`
  column,    ///< `column`
  cast,      ///< children[0] as `type`
  allOf,     ///< AND
  anyOf,     ///< OR
  negation,  ///< NOT
  equal,
  notEqual,
  less,
  lessEqual,
  greater,
  greaterEqual,
  distinct,          ///< IS DISTINCT FROM
  isNull,            ///< of any type
  isTrue,            ///< of a boolean
  isFalse,           ///< likewise
  in,                ///< children[0] in the others
  between,           ///< children[0] from children[1] to children[2]
  betweenSymmetric,  ///< the same, whichever of the two is the smaller
  like,              ///< children[0]; the pattern is `pattern`
  ilike
};

/// One element of a LIKE pattern.
struct LikePiece {
  enum Kind : std::uint8_t { octet, anyCharacter, anyRun } kind = octet;
  char value = 0;
  bool operator==(const LikePiece&) const = default;
};

struct WhereNode {
  WhereOp op = WhereOp::literal;
  SqlType type = SqlType::boolean;   ///< of the node's own value
  SqlType operands = SqlType::text;  ///< as what comparisons compare; `decimal` stands for exact numbers
  std::size_t at = 0;                ///< place in the text
  std::uint32_t column = 0;
  Value literal{};
  std::string patternText{};  ///< as written, for printing
  std::string escape{};       ///< one character, or nothing: no escape
  std::vector<LikePiece> pattern{};
  std::vector<WhereNode> children{};
};

}  // namespace tidegate::electric::detail
