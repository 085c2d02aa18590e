/// Setting a Value again and again, for decoders: a string's capacity is reused where the kind stays.
#pragma once

#include <string_view>
#include <type_traits>

#include "tidegate/core/value.h"

namespace tidegate::detail {

inline std::string& stringOf(std::string& v) { return v; }
inline std::string& stringOf(Decimal& v) { return v.text; }
inline std::string& stringOf(Json& v) { return v.text; }
inline std::string& stringOf(Bytes& v) { return v.octets; }

/// The string inside `out`, made a `T` first if it is something else. Its content is left over: assign or clear it.
template <class T>
std::string& stringIn(Value& out) {
  if (auto* held = std::get_if<T>(&out.variant())) return stringOf(*held);
  return stringOf(out.variant().template emplace<T>());
}

inline void assignText(Value& out, std::string_view text) { stringIn<std::string>(out).assign(text); }

}  // namespace tidegate::detail
