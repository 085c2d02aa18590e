/// Values in JSON without loss: every kind has one form that tells it (docs/formats.md, "Changes in NATS").
#pragma once

#include <string>

#include "core/detail/json_tree.h"
#include "tidegate/core/value.h"

namespace tidegate::nats::detail {

void appendCell(const Value& value, std::string& out);
/// @throws Error{parseError} naming the member.
Value cellFrom(const tidegate::detail::JsonRef& cell);

}  // namespace tidegate::nats::detail
