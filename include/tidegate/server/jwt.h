/// JSON Web Tokens (RFC 7519): who signed one, whether it holds now, and what it claims.
///
///     const auto keys = std::make_shared<FixedJwtKeys>(std::vector{JwtKey::secret(readSecret())});
///     JwtVerifier verifier({.issuer = "https://login.example.org", .audiences = {"sync"}}, keys);
///     Identity who = verifier.verify(token);
///
/// The algorithm belongs to the key, never to the token: a token only says which keys to try, so `none` finds no key,
/// and a public key is never a secret. Fields of a token's header that name keys (`jwk`, `jku`, `x5c`, `x5u`) are not
/// read. Origin: RFC 7515, 7517, 7518, 8037; the practice of RFC 8725.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/clock.h"
#include "tidegate/server/identity.h"

namespace tidegate::server {

/// How a token is signed. JOSE: "HS256", "RS256", "ES256", "EdDSA" (Ed25519).
enum class JwtAlgorithm { hs256, rs256, es256, edDsa };

/// JOSE's name, e.g. "HS256".
std::string_view toString(JwtAlgorithm algorithm) noexcept;
/// nullopt for any other name: names compare exactly, as JOSE has it.
std::optional<JwtAlgorithm> jwtAlgorithm(std::string_view name) noexcept;

/// A key with the one algorithm that it is used with. Copies share the key; a secret is wiped with the last of them.
/// @thread Immutable: any.
class JwtKey {
 public:
  /// For HS256. @throws Error{invalidConfig} under 32 octets (RFC 7518, section 3.2), or for a PEM text: a public key
  /// is no secret.
  static JwtKey secret(std::string_view octets, std::string id = {});
  /// A public key ("-----BEGIN PUBLIC KEY-----") or a certificate: RSA of 2048 to 16384 bits for RS256, P-256 for
  /// ES256, Ed25519 for EdDSA. @throws Error{invalidConfig} for any other, and for a private key.
  static JwtKey pem(std::string_view text, std::string id = {});
  /// A key as RFC 7517 writes it: RSA, EC with P-256, OKP with Ed25519, oct with "alg": "HS256".
  /// @throws Error{invalidConfig} for any other kind or use, a private part, an "alg" of another kind.
  static JwtKey jwk(std::string_view json);

  JwtAlgorithm algorithm() const noexcept;
  /// "kid"; empty: it has none.
  const std::string& id() const noexcept;
  /// Whether `signature` (as JOSE writes it) is this key's over `octets`. Takes the same time for any wrong HMAC.
  bool verifies(std::string_view octets, std::string_view signature) const;

  struct Material;  ///< opaque
  explicit JwtKey(std::shared_ptr<const Material> material) : material_(std::move(material)) {}

 private:
  std::shared_ptr<const Material> material_;
};

/// The keys of a key set, `{"keys": [...]}`. Keys of unknown kinds and uses are left out (RFC 7517, section 5).
/// @param secrets whether "oct" keys are taken: not from where others can read.
/// @param refused takes why each key that was left out was; null: nobody wants to know.
/// @throws Error{parseError} where it is no key set, or has over `maxKeys` keys.
std::vector<JwtKey> jwtKeySet(std::string_view json, bool secrets, std::vector<std::string>* refused = nullptr,
                              std::size_t maxKeys = 64);

/// Where a verifier finds keys.
/// @thread Called on any thread of the server; must not block.
class JwtKeys {
 public:
  virtual ~JwtKeys() = default;
  /// Keys of that algorithm to try, at most four: those named `id`, or all where either has no name.
  /// @throws Error{storeUnavailable, Retry::later} where no keys are known yet.
  virtual std::vector<JwtKey> find(JwtAlgorithm algorithm, std::string_view id) const = 0;
};

/// Keys that the host gave. Several of one algorithm let a secret be changed: the new one first, then the old one.
class FixedJwtKeys final : public JwtKeys {
 public:
  explicit FixedJwtKeys(std::vector<JwtKey> keys) : keys_(std::move(keys)) {}
  std::vector<JwtKey> find(JwtAlgorithm algorithm, std::string_view id) const override;

 private:
  std::vector<JwtKey> keys_;
};

struct JwtOptions {
  std::string issuer{};                  ///< "iss" must be this; empty: any
  std::vector<std::string> audiences{};  ///< "aud" must name one; empty: a token that has an "aud" is not for us
  std::chrono::seconds tolerance{30};    ///< by which clocks may differ; 0 to 600
  std::string roleClaim = "role";        ///< a text, or an array of texts
  std::vector<std::string> adminRoles{"admin"};  ///< a value that makes an admin; any other, and none, is a client
  std::size_t maxTokenBytes = 8u << 10;          ///< over it: refused unread
  const Clock* clock = nullptr;                  ///< null: the system's; must outlive the verifier
};

/// @thread Immutable: any.
class JwtVerifier {
 public:
  /// @throws Error{invalidConfig} for options that cannot work, and for no keys.
  JwtVerifier(JwtOptions options, std::shared_ptr<const JwtKeys> keys);

  /// "sub" becomes the subject, "exp" the end, and claims become `Claims`: texts, numbers, booleans, and arrays of
  /// them. Left out are null, objects, empty arrays, arrays with any of these, and "exp", "nbf", "iat" and "jti", which
  /// differ from token to token.
  /// @throws Error{authenticationFailed} saying what does not hold, never what was shown; as `JwtKeys::find`.
  Identity verify(std::string_view token) const;

 private:
  JwtOptions options_;
  std::shared_ptr<const JwtKeys> keys_;
};

}  // namespace tidegate::server
