/// What a JwtKey holds, and the ways to make it.
#pragma once

#include <openssl/evp.h>

#include <memory>
#include <string>
#include <string_view>

#include "tidegate/core/error.h"
#include "tidegate/server/jwt.h"

namespace tidegate::server {

namespace detail {

struct FreePkey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Pkey = std::unique_ptr<EVP_PKEY, FreePkey>;

/// The RSA key of big-endian modulus and exponent. Null where OpenSSL takes none such.
Pkey rsaKey(const std::string& modulus, const std::string& exponent);
/// The P-256 key of a point's coordinates, 32 octets each. Null for a point that is not on the curve.
Pkey p256Key(const std::string& x, const std::string& y);
Pkey ed25519Key(const std::string& octets);

/// Checks kind and size. @throws Error{invalidConfig}
JwtKey publicJwtKey(Pkey key, std::string id);

inline Error badJwtKey(const std::string& why) {
  return {ErrorCode::invalidConfig, Retry::never, "a key for tokens: " + why};
}

}  // namespace detail

struct JwtKey::Material {
  Material(JwtAlgorithm use, std::string name) : algorithm(use), id(std::move(name)) {}
  Material(const Material&) = delete;
  Material& operator=(const Material&) = delete;
  ~Material();

  JwtAlgorithm algorithm;
  std::string id;
  std::string secret{};  ///< HS256's
  detail::Pkey key{};    ///< the others'
};

}  // namespace tidegate::server
