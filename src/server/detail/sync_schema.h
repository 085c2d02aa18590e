/// LakeSync's table schema as JSON.
#pragma once

#include <string_view>

#include "tidegate/core/schema.h"

namespace tidegate::server::detail {

/// Reads `{"table", "columns": [{"name", "type"}], "primaryKey"?}`; `sourceTable`, where given, is the table of the
/// deltas. Types: string, number, boolean, json, null (any). Names must be letters, digits and '_'.
/// @throws SyncRefused (400, SCHEMA_ERROR) naming what is wrong.
TableSchema syncSchemaFromJson(std::string_view json);

}  // namespace tidegate::server::detail
