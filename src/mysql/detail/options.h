/// ConnectOptions, merged with their url and checked.
#pragma once

#include <string>

#include "tidegate/mysql/query_fn.h"

namespace tidegate::mysql::detail {

/// `options` with everything that `url` adds; `url` is empty and `tls` is set afterwards.
/// @throws Error{invalidConfig} naming the option, never a secret.
ConnectOptions resolve(ConnectOptions options);

/// "mysql at host:port/database" for messages.
std::string whereOf(const ConnectOptions& resolved);

}  // namespace tidegate::mysql::detail
