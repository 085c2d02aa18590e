/// The table that the suites of Electric's clients write to and read: changes as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "tidegate/gateway/gateway.h"

namespace tidegate::conformance {

/// items(id integer, title text, amount numeric(10,2), done boolean, tags jsonb, seen timestamptz, "Owner" text).
TableSchema itemsSchema();
/// {"op": "INSERT", "id": 1, "columns": {"title": "a", "amount": "1.50"}}; values as strings, as Electric sends them.
RowDelta deltaOf(const nlohmann::json& change, Hlc hlc);

}  // namespace tidegate::conformance
