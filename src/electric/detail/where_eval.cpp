#include "electric/detail/where_eval.h"

#include <cmath>
#include <cstdlib>
#include <optional>

#include "core/detail/instant.h"
#include "core/detail/number.h"
#include "electric/detail/like_pattern.h"
#include "electric/detail/pg_text.h"

namespace tidegate::electric::detail {
namespace {

using std::partial_ordering;

Truth truthOf(bool yes) { return yes ? Truth::yes : Truth::no; }
Truth opposite(Truth t) { return t == Truth::unknown ? t : truthOf(t == Truth::no); }

/// -infinity, a finite number, infinity, NaN: in their order.
int numberRank(const Value& v) {
  if (const auto* real = v.getIf<double>()) {
    return std::isnan(*real) ? 3 : std::isinf(*real) ? (*real < 0 ? 0 : 2) : 1;
  }
  if (const auto* exact = v.getIf<Decimal>()) {
    return exact->text == "NaN" ? 3 : exact->text == "Infinity" ? 2 : exact->text == "-Infinity" ? 0 : 1;
  }
  return 1;
}

partial_ordering orderNumbers(const Value& a, const Value& b) {
  if (!tidegate::detail::isNumericKind(a.kind()) || !tidegate::detail::isNumericKind(b.kind())) {
    return partial_ordering::unordered;
  }
  const auto *x = a.getIf<std::int64_t>(), *y = b.getIf<std::int64_t>();
  if (x != nullptr && y != nullptr) return *x <=> *y;
  const int left = numberRank(a), right = numberRank(b);
  if (left != 1 || right != 1) return left <=> right;
  return tidegate::detail::compareNumericValues(a, b);
}

std::optional<double> realOf(const Value& v) {
  switch (v.kind()) {
    case ValueKind::int64:
      return static_cast<double>(v.as<std::int64_t>());
    case ValueKind::uint64:
      return static_cast<double>(v.as<std::uint64_t>());
    case ValueKind::real:
      return v.as<double>();
    case ValueKind::decimal:
      if (const auto real = readPgLiteral(SqlType::real, v.as<Decimal>().text)) return real->as<double>();
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

partial_ordering orderReals(const Value& a, const Value& b) {
  const auto x = realOf(a), y = realOf(b);
  if (!x || !y) return partial_ordering::unordered;
  if (std::isnan(*x) || std::isnan(*y)) return std::isnan(*x) <=> std::isnan(*y);
  return *x <=> *y;
}

/// A date is its midnight.
std::optional<tidegate::detail::Instant> instantOf(const Value& v) {
  if (const auto* moment = v.getIf<Timestamp>()) return tidegate::detail::Instant::of(*moment);
  const auto* day = v.getIf<Date>();
  return day != nullptr ? std::optional(tidegate::detail::Instant::of(*day)) : std::nullopt;
}

template <class T>
partial_ordering orderWithin(const Value& a, const Value& b) {
  const auto *x = a.getIf<T>(), *y = b.getIf<T>();
  if (x == nullptr || y == nullptr) return partial_ordering::unordered;
  if constexpr (std::is_same_v<T, std::string>) {
    return x->compare(*y) <=> 0;
  } else if constexpr (std::is_same_v<T, Bytes>) {
    return x->octets.compare(y->octets) <=> 0;
  } else if constexpr (std::is_same_v<T, Time>) {
    return x->micros <=> y->micros;
  } else if constexpr (std::is_same_v<T, Uuid>) {
    return x->octets <=> y->octets;
  } else {
    return *x <=> *y;
  }
}

const Value& valueOf(const WhereNode& node, std::span<const Value> row, Value& scratch) {
  switch (node.op) {
    case WhereOp::literal:
      return node.literal;
    case WhereOp::column:
      return row[node.column];
    case WhereOp::cast: {
      Value held;
      const Value& from = valueOf(node.children[0], row, held);
      if (from.isNull()) {
        scratch = Value();
      } else if (node.type == SqlType::text) {
        scratch = Value(pgText(from));
      } else if (node.type == SqlType::real) {
        const auto real = realOf(from);
        scratch = real ? Value(*real) : Value();
      } else {
        scratch = from;
      }
      return scratch;
    }
    default: {
      const Truth truth = judge(node, row);
      scratch = truth == Truth::unknown ? Value() : Value(truth == Truth::yes);
      return scratch;
    }
  }
}

partial_ordering orderOf(const WhereNode& node, const WhereNode& a, const WhereNode& b, std::span<const Value> row) {
  Value left, right;
  return orderAs(node.operands, valueOf(a, row, left), valueOf(b, row, right));
}

Truth judgeComparison(const WhereNode& node, std::span<const Value> row) {
  const partial_ordering order = orderOf(node, node.children[0], node.children[1], row);
  if (order == partial_ordering::unordered) return Truth::unknown;
  switch (node.op) {
    case WhereOp::equal:
      return truthOf(order == 0);
    case WhereOp::notEqual:
      return truthOf(order != 0);
    case WhereOp::less:
      return truthOf(order < 0);
    case WhereOp::lessEqual:
      return truthOf(order <= 0);
    case WhereOp::greater:
      return truthOf(order > 0);
    default:
      return truthOf(order >= 0);
  }
}

Truth judgeDistinct(const WhereNode& node, std::span<const Value> row) {
  Value left, right;
  const Value& a = valueOf(node.children[0], row, left);
  const Value& b = valueOf(node.children[1], row, right);
  if (a.isNull() || b.isNull()) return truthOf(a.isNull() != b.isNull());
  return truthOf(orderAs(node.operands, a, b) != 0);
}

Truth judgeIn(const WhereNode& node, std::span<const Value> row) {
  Value left, right;
  const Value& wanted = valueOf(node.children[0], row, left);
  Truth found = Truth::no;
  for (std::size_t i = 1; i < node.children.size(); ++i) {
    const partial_ordering order = orderAs(node.operands, wanted, valueOf(node.children[i], row, right));
    if (order == 0) return Truth::yes;
    if (order == partial_ordering::unordered) found = Truth::unknown;
  }
  return found;
}

Truth both(Truth a, Truth b) {
  if (a == Truth::no || b == Truth::no) return Truth::no;
  return a == Truth::unknown || b == Truth::unknown ? Truth::unknown : Truth::yes;
}

Truth judgeBetween(const WhereNode& node, std::span<const Value> row) {
  Value one, two, three;
  const Value& v = valueOf(node.children[0], row, one);
  const Value& from = valueOf(node.children[1], row, two);
  const Value& to = valueOf(node.children[2], row, three);
  const auto notBefore = [&](const Value& bound) {
    const partial_ordering order = orderAs(node.operands, v, bound);
    return order == partial_ordering::unordered ? Truth::unknown : truthOf(order >= 0);
  };
  const auto notAfter = [&](const Value& bound) {
    const partial_ordering order = orderAs(node.operands, v, bound);
    return order == partial_ordering::unordered ? Truth::unknown : truthOf(order <= 0);
  };
  const Truth straight = both(notBefore(from), notAfter(to));
  if (node.op == WhereOp::between) return straight;
  return opposite(both(opposite(straight), opposite(both(notBefore(to), notAfter(from)))));
}

Truth judgeLike(const WhereNode& node, std::span<const Value> row) {
  Value scratch;
  const auto* text = valueOf(node.children[0], row, scratch).getIf<std::string>();
  if (text == nullptr) return Truth::unknown;
  return truthOf(isLike(*text, node.pattern, node.op == WhereOp::ilike));
}

Truth judgeList(const WhereNode& node, std::span<const Value> row) {
  const Truth ends = node.op == WhereOp::allOf ? Truth::no : Truth::yes;
  Truth all = opposite(ends);
  for (const WhereNode& child : node.children) {
    const Truth truth = judge(child, row);
    if (truth == ends) return ends;
    if (truth == Truth::unknown) all = Truth::unknown;
  }
  return all;
}

Truth judgeValue(const WhereNode& node, std::span<const Value> row) {
  Value scratch;
  const auto* yes = valueOf(node, row, scratch).getIf<bool>();
  return yes == nullptr ? Truth::unknown : truthOf(*yes);
}

}  // namespace

std::partial_ordering orderAs(SqlType operands, const Value& a, const Value& b) noexcept {
  switch (operands) {
    case SqlType::boolean:
      return orderWithin<bool>(a, b);
    case SqlType::integer:
    case SqlType::decimal:
      return orderNumbers(a, b);
    case SqlType::real:
      return orderReals(a, b);
    case SqlType::text:
      return orderWithin<std::string>(a, b);
    case SqlType::bytes:
      return orderWithin<Bytes>(a, b);
    case SqlType::date:
    case SqlType::timestamp:
    case SqlType::timestamptz: {
      const auto x = instantOf(a), y = instantOf(b);
      return x && y ? partial_ordering(*x <=> *y) : partial_ordering::unordered;
    }
    case SqlType::time:
      return orderWithin<Time>(a, b);
    case SqlType::uuid:
      return orderWithin<Uuid>(a, b);
    default:
      return partial_ordering::unordered;
  }
}

Truth judge(const WhereNode& node, std::span<const Value> row) {
  switch (node.op) {
    case WhereOp::literal:
    case WhereOp::column:
    case WhereOp::cast:
      return judgeValue(node, row);
    case WhereOp::allOf:
    case WhereOp::anyOf:
      return judgeList(node, row);
    case WhereOp::negation:
      return opposite(judge(node.children[0], row));
    case WhereOp::isNull: {
      Value scratch;
      return truthOf(valueOf(node.children[0], row, scratch).isNull());
    }
    case WhereOp::isTrue:
      return truthOf(judge(node.children[0], row) == Truth::yes);
    case WhereOp::isFalse:
      return truthOf(judge(node.children[0], row) == Truth::no);
    case WhereOp::distinct:
      return judgeDistinct(node, row);
    case WhereOp::in:
      return judgeIn(node, row);
    case WhereOp::between:
    case WhereOp::betweenSymmetric:
      return judgeBetween(node, row);
    case WhereOp::like:
    case WhereOp::ilike:
      return judgeLike(node, row);
    default:
      return judgeComparison(node, row);
  }
}

}  // namespace tidegate::electric::detail
