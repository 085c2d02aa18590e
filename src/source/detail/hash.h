/// 64 and 128-bit hashes (XXH3) behind a plain function call, so that the header-only library is compiled once.
#pragma once

#include <cstdint>
#include <string_view>

namespace tidegate::detail {

/// A fingerprint: two different texts of one process share it with a probability of 2^-128.
struct Hash128 {
  std::uint64_t low = 0, high = 0;
  bool operator==(const Hash128&) const = default;
};

std::uint64_t hash64(std::string_view octets, std::uint64_t seed = 0) noexcept;
Hash128 hash128(std::string_view octets, std::uint64_t seed = 0) noexcept;

}  // namespace tidegate::detail
