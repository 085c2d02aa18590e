#include "durable_streams/detail/webhook_keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <array>
#include <nlohmann/json.hpp>

#include "core/detail/octet_text.h"
#include "durable_streams/detail/protocol.h"
#include "tidegate/core/error.h"

namespace tidegate::durable_streams::detail {

namespace {

constexpr std::size_t kKeyOctets = 32;

struct FreeKey {
  void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
};
struct FreeDigest {
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};
using OpenKey = std::unique_ptr<EVP_PKEY, FreeKey>;

const unsigned char* octetsOf(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

[[noreturn]] void cryptoFailure(const char* what) {
  throw Error(ErrorCode::internal, Retry::never, std::string("OpenSSL cannot ") + what);
}

std::string sha256(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), out.data(), &size, EVP_sha256(), nullptr) != 1) cryptoFailure("hash");
  return {reinterpret_cast<const char*>(out.data()), size};
}

}  // namespace

std::optional<SigningKey> signingKeyFrom(std::string secret) {
  if (secret.size() != kKeyOctets) return std::nullopt;
  const OpenKey key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, octetsOf(secret), secret.size()));
  std::array<unsigned char, kKeyOctets> open{};
  std::size_t size = open.size();
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), open.data(), &size) != 1) cryptoFailure("make an Ed25519 key");
  SigningKey out{.secret = std::move(secret), .open = {reinterpret_cast<const char*>(open.data()), size}};
  // RFC 7638: the members in lexicographic order, without white space.
  out.id = "ds_" + tidegate::detail::base64UrlOf(sha256(R"({"crv":"Ed25519","kty":"OKP","x":")" +
                                                        tidegate::detail::base64UrlOf(out.open) + "\"}"));
  return out;
}

SigningKey makeSigningKey() { return *signingKeyFrom(randomOctets(kKeyOctets)); }

std::string webhookSignature(const SigningKey& key, std::string_view body, std::chrono::seconds time) {
  const std::string stamp = std::to_string(time.count());
  const std::string text = stamp + "." + std::string(body);
  const OpenKey secret(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, octetsOf(key.secret), key.secret.size()));
  const std::unique_ptr<EVP_MD_CTX, FreeDigest> context(EVP_MD_CTX_new());
  std::array<unsigned char, 64> signature{};
  std::size_t size = signature.size();
  if (!secret || !context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, secret.get()) != 1 ||
      EVP_DigestSign(context.get(), signature.data(), &size, octetsOf(text), text.size()) != 1) {
    cryptoFailure("sign");
  }
  return "t=" + stamp + ",kid=" + key.id +
         ",ed25519=" + tidegate::detail::base64UrlOf({reinterpret_cast<const char*>(signature.data()), size});
}

std::string keySet(const std::vector<SigningKey>& keys) {
  nlohmann::json set = {{"keys", nlohmann::json::array()}};
  for (const SigningKey& key : keys) {
    set["keys"].push_back({{"kty", "OKP"},
                           {"crv", "Ed25519"},
                           {"kid", key.id},
                           {"use", "sig"},
                           {"alg", "EdDSA"},
                           {"x", tidegate::detail::base64UrlOf(key.open)}});
  }
  return set.dump();
}

std::string WakeTokens::sign(std::string_view text) const {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned size = 0;
  if (HMAC(EVP_sha256(), key_.data(), static_cast<int>(key_.size()), octetsOf(text), text.size(), out.data(), &size) ==
      nullptr) {
    cryptoFailure("sign");
  }
  return tidegate::detail::base64UrlOf({reinterpret_cast<const char*>(out.data()), size});
}

std::string WakeTokens::make(std::string_view subscription, std::uint64_t generation,
                             std::chrono::seconds expires) const {
  const nlohmann::json claims = {{"sub", subscription},
                                 {"generation", generation},
                                 {"exp", expires.count()},
                                 {"jti", tidegate::detail::hexOf(randomOctets(8))}};
  const std::string text =
      tidegate::detail::base64UrlOf(claims.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  return text + "." + sign(text);
}

TokenVerdict WakeTokens::check(std::string_view token, std::string_view subscription, std::chrono::seconds now,
                               std::uint64_t& generation) const {
  const std::size_t dot = token.find('.');
  if (dot == std::string_view::npos || !equalInConstantTime(sign(token.substr(0, dot)), token.substr(dot + 1)))
    return TokenVerdict::invalid;
  const auto text = tidegate::detail::fromBase64Url(token.substr(0, dot));
  const auto claims = nlohmann::json::parse(text.value_or(""), nullptr, false);
  if (!claims.is_object() || claims.value("sub", "") != subscription) return TokenVerdict::invalid;
  generation = claims.value("generation", std::uint64_t{0});
  return claims.value("exp", std::int64_t{0}) < now.count() ? TokenVerdict::expired : TokenVerdict::good;
}

std::string randomOctets(std::size_t count) {
  std::string out(count, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(count)) != 1)
    cryptoFailure("give random octets");
  return out;
}

bool equalInConstantTime(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace tidegate::durable_streams::detail
