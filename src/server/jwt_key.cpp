#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <array>
#include <climits>
#include <cstring>
#include <utility>

#include "server/detail/jwt_material.h"

namespace tidegate::server {
namespace detail {
namespace {

constexpr std::size_t kLeastSecret = 32;
constexpr std::size_t kMostPem = 64u << 10;
constexpr int kLeastRsaBits = 2048, kMostRsaBits = 16384;

template <class T, void (*Free)(T*)>
struct FreeWith {
  void operator()(T* what) const { Free(what); }
};
using Bignum = std::unique_ptr<BIGNUM, FreeWith<BIGNUM, BN_free>>;
using ParamBuilder = std::unique_ptr<OSSL_PARAM_BLD, FreeWith<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, FreeWith<OSSL_PARAM, OSSL_PARAM_free>>;
using PkeyContext = std::unique_ptr<EVP_PKEY_CTX, FreeWith<EVP_PKEY_CTX, EVP_PKEY_CTX_free>>;

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};

const unsigned char* octetsOf(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

Bignum bignum(const std::string& octets) {
  return Bignum(BN_bin2bn(octetsOf(octets), static_cast<int>(octets.size()), nullptr));
}

Pkey fromParams(const char* kind, ParamBuilder builder) {
  const Params params(OSSL_PARAM_BLD_to_param(builder.get()));
  const PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, kind, nullptr));
  EVP_PKEY* key = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    ERR_clear_error();
    return nullptr;
  }
  Pkey made(key);
  const PkeyContext check(EVP_PKEY_CTX_new(made.get(), nullptr));
  if (check && EVP_PKEY_public_check(check.get()) == 1) return made;
  ERR_clear_error();
  return nullptr;
}

bool isP256(const EVP_PKEY* key) {
  std::array<char, 64> name{};
  std::size_t length = 0;
  if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, name.data(), name.size(), &length) != 1) {
    return false;
  }
  return std::string_view(name.data(), length) == "prime256v1";
}

JwtAlgorithm algorithmOf(const EVP_PKEY* key) {
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
      if (EVP_PKEY_get_bits(key) < kLeastRsaBits)
        throw badJwtKey("RSA under 2048 bits is not taken; make a longer one");
      if (EVP_PKEY_get_bits(key) > kMostRsaBits) throw badJwtKey("RSA over 16384 bits is not taken");
      return JwtAlgorithm::rs256;
    case EVP_PKEY_EC:
      if (!isP256(key)) throw badJwtKey("of elliptic curves only P-256 is taken (ES256)");
      return JwtAlgorithm::es256;
    case EVP_PKEY_ED25519:
      return JwtAlgorithm::edDsa;
    default:
      throw badJwtKey("its kind is not taken; RSA, P-256 and Ed25519 are");
  }
}

/// A public key, or a certificate's.
Pkey readPem(std::string_view text) {
  const std::unique_ptr<BIO, FreeBio> bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  if (!bio) throw std::bad_alloc();
  if (text.find("-----BEGIN CERTIFICATE-----") == std::string_view::npos) {
    return Pkey(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr));
  }
  const std::unique_ptr<X509, FreeWith<X509, X509_free>> certificate(
      PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  return certificate ? Pkey(X509_get_pubkey(certificate.get())) : nullptr;
}

}  // namespace

Pkey rsaKey(const std::string& modulus, const std::string& exponent) {
  if (modulus.size() > kMostRsaBits / 8 || exponent.size() > 8) return nullptr;
  const Bignum n = bignum(modulus), e = bignum(exponent);
  if (!n || !e || !BN_is_odd(e.get()) || BN_is_one(e.get())) return nullptr;
  ParamBuilder builder(OSSL_PARAM_BLD_new());
  if (!builder || OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
    return nullptr;
  }
  return fromParams("RSA", std::move(builder));
}

Pkey p256Key(const std::string& x, const std::string& y) {
  if (x.size() != 32 || y.size() != 32) return nullptr;
  const std::string point = '\x04' + x + y;
  ParamBuilder builder(OSSL_PARAM_BLD_new());
  if (!builder || OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) != 1) {
    return nullptr;
  }
  return fromParams("EC", std::move(builder));
}

Pkey ed25519Key(const std::string& octets) {
  if (octets.size() != 32) return nullptr;
  return Pkey(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, octetsOf(octets), octets.size()));
}

JwtKey publicJwtKey(Pkey key, std::string id) {
  if (!key) throw badJwtKey("its numbers are no public key");
  auto material = std::make_shared<JwtKey::Material>(algorithmOf(key.get()), std::move(id));
  material->key = std::move(key);
  return JwtKey(std::move(material));
}

}  // namespace detail

JwtKey::Material::~Material() { OPENSSL_cleanse(secret.data(), secret.size()); }

JwtKey JwtKey::secret(std::string_view octets, std::string id) {
  if (octets.size() < detail::kLeastSecret || octets.size() > detail::kMostPem) {
    throw detail::badJwtKey("a secret for HS256 has at least 32 octets; take random ones");
  }
  if (octets.find("-----BEGIN ") != std::string_view::npos) {
    throw detail::badJwtKey("a PEM text is no secret for HS256: whoever has the public key could sign");
  }
  auto material = std::make_shared<Material>(JwtAlgorithm::hs256, std::move(id));
  material->secret = octets;
  return JwtKey(std::move(material));
}

JwtKey JwtKey::pem(std::string_view text, std::string id) {
  if (text.size() > detail::kMostPem) throw detail::badJwtKey("the PEM text is over 64 KiB");
  if (text.find("PRIVATE KEY-----") != std::string_view::npos) {
    throw detail::badJwtKey("this is a private key; verifying needs the public one alone: openssl pkey -pubout");
  }
  detail::Pkey key = detail::readPem(text);
  ERR_clear_error();
  if (!key) throw detail::badJwtKey("the PEM text holds no public key and no certificate");
  return detail::publicJwtKey(std::move(key), std::move(id));
}

JwtAlgorithm JwtKey::algorithm() const noexcept { return material_->algorithm; }
const std::string& JwtKey::id() const noexcept { return material_->id; }

}  // namespace tidegate::server
