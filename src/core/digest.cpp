#include <openssl/err.h>
#include <openssl/evp.h>

#include <array>
#include <memory>

#include "core/detail/json_write.h"
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
  const DeltaId id{sha256(scratch.view())};
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

constexpr std::uint8_t kNoNibble = 0xFF;
constexpr std::array<std::uint8_t, 256> nibbles() {
  std::array<std::uint8_t, 256> of{};
  of.fill(kNoNibble);
  for (std::uint8_t i = 0; i < 16; ++i) of[static_cast<unsigned char>("0123456789abcdef"[i])] = i;
  return of;
}
constexpr auto kNibbles = nibbles();

}  // namespace

std::optional<DeltaId> DeltaId::parse(std::string_view hex) noexcept {
  if (hex.size() != 64) return std::nullopt;
  DeltaId id;
  unsigned all = 0;
  for (std::size_t i = 0; i < id.octets.size(); ++i) {
    const unsigned high = kNibbles[static_cast<unsigned char>(hex[2 * i])];
    const unsigned low = kNibbles[static_cast<unsigned char>(hex[2 * i + 1])];
    all |= high | low;
    id.octets[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  // Only what is no digit has bits beyond four.
  return all < 16 ? std::optional(id) : std::nullopt;
}

}  // namespace tidegate
