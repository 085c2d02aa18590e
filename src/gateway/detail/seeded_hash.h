/// Hashes under a seed drawn per gateway, so that nobody outside can choose names or row ids that collide.
#pragma once

#include <cstdint>
#include <string_view>

namespace tidegate::detail {

/// XXH3 under a seed.
std::uint64_t seededHash(std::string_view octets, std::uint64_t seed) noexcept;

/// The key of a row: the table's own hash seeds that of the row id, so no two parts are ever glued together.
inline std::uint64_t rowKeyHash(std::uint64_t tableHash, std::string_view rowId) noexcept {
  return seededHash(rowId, tableHash);
}

/// A fresh seed from the system's randomness. Outcomes never depend on it.
std::uint64_t randomSeed();

}  // namespace tidegate::detail
