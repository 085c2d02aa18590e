#include "core/detail/sha256_batch.h"

#include "tidegate/core/delta.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#include <algorithm>
#include <cstring>
#endif

namespace tidegate::detail {

void sha256Each(std::span<const std::string_view> texts, Sha256* digests) {
  if (hasShaInstructions()) return sha256Pairs(texts, digests);
  for (const std::string_view text : texts) *digests++ = sha256(text);
}

#if defined(__x86_64__)

#define TIDEGATE_SHA_TARGET __attribute__((target("sha,sse4.1")))

namespace {

constexpr std::size_t kBlock = 64;

/// FIPS 180-4, section 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64 primes.
alignas(16) constexpr std::uint32_t kRound[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/// A text as the blocks that are hashed: its own octets, then one or two with the rest, a mark and the length.
class Blocks {
 public:
  explicit Blocks(std::string_view text) : text_(text.data()), whole_(text.size() / kBlock) {
    const std::size_t rest = text.size() % kBlock;
    count_ = whole_ + (rest + 9 > kBlock ? 2 : 1);
    const std::size_t end = (count_ - whole_) * kBlock;
    if (rest != 0) std::memcpy(tail_, text.data() + whole_ * kBlock, rest);
    std::memset(tail_ + rest, 0, end - rest);
    tail_[rest] = static_cast<char>(0x80);
    const std::uint64_t bits = __builtin_bswap64(std::uint64_t{text.size()} * 8);
    std::memcpy(tail_ + end - 8, &bits, 8);
  }
  std::size_t count() const { return count_; }
  const char* at(std::size_t i) const { return i < whole_ ? text_ + i * kBlock : tail_ + (i - whole_) * kBlock; }

 private:
  const char* text_;
  std::size_t whole_;
  std::size_t count_;
  char tail_[2 * kBlock];
};

/// The state as the instructions want it: words a, b, e, f and c, d, g, h, from the highest down.
struct Lane {
  __m128i abef, cdgh;
};

TIDEGATE_SHA_TARGET Lane firstState() {
  return {_mm_set_epi32(0x6a09e667, static_cast<int>(0xbb67ae85), 0x510e527f, static_cast<int>(0x9b05688c)),
          _mm_set_epi32(0x3c6ef372, static_cast<int>(0xa54ff53a), 0x1f83d9ab, 0x5be0cd19)};
}

/// One block into each of `kLanes` states. Their steps alternate, so that one computes while the other waits.
template <std::size_t kLanes>
TIDEGATE_SHA_TARGET void compress(Lane* lanes, const char* const* blocks) {
  const __m128i bigEndian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  Lane now[kLanes];
  __m128i words[kLanes][4];
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    now[lane] = lanes[lane];
    for (std::size_t i = 0; i < 4; ++i) {
      const auto* const from = reinterpret_cast<const __m128i*>(blocks[lane] + 16 * i);
      words[lane][i] = _mm_shuffle_epi8(_mm_loadu_si128(from), bigEndian);
    }
  }
#pragma GCC unroll 16
  for (std::size_t i = 0; i < 16; ++i) {
    const __m128i constants = _mm_load_si128(reinterpret_cast<const __m128i*>(kRound + 4 * i));
#pragma GCC unroll 2
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      __m128i(&w)[4] = words[lane];
      Lane& state = now[lane];
      const __m128i added = _mm_add_epi32(w[i % 4], constants);
      state.cdgh = _mm_sha256rnds2_epu32(state.cdgh, state.abef, added);
      state.abef = _mm_sha256rnds2_epu32(state.abef, state.cdgh, _mm_shuffle_epi32(added, 0x0E));
      if (i >= 12) continue;
      const __m128i last = w[(i + 3) % 4];
      const __m128i sum =
          _mm_add_epi32(_mm_sha256msg1_epu32(w[i % 4], w[(i + 1) % 4]), _mm_alignr_epi8(last, w[(i + 2) % 4], 4));
      w[i % 4] = _mm_sha256msg2_epu32(sum, last);
    }
  }
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    lanes[lane].abef = _mm_add_epi32(lanes[lane].abef, now[lane].abef);
    lanes[lane].cdgh = _mm_add_epi32(lanes[lane].cdgh, now[lane].cdgh);
  }
}

TIDEGATE_SHA_TARGET void finish(Lane lane, const Blocks& blocks, std::size_t done, Sha256& digest) {
  for (; done < blocks.count(); ++done) {
    const char* const block = blocks.at(done);
    compress<1>(&lane, &block);
  }
  std::uint32_t first[4], second[4];  // f, e, b, a and h, g, d, c
  _mm_storeu_si128(reinterpret_cast<__m128i*>(first), lane.abef);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(second), lane.cdgh);
  std::uint32_t words[8] = {first[3], first[2], second[3], second[2], first[1], first[0], second[1], second[0]};
  for (std::uint32_t& word : words) word = __builtin_bswap32(word);
  std::memcpy(digest.data(), words, sizeof words);
}

TIDEGATE_SHA_TARGET void hashPair(std::string_view a, std::string_view b, Sha256* digests) {
  const Blocks first(a), second(b);
  Lane lanes[2] = {firstState(), firstState()};
  const std::size_t common = std::min(first.count(), second.count());
  for (std::size_t i = 0; i < common; ++i) {
    const char* const blocks[2] = {first.at(i), second.at(i)};
    compress<2>(lanes, blocks);
  }
  finish(lanes[0], first, common, digests[0]);
  finish(lanes[1], second, common, digests[1]);
}

bool askProcessor() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_SSE4_1) == 0 || (c & bit_SSSE3) == 0) return false;
  constexpr unsigned kSha = 1u << 29;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & kSha) != 0;
}

}  // namespace

bool hasShaInstructions() noexcept {
  static const bool has = askProcessor();
  return has;
}

void sha256Pairs(std::span<const std::string_view> texts, Sha256* digests) noexcept {
  std::size_t i = 0;
  for (; i + 1 < texts.size(); i += 2) hashPair(texts[i], texts[i + 1], digests + i);
  if (i < texts.size()) finish(firstState(), Blocks(texts[i]), 0, digests[i]);
}

#undef TIDEGATE_SHA_TARGET

#else

bool hasShaInstructions() noexcept { return false; }
void sha256Pairs(std::span<const std::string_view>, Sha256*) noexcept {}

#endif

}  // namespace tidegate::detail
