/// A condition's tree as text that PostgreSQL and `Where::parse` both take.
#pragma once

#include <string>

#include "electric/detail/where_node.h"

namespace tidegate::electric::detail {

/// Every operator in parentheses, every literal with its type.
void printWhere(const WhereNode& node, const TableSchema& schema, std::string& out);

}  // namespace tidegate::electric::detail
