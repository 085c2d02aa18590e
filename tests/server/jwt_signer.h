/// Signs tokens for tests, as an issuer does, and as an attacker would.
#pragma once

#include <gtest/gtest.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace tidegate::server::test {

inline std::string base64Url(std::string_view octets) {
  static constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  std::uint32_t bits = 0;
  unsigned held = 0;
  for (const char c : octets) {
    bits = (bits << 8 | static_cast<unsigned char>(c)) & 0xFFFFF;
    for (held += 8; held >= 6; held -= 6) out.push_back(kLetters[bits >> (held - 6) & 63]);
  }
  if (held > 0) out.push_back(kLetters[bits << (6 - held) & 63]);
  return out;
}

inline std::string hmacSha256(std::string_view secret, std::string_view text) {
  std::string out(32, '\0');
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), reinterpret_cast<unsigned char*>(out.data()),
       nullptr);
  return out;
}

/// A private key, made anew.
class Signer {
 public:
  static Signer rsa(unsigned bits = 2048) { return Signer(EVP_RSA_gen(bits)); }
  static Signer ec(const char* curve = "P-256") { return Signer(EVP_EC_gen(curve)); }
  static Signer ed25519() { return Signer(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")); }

  /// As JOSE writes it.
  std::string sign(std::string_view text) const {
    const bool ed = EVP_PKEY_get_base_id(key_.get()) == EVP_PKEY_ED25519;
    std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    const auto* octets = reinterpret_cast<const unsigned char*>(text.data());
    std::size_t size = 0;
    EVP_DigestSignInit(context.get(), nullptr, ed ? nullptr : EVP_sha256(), nullptr, key_.get());
    EVP_DigestSign(context.get(), nullptr, &size, octets, text.size());
    std::string out(size, '\0');
    EXPECT_EQ(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size, octets, text.size()),
              1);
    out.resize(size);
    return EVP_PKEY_get_base_id(key_.get()) == EVP_PKEY_EC ? raw(out) : out;
  }
  std::string publicPem() const {
    std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new(BIO_s_mem()), BIO_free);
    PEM_write_bio_PUBKEY(bio.get(), key_.get());
    return textOf(bio.get());
  }
  std::string privatePem() const {
    std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new(BIO_s_mem()), BIO_free);
    PEM_write_bio_PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
    return textOf(bio.get());
  }
  /// RFC 7517's form of the public key; `more` is members to add, as `,"kid":"a"`.
  std::string publicJwk(const std::string& more = {}) const {
    if (EVP_PKEY_get_base_id(key_.get()) == EVP_PKEY_RSA) {
      return R"({"kty":"RSA","n":")" + number("n", 0) + R"(","e":")" + number("e", 0) + '"' + more + '}';
    }
    if (EVP_PKEY_get_base_id(key_.get()) == EVP_PKEY_EC) {
      return R"({"kty":"EC","crv":"P-256","x":")" + number("qx", 32) + R"(","y":")" + number("qy", 32) + '"' + more +
             '}';
    }
    std::string octets(32, '\0');
    std::size_t size = octets.size();
    EVP_PKEY_get_raw_public_key(key_.get(), reinterpret_cast<unsigned char*>(octets.data()), &size);
    return R"({"kty":"OKP","crv":"Ed25519","x":")" + base64Url(octets) + '"' + more + '}';
  }

 private:
  explicit Signer(EVP_PKEY* key) : key_(key, EVP_PKEY_free) {}

  static std::string textOf(BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    return std::string(data, static_cast<std::size_t>(size));
  }
  std::string number(const char* name, int width) const {
    BIGNUM* value = nullptr;
    EVP_PKEY_get_bn_param(key_.get(), name, &value);
    std::string octets(static_cast<std::size_t>(width > 0 ? width : BN_num_bytes(value)), '\0');
    BN_bn2binpad(value, reinterpret_cast<unsigned char*>(octets.data()), static_cast<int>(octets.size()));
    BN_free(value);
    return base64Url(octets);
  }
  static std::string raw(const std::string& der) {
    const auto* at = reinterpret_cast<const unsigned char*>(der.data());
    ECDSA_SIG* pair = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
    std::string out(64, '\0');
    BN_bn2binpad(ECDSA_SIG_get0_r(pair), reinterpret_cast<unsigned char*>(out.data()), 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(pair), reinterpret_cast<unsigned char*>(out.data()) + 32, 32);
    ECDSA_SIG_free(pair);
    return out;
  }

  std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key_;
};

/// One of each, made once: RSA takes a while.
struct Signers {
  Signer rsa = Signer::rsa();
  Signer ec = Signer::ec();
  Signer ed = Signer::ed25519();
  std::string secret = "a secret of more than thirty-two octets";
};
inline const Signers& signers() {
  static const Signers kSigners;
  return kSigners;
}

/// header.payload.signature, signed with the key of that algorithm; "none" has an empty signature.
inline std::string makeToken(const std::string& algorithm, const std::string& payload, std::string header = {}) {
  if (header.empty()) header = R"({"alg":")" + algorithm + R"(","typ":"JWT"})";
  const std::string text = base64Url(header) + '.' + base64Url(payload);
  const auto signature = [&]() -> std::string {
    if (algorithm == "HS256") return hmacSha256(signers().secret, text);
    if (algorithm == "RS256") return signers().rsa.sign(text);
    if (algorithm == "ES256") return signers().ec.sign(text);
    if (algorithm == "EdDSA") return signers().ed.sign(text);
    return {};
  };
  return text + '.' + base64Url(signature());
}

}  // namespace tidegate::server::test
