/// Reading a target table back in the kinds of a shape.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "mysql/detail/target.h"
#include "tidegate/core/query.h"

namespace tidegate::mysql::detail {

/// Streams the committed rows over a connection of its own.
/// @throws Error{tableNotFound, columnNotFound, invalidConfig}
std::unique_ptr<RowStream> readBack(const ConnectOptions& options, const Shape& shape,
                                    const std::string& softDeleteColumn, std::stop_token stop);

}  // namespace tidegate::mysql::detail
