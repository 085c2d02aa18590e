/// Bringing a target's columns to a shape.
#pragma once

#include <string>

#include "postgres/detail/target.h"

namespace tidegate::postgres::detail {

/// Makes the table, or adds the columns that it lacks; others are left as they are.
void makeTarget(SinkConnection& connection, const TargetName& name, const Shape& shape,
                const std::string& softDeleteColumn);

/// Does to the target what became of the source's columns: renames, drops and retypes. What it has already is no error.
/// @throws Error{invalidConfig, Retry::afterOperator} for what it cannot follow, with the remedy.
void followChange(SinkConnection& connection, const TargetName& name, const Shape& after, const SchemaChange& change);

}  // namespace tidegate::postgres::detail
