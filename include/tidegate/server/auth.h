/// Who asks, from a bearer token: a static one, or a JSON Web Token.
///
///     auto who = std::make_shared<TokenAuthenticator>(AuthOptions{
///         .tokens = {{.token = readAdminToken(), .role = Role::admin, .subject = "operator"}},
///         .jwt = JwtVerifier({.issuer = "https://login.example.org", .audiences = {"sync"}}, keys)});
///     http::Server server({.port = 8080}, api.handler(who));
///
/// See docs/auth.md.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/server/identity.h"
#include "tidegate/server/jwt.h"

namespace tidegate::server {

/// A token that holds until it is taken out of the options.
struct StaticToken {
  std::string token{};  ///< 16 to 4,096 printable characters without spaces
  Role role = Role::admin;
  std::string subject = "admin";
  Claims claims{};  ///< for sync rules; `sub` is the subject, where it is not among them
};

struct AuthOptions {
  std::vector<StaticToken> tokens{};
  std::optional<JwtVerifier> jwt{};
  /// Whether a GET may show its token as `?access_token=…` or, as LakeSync's clients do, `?token=…`: for browsers'
  /// WebSocket and EventSource, which cannot send fields. The access log prints `***` for it, but a proxy's log may
  /// not.
  bool queryToken = false;
};

/// Reads `Authorization: Bearer …`. A request without it is `Role::anyone`.
/// @thread Immutable: any. What it throws never holds any part of what was shown.
class TokenAuthenticator final : public Authenticator {
 public:
  /// @throws Error{invalidConfig} for neither tokens nor JWT, a token that is too short, and one that is there twice.
  explicit TokenAuthenticator(AuthOptions options);
  /// @throws Error{authenticationFailed} for a token that does not hold, another scheme, and more than one token.
  Identity identify(const http::Request& request) const override;
  /// The same for a token that came another way, as the first message of a WebSocket.
  Identity identifyToken(std::string_view token) const;

 private:
  /// Of a static token only the digest is kept.
  struct Known {
    std::array<std::uint8_t, 32> digest{};
    Identity who{};
  };

  std::vector<Known> known_;
  std::optional<JwtVerifier> jwt_;
  bool queryToken_;
};

}  // namespace tidegate::server
