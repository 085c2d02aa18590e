#include "sink/detail/value_order.h"

#include <cmath>

namespace tidegate::detail {

namespace {

/// Numbers share a class; those that `compareValues` gives no order to (NaN) have the next one.
int classOf(const Value& v) noexcept {
  constexpr int kNumber = 2 * static_cast<int>(ValueKind::int64);
  switch (v.kind()) {
    case ValueKind::int64:
    case ValueKind::uint64:
      return kNumber;
    case ValueKind::real:
      return kNumber + (std::isnan(*v.getIf<double>()) ? 1 : 0);
    case ValueKind::decimal:
      return kNumber + (v.getIf<Decimal>()->text == "NaN" ? 1 : 0);
    default:
      return 2 * static_cast<int>(v.kind());
  }
}

}  // namespace

bool orderedBefore(const Value& a, const Value& b) noexcept {
  const int classA = classOf(a), classB = classOf(b);
  if (classA != classB) return classA < classB;
  if (const auto* x = a.getIf<bool>()) return !*x && *b.getIf<bool>();
  if (const auto* x = a.getIf<Json>()) return x->text < b.getIf<Json>()->text;
  return compareValues(a, b) == std::partial_ordering::less;
}

}  // namespace tidegate::detail
