/// One order for values of every kind, for ordered indexes: null, then the kinds as `ValueKind` numbers them, all
/// numbers being one; numbers by value with NaN last, the rest within its kind.
#pragma once

#include "tidegate/core/value.h"

namespace tidegate::detail {

/// A strict weak order in which values that compare equal may still differ (1 and 1.0).
bool orderedBefore(const Value& a, const Value& b) noexcept;

}  // namespace tidegate::detail
