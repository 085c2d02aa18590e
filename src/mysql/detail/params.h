/// Query parameters on their way to the server.
#pragma once

#include <string>
#include <vector>

#include "tidegate/core/value.h"

namespace sql {
class PreparedStatement;
}

namespace tidegate::mysql::detail {

/// The expression that makes the server's own type of a bound parameter: "?", "UNHEX(?)" or "CAST(? AS DECIMAL(65,2))".
std::string parameterExpression(const Value& v);

/// Binds the value as `parameterExpression` wants it.
/// @throws Error{invalidArgument} for NaN and infinities, which neither server knows.
void bindParameter(sql::PreparedStatement& statement, unsigned oneBasedIndex, const Value& v);

}  // namespace tidegate::mysql::detail
