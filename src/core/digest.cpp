#include <openssl/err.h>
#include <openssl/evp.h>

#include <array>
#include <bit>
#include <cstring>
#include <memory>

#include "core/detail/json_write.h"
#include "core/detail/sha256_batch.h"
#include "core/detail/text_out.h"
#include "tidegate/core/delta.h"
#include "tidegate/core/error.h"

namespace tidegate {
namespace {

[[noreturn]] void digestFailed(const char* call) {
  char reason[256] = "no reason given";
  if (const unsigned long code = ERR_get_error()) ERR_error_string_n(code, reason, sizeof reason);
  throw Error(ErrorCode::internal, Retry::afterOperator, std::string("OpenSSL's ") + call + " failed: " + reason);
}

/// Fetched once and never freed: a fetch per digest takes a lock and costs more than the digest.
const EVP_MD* sha256Method() {
  static const EVP_MD* const method = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  if (!method) digestFailed("EVP_MD_fetch(SHA256)");
  return method;
}

struct DigestContextDeleter {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

EVP_MD_CTX* threadDigestContext() {
  thread_local const std::unique_ptr<EVP_MD_CTX, DigestContextDeleter> context(EVP_MD_CTX_new());
  if (!context) digestFailed("EVP_MD_CTX_new");
  return context.get();
}

}  // namespace

std::array<std::uint8_t, 32> sha256(std::string_view octets) {
  EVP_MD_CTX* const context = threadDigestContext();
  std::array<std::uint8_t, 32> digest{};
  if (EVP_DigestInit_ex2(context, sha256Method(), nullptr) != 1) digestFailed("EVP_DigestInit_ex2");
  if (EVP_DigestUpdate(context, octets.data(), octets.size()) != 1) digestFailed("EVP_DigestUpdate");
  if (EVP_DigestFinal_ex(context, digest.data(), nullptr) != 1) digestFailed("EVP_DigestFinal_ex");
  return digest;
}

DeltaId computeDeltaId(const RowDelta& delta) {
  // Reused, so that a delta's id costs no allocation; a huge delta's memory is given back.
  thread_local detail::TextOut scratch;
  scratch.clear();
  detail::writeCanonicalDelta(delta, scratch);
  const std::string_view text = scratch.view();
  DeltaId id;
  detail::sha256Each({&text, 1}, &id.octets);
  constexpr std::size_t kKeptCapacity = 1 << 20;
  if (scratch.capacity() > kKeptCapacity) scratch = detail::TextOut();
  return id;
}

std::string DeltaId::hex() const {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out(64, '0');
  for (std::size_t i = 0; i < octets.size(); ++i) {
    out[2 * i] = kHex[octets[i] >> 4];
    out[2 * i + 1] = kHex[octets[i] & 15];
  }
  return out;
}

namespace {

static_assert(std::endian::native == std::endian::little, "the first digit of a word is its lowest octet");

/// Eight lower-case hex digits as four octets, all digits at once. @return 0 if they are such digits.
std::uint64_t readEightDigits(const char* digits, std::uint8_t* octets) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  std::uint64_t given = 0;
  std::memcpy(&given, digits, 8);
  std::uint64_t nibbles = (given & kOnes * 0x0F) + ((given >> 6) & kOnes) * 9;
  const std::uint64_t letters = ((nibbles + kOnes * 6) >> 4) & kOnes;
  const std::uint64_t asWritten = nibbles + kOnes * '0' + letters * ('a' - '0' - 10);
  const std::uint64_t wrong = (asWritten ^ given) | (nibbles & kOnes * 0xF0);
  nibbles = (nibbles << 4 | nibbles >> 8) & 0x00FF00FF00FF00FF;
  nibbles = (nibbles | nibbles >> 8) & 0x0000FFFF0000FFFF;
  const auto packed = static_cast<std::uint32_t>(nibbles | nibbles >> 16);
  std::memcpy(octets, &packed, 4);
  return wrong;
}

}  // namespace

std::optional<DeltaId> DeltaId::parse(std::string_view hex) noexcept {
  if (hex.size() != 64) return std::nullopt;
  DeltaId id;
  std::uint64_t wrong = 0;
  for (std::size_t i = 0; i < 8; ++i) wrong |= readEightDigits(hex.data() + 8 * i, id.octets.data() + 4 * i);
  return wrong == 0 ? std::optional(id) : std::nullopt;
}

}  // namespace tidegate
