#include <openssl/err.h>
#include <openssl/evp.h>

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

std::optional<DeltaId> DeltaId::parse(std::string_view hex) noexcept {
  if (hex.size() != 64) return std::nullopt;
  DeltaId id;
  for (std::size_t i = 0; i < hex.size(); ++i) {
    const char c = hex[i];
    unsigned nibble = 0;
    if (c >= '0' && c <= '9')
      nibble = static_cast<unsigned>(c - '0');
    else if (c >= 'a' && c <= 'f')
      nibble = static_cast<unsigned>(c - 'a' + 10);
    else
      return std::nullopt;
    std::uint8_t& octet = id.octets[i / 2];
    octet = static_cast<std::uint8_t>(unsigned{octet} << 4 | nibble);
  }
  return id;
}

}  // namespace tidegate
