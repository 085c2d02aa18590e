/// The keys that webhooks are signed with, and the tokens that workers answer with. Kept as notes of the store.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/clock.h"
#include "tidegate/durable_streams/stream_store.h"

namespace tidegate::durable_streams::detail {

/// An Ed25519 key.
struct SigningKey {
  std::string id{};      ///< "ds_" and the thumbprint (RFC 7638)
  std::string secret{};  ///< 32 octets
  std::string open{};    ///< the public key's 32 octets
};

SigningKey makeSigningKey();
/// nullopt for what is not 32 octets.
std::optional<SigningKey> signingKeyFrom(std::string secret);
/// "t=…,kid=…,ed25519=…" over "<time>.<body>" (section 7.1).
std::string webhookSignature(const SigningKey& key, std::string_view body, std::chrono::seconds time);
/// The public halves as a JSON Web Key Set.
std::string keySet(const std::vector<SigningKey>& keys);

enum class TokenVerdict { good, invalid, expired };

/// Tokens that name a subscription and a generation, signed with HMAC-SHA-256.
class WakeTokens {
 public:
  explicit WakeTokens(std::string key) : key_(std::move(key)) {}
  std::string make(std::string_view subscription, std::uint64_t generation, std::chrono::seconds expires) const;
  /// @param generation filled in where the token is good.
  TokenVerdict check(std::string_view token, std::string_view subscription, std::chrono::seconds now,
                     std::uint64_t& generation) const;

 private:
  std::string sign(std::string_view text) const;
  std::string key_;
};

/// Octets that nobody can guess. @throws Error{internal} where the system gives none.
std::string randomOctets(std::size_t count);
bool equalInConstantTime(std::string_view a, std::string_view b);

}  // namespace tidegate::durable_streams::detail
