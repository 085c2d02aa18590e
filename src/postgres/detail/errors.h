/// Postgres's and libpqxx's failures as tidegate::Error.
#pragma once

#include <string>
#include <string_view>

#include "tidegate/core/error.h"

namespace tidegate::postgres::detail {

/// @param sqlState five characters, or empty where none is known.
/// @param serverText the primary message; its severity prefix is cut off.
Error fromSqlState(std::string_view sqlState, std::string_view serverText);

/// A connection that could not be made. libpq gives no SQLSTATE there but prints it at verbose verbosity.
Error fromConnectFailure(std::string_view verboseText, std::string_view where);

/// What is being handled now (call inside `catch`), as an Error. bad_alloc and Errors are thrown on as they are.
Error fromCurrentException();

}  // namespace tidegate::postgres::detail
