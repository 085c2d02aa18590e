/// How the types of a condition meet: literals take a type, comparisons find a common one, casts are few.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "electric/detail/where_node.h"

namespace tidegate::electric::detail {

/// Gives an `unknown` literal its type; leaves everything else. @throws Error{invalidArgument} where it is none.
void takeType(WhereNode& node, SqlType type);
/// Brings the operands of comparisons together: all of them pairwise comparable with the first.
/// @param symbol  for messages. @return as what they compare. @throws Error{invalidArgument} at `at`.
SqlType commonOperands(std::vector<WhereNode>& operands, std::size_t at, std::string_view symbol);
/// Makes sure that a node is a boolean. @param where  what needs one, e.g. "AND".
void needBoolean(WhereNode& node, std::string_view what);
/// A cast; folded where the operand is a literal. @throws Error{invalidArgument} for one that is not allowed.
WhereNode castTo(WhereNode node, std::string_view typeName, std::size_t at);

}  // namespace tidegate::electric::detail
