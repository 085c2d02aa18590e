#include "electric/detail/where_types.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "core/detail/number.h"
#include "electric/detail/pg_text.h"
#include "electric/detail/where_lexer.h"

namespace tidegate::electric::detail {
namespace {

struct TypeName {
  std::string_view name;
  SqlType type;
  std::int64_t low = 0, high = 0;  ///< of an integer type; both 0: no bound
};

constexpr std::array<TypeName, 24> kTypeNames{{
    {"int2", SqlType::integer, INT16_MIN, INT16_MAX},
    {"smallint", SqlType::integer, INT16_MIN, INT16_MAX},
    {"int4", SqlType::integer, INT32_MIN, INT32_MAX},
    {"int", SqlType::integer, INT32_MIN, INT32_MAX},
    {"integer", SqlType::integer, INT32_MIN, INT32_MAX},
    {"int8", SqlType::integer, INT64_MIN, INT64_MAX},
    {"bigint", SqlType::integer, INT64_MIN, INT64_MAX},
    {"numeric", SqlType::decimal},
    {"decimal", SqlType::decimal},
    {"float8", SqlType::real},
    {"double precision", SqlType::real},
    {"text", SqlType::text},
    {"varchar", SqlType::text},
    {"character varying", SqlType::text},
    {"bool", SqlType::boolean},
    {"boolean", SqlType::boolean},
    {"bytea", SqlType::bytes},
    {"date", SqlType::date},
    {"time", SqlType::time},
    {"time without time zone", SqlType::time},
    {"timestamp", SqlType::timestamp},
    {"timestamp without time zone", SqlType::timestamp},
    {"timestamptz", SqlType::timestamptz},
    {"timestamp with time zone", SqlType::timestamptz},
}};

std::string shownText(std::string_view text) {
  return fmt::format("\"{}{}\"", text.substr(0, 60), text.size() > 60 ? "…" : "");
}

bool comparableTypes(SqlType a, SqlType b) {
  if (a == SqlType::json || b == SqlType::json || a == SqlType::any || b == SqlType::any) return false;
  return a == b || (isNumber(a) && isNumber(b)) || (isMoment(a) && isMoment(b));
}

SqlType comparedAs(SqlType a, SqlType b) {
  if (a == SqlType::real || b == SqlType::real) return SqlType::real;
  if (isNumber(a)) return SqlType::decimal;
  if (isMoment(a)) return SqlType::timestamptz;
  return a;
}

[[noreturn]] void refuseOperands(const WhereNode& a, const WhereNode& b, std::size_t at, std::string_view symbol) {
  for (const WhereNode* node : {&a, &b}) {
    if (node->type == SqlType::any) refuseWhere(node->at, "this column has no fixed type; only IS NULL is allowed");
    if (node->type == SqlType::json) refuseWhere(node->at, "json cannot be compared; only IS NULL is allowed");
  }
  refuseWhere(at,
              fmt::format("{} {} {} cannot be compared; cast one of them", sqlName(a.type), symbol, sqlName(b.type)));
}

/// A literal that is compared as float8 is made one, once.
void takeReal(WhereNode& node) {
  if (node.op != WhereOp::literal || node.literal.isNull() || node.type == SqlType::real) return;
  if (const auto real = readPgLiteral(SqlType::real, pgText(node.literal))) {
    node.literal = *real;
  } else {
    refuseWhere(node.at, fmt::format("{} is out of the range of float8", shownText(pgText(node.literal))));
  }
  node.type = SqlType::real;
}

bool withinBounds(const TypeName& type, const Value& value) {
  if (type.low == 0 || value.isNull()) return true;
  const auto* number = value.getIf<std::int64_t>();
  return number != nullptr && *number >= type.low && *number <= type.high;
}

WhereNode castLiteral(WhereNode node, const TypeName& type) {
  if (node.literal.isNull()) {
    node.type = type.type;
    return node;
  }
  const std::string text = pgText(node.literal);
  // 1.5::int8 rounds in SQL: what loses something is left to whoever writes the literal.
  const auto value = readPgLiteral(type.type, text);
  if (!value || !withinBounds(type, *value)) {
    refuseWhere(node.at, fmt::format("{} is no {}", shownText(text), type.name));
  }
  node.literal = *value;
  node.type = type.type;
  return node;
}

/// Casts of columns: those that give each value a different result, so that nothing is lost and nothing fails.
bool mayCast(SqlType from, SqlType to) {
  if (to == SqlType::text) return from != SqlType::json && from != SqlType::any && from != SqlType::bytes;
  if (to == SqlType::decimal) return from == SqlType::integer;
  return to == SqlType::real && (from == SqlType::integer || from == SqlType::decimal);
}

}  // namespace

std::string_view sqlName(SqlType type) noexcept {
  constexpr std::array<std::string_view, 14> kNames{
      "unknown", "boolean", "int8",      "numeric",     "float8", "text", "bytea",
      "date",    "time",    "timestamp", "timestamptz", "uuid",   "json", "a column of any type"};
  return kNames[static_cast<std::size_t>(type)];
}

SqlType sqlTypeOf(const ColumnSchema& column) noexcept {
  switch (column.kind) {
    case ValueKind::null:
      return SqlType::any;
    case ValueKind::boolean:
      return SqlType::boolean;
    case ValueKind::int64:
    case ValueKind::uint64:
      return SqlType::integer;
    case ValueKind::real:
      return SqlType::real;
    case ValueKind::decimal:
      return SqlType::decimal;
    case ValueKind::text:
      return SqlType::text;
    case ValueKind::bytes:
      return SqlType::bytes;
    case ValueKind::date:
      return SqlType::date;
    case ValueKind::time:
      return SqlType::time;
    case ValueKind::timestamp: {
      const std::string_view name = column.sourceType;
      const bool local = name.find("without time zone") != name.npos || name.starts_with("datetime");
      return local ? SqlType::timestamp : SqlType::timestamptz;
    }
    case ValueKind::uuid:
      return SqlType::uuid;
    case ValueKind::json:
      return SqlType::json;
  }
  return SqlType::any;
}

void takeType(WhereNode& node, SqlType type) {
  if (node.type != SqlType::unknown) return;
  if (type == SqlType::any || type == SqlType::json) return;
  if (!node.literal.isNull()) {
    const std::string& text = node.literal.as<std::string>();
    const auto value = readPgLiteral(type, text);
    if (!value) refuseWhere(node.at, fmt::format("{} is no {}", shownText(text), sqlName(type)));
    node.literal = *value;
  }
  node.type = type;
}

SqlType commonOperands(std::vector<WhereNode>& operands, std::size_t at, std::string_view symbol) {
  SqlType known = SqlType::unknown;
  for (const WhereNode& node : operands) {
    if (known == SqlType::unknown) known = node.type;
  }
  if (known == SqlType::unknown) known = SqlType::text;
  for (WhereNode& node : operands) takeType(node, known);
  SqlType as = operands.front().type;
  for (std::size_t i = 1; i < operands.size(); ++i) {
    const WhereNode &first = operands.front(), &other = operands[i];
    if (!comparableTypes(first.type, other.type)) refuseOperands(first, other, at, symbol);
    as = comparedAs(as, other.type);
  }
  if (operands.size() == 1 && !comparableTypes(as, as)) refuseOperands(operands[0], operands[0], at, symbol);
  as = comparedAs(as, as);
  if (as == SqlType::real) {
    for (WhereNode& node : operands) takeReal(node);
  }
  return as;
}

void needBoolean(WhereNode& node, std::string_view what) {
  takeType(node, SqlType::boolean);
  if (node.type == SqlType::boolean) return;
  refuseWhere(node.at, fmt::format("{} needs a condition, and this is {}", what, sqlName(node.type)));
}

WhereNode castTo(WhereNode node, std::string_view typeName, std::size_t at) {
  static constexpr TypeName kUuid{"uuid", SqlType::uuid};
  const auto found =
      std::find_if(kTypeNames.begin(), kTypeNames.end(), [&](const TypeName& t) { return t.name == typeName; });
  if (found == kTypeNames.end() && typeName != kUuid.name) {
    refuseWhere(at, fmt::format("a cast to {} is not allowed", shownText(typeName)));
  }
  const TypeName& type = found == kTypeNames.end() ? kUuid : *found;
  if (node.op == WhereOp::literal) return castLiteral(std::move(node), type);
  if (node.type == type.type && (type.low == 0 || type.low == INT64_MIN)) return node;
  if (!mayCast(node.type, type.type)) {
    refuseWhere(at, fmt::format("a cast from {} to {} is not allowed", sqlName(node.type), type.name));
  }
  WhereNode cast{.op = WhereOp::cast, .type = type.type, .at = at};
  cast.children.push_back(std::move(node));
  return cast;
}

}  // namespace tidegate::electric::detail
