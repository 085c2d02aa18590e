#include "gateway/detail/seeded_hash.h"

#include <random>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace tidegate::detail {

std::uint64_t seededHash(std::string_view octets, std::uint64_t seed) noexcept {
  return XXH3_64bits_withSeed(octets.data(), octets.size(), seed);
}

std::uint64_t randomSeed() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

}  // namespace tidegate::detail
