/// A condition's tree, judged on a row.
#pragma once

#include <compare>
#include <span>

#include "electric/detail/where_node.h"
#include "tidegate/electric/where.h"

namespace tidegate::electric::detail {

Truth judge(const WhereNode& node, std::span<const Value> row);
/// The order of two values as PostgreSQL has it for these operands: NaN is equal to itself and the greatest number.
/// Unordered where one is null or not of the kind.
std::partial_ordering orderAs(SqlType operands, const Value& a, const Value& b) noexcept;

}  // namespace tidegate::electric::detail
