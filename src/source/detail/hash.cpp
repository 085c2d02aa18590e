#include "source/detail/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace tidegate::detail {

std::uint64_t hash64(std::string_view octets, std::uint64_t seed) noexcept {
  return XXH3_64bits_withSeed(octets.data(), octets.size(), seed);
}

Hash128 hash128(std::string_view octets, std::uint64_t seed) noexcept {
  const XXH128_hash_t h = XXH3_128bits_withSeed(octets.data(), octets.size(), seed);
  return {h.low64, h.high64};
}

}  // namespace tidegate::detail
