/// Numbers in network byte order, as Postgres sends them.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace tidegate::postgres::detail {

/// @param T unsigned, of 1, 2, 4 or 8 octets. @param at as many octets.
template <class T>
T bigEndian(const char* at) {
  T number;
  std::memcpy(&number, at, sizeof number);
  if constexpr (std::endian::native == std::endian::big || sizeof(T) == 1) return number;
  if constexpr (sizeof(T) == 2) return __builtin_bswap16(number);
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(number);
  if constexpr (sizeof(T) == 8) return __builtin_bswap64(number);
}

}  // namespace tidegate::postgres::detail
