/// Table schemas as JSON, in checkpoints and dead letters.
#pragma once

#include <string>

#include "core/detail/json_tree.h"
#include "tidegate/core/schema.h"

namespace tidegate::detail {

/// `{"table":…,"columns":[[name, kind, nullable, sourceType],…],"key":[…]}`
void appendSchemaJson(const TableSchema& schema, std::string& out);
/// @throws Error{parseError}
TableSchema readSchemaJson(const JsonRef& node);
/// The kind of that name. @throws Error{parseError}
ValueKind valueKindNamed(const JsonRef& name);

}  // namespace tidegate::detail
