/// `valueBytes` for loops that call it for every value.
#pragma once

#include <cstddef>

#include "tidegate/core/value.h"

namespace tidegate::detail {

inline std::size_t octetsOf(const Value& v) noexcept {
  const Value::Variant& held = v.variant();
  switch (v.kind()) {
    case ValueKind::null:
    case ValueKind::boolean:
      return 1;
    case ValueKind::date:
      return 4;
    case ValueKind::uuid:
      return 16;
    case ValueKind::decimal:
      return std::get_if<Decimal>(&held)->text.size();
    case ValueKind::text:
      return std::get_if<std::string>(&held)->size();
    case ValueKind::bytes:
      return std::get_if<Bytes>(&held)->octets.size();
    case ValueKind::json:
      return std::get_if<Json>(&held)->text.size();
    default:
      return 8;
  }
}

}  // namespace tidegate::detail
