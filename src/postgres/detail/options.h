/// ConnectOptions as libpq's keywords and values.
#pragma once

#include <array>
#include <map>
#include <string>
#include <utility>

#include "tidegate/postgres/query_fn.h"

namespace tidegate::postgres::detail {

using Keywords = std::map<std::string, std::string>;

/// Merges `url` with the fields and settles the TLS mode.
/// @throws Error{invalidConfig} naming the option, never its value where that is secret.
Keywords keywordsOf(const ConnectOptions& options);

/// Session settings that fix how values are printed, so that each value has one text (docs/types.md).
std::array<std::pair<const char*, const char*>, 5> outputSettings();

/// "host:port/database" for messages.
std::string whereOf(const Keywords& keywords);

}  // namespace tidegate::postgres::detail
