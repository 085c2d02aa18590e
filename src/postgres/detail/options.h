/// ConnectOptions as libpq's keywords and values.
#pragma once

#include <map>
#include <string>

#include "tidegate/postgres/query_fn.h"

namespace tidegate::postgres::detail {

using Keywords = std::map<std::string, std::string>;

/// Merges `url` with the fields and settles the TLS mode.
/// @throws Error{invalidConfig} naming the option, never its value where that is secret.
Keywords keywordsOf(const ConnectOptions& options);

/// "host:port/database" for messages.
std::string whereOf(const Keywords& keywords);

}  // namespace tidegate::postgres::detail
