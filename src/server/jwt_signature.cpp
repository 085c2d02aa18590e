#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

#include <array>

#include "server/detail/jwt_material.h"

namespace tidegate::server {
namespace detail {
namespace {

constexpr std::size_t kSha256Octets = 32, kRawSignature = 64;

struct FreeDigestContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
struct FreeEcdsa {
  void operator()(ECDSA_SIG* signature) const { ECDSA_SIG_free(signature); }
};

/// Fetched once: a fetch at each signature takes a lock that all threads share.
const EVP_MD* sha256Method() {
  static const EVP_MD* const kMethod = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return kMethod;
}

const unsigned char* signedOctets(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

bool verifiesHmac(const std::string& secret, std::string_view octets, std::string_view signature) {
  std::array<unsigned char, kSha256Octets> own{};
  unsigned size = 0;
  if (!HMAC(sha256Method(), secret.data(), static_cast<int>(secret.size()), signedOctets(octets), octets.size(),
            own.data(), &size)) {
    return false;
  }
  return signature.size() == own.size() && size == own.size() &&
         CRYPTO_memcmp(own.data(), signature.data(), own.size()) == 0;
}

/// JOSE writes two numbers of 32 octets, OpenSSL reads DER. Empty for what is no such pair.
std::string derSignature(std::string_view raw) {
  if (raw.size() != kRawSignature) return {};
  const std::unique_ptr<ECDSA_SIG, FreeEcdsa> pair(ECDSA_SIG_new());
  BIGNUM* r = BN_bin2bn(signedOctets(raw), 32, nullptr);
  BIGNUM* s = BN_bin2bn(signedOctets(raw) + 32, 32, nullptr);
  if (!pair || !r || !s || ECDSA_SIG_set0(pair.get(), r, s) != 1) {
    BN_free(r);
    BN_free(s);
    return {};
  }
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(pair.get(), &der);
  std::string out = size > 0 ? std::string(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)) : "";
  OPENSSL_free(der);
  return out;
}

bool verifiesPublic(EVP_PKEY* key, const EVP_MD* digest, std::string_view octets, std::string_view signature) {
  const std::unique_ptr<EVP_MD_CTX, FreeDigestContext> context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* inner = nullptr;  // the context's
  const bool ready =
      context && EVP_DigestVerifyInit(context.get(), &inner, digest, nullptr, key) == 1 &&
      (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA || EVP_PKEY_CTX_set_rsa_padding(inner, RSA_PKCS1_PADDING) == 1);
  const bool holds = ready && EVP_DigestVerify(context.get(), signedOctets(signature), signature.size(),
                                               signedOctets(octets), octets.size()) == 1;
  ERR_clear_error();
  return holds;
}

}  // namespace
}  // namespace detail

bool JwtKey::verifies(std::string_view octets, std::string_view signature) const {
  switch (material_->algorithm) {
    case JwtAlgorithm::hs256:
      return detail::verifiesHmac(material_->secret, octets, signature);
    case JwtAlgorithm::rs256:
      return detail::verifiesPublic(material_->key.get(), detail::sha256Method(), octets, signature);
    case JwtAlgorithm::es256: {
      const std::string der = detail::derSignature(signature);
      return !der.empty() && detail::verifiesPublic(material_->key.get(), detail::sha256Method(), octets, der);
    }
    case JwtAlgorithm::edDsa:
      return signature.size() == detail::kRawSignature &&
             detail::verifiesPublic(material_->key.get(), nullptr, octets, signature);
  }
  return false;
}

}  // namespace tidegate::server
