/// Tries every operation of an Api as every kind of caller, over the network: what is added to the table is tried by
/// itself.
///
///     AccessMatrix matrix;                       // issuers, keys, tokens
///     http::Server server({}, api.handler(matrix.authenticator()));
///     server.start();
///     matrix.tryAll(api, server.url());          // expectations inside
///
/// A caller that may not is 401 (not known) or 403 (known, but not allowed), and says `WWW-Authenticate` with 401. One
/// that may is anything but these two, as its parameters are invented. An operation with `{gateway}` in its path is
/// also tried with a client of another gateway: 403, or 404 where it hides which gateways there are.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "server/jwt_signer.h"
#include "support/manual_clock.h"
#include "tidegate/http/client.h"
#include "tidegate/server/api.h"
#include "tidegate/server/auth.h"

namespace tidegate::server::test {

class AccessMatrix {
 public:
  enum class Expect { unknown, forbidden, allowed, otherGateway };

  /// @param gateway the name that `{gateway}` gets, and that clients' tokens carry as "gw".
  explicit AccessMatrix(std::string gateway = "g1") : gateway_(std::move(gateway)) {}

  std::shared_ptr<const TokenAuthenticator> authenticator() const {
    auto keys = std::make_shared<FixedJwtKeys>(
        std::vector{JwtKey::secret(signers().secret), JwtKey::jwk(signers().ec.publicJwk())});
    return std::make_shared<TokenAuthenticator>(
        AuthOptions{.tokens = {{.token = kAdminToken}}, .jwt = JwtVerifier({.clock = &clock_}, std::move(keys))});
  }

  /// Tokens by name, for what a test wants to ask itself.
  std::string clientToken(const std::string& gateway) const {
    return makeToken("ES256", R"({"sub":"client-1","gw":")" + gateway + R"(","exp":1700003600})");
  }
  std::string adminToken() const { return kAdminToken; }
  /// By which the tokens hold: what ends with them needs it too.
  const Clock& clock() const { return clock_; }

  /// @return how many requests were made.
  std::size_t tryAll(const Api& api, const std::string& url) {
    const auto document = nlohmann::json::parse(api.openApi());
    std::size_t described = 0;
    for (const auto& path : document["paths"]) described += path.size();
    EXPECT_EQ(described, api.operations().size()) << "the document and the table differ";
    std::size_t asked = 0;
    for (const Operation& operation : api.operations()) {
      for (const Caller& caller : callers()) {
        const bool scoped = operation.pattern.find("{gateway}") != std::string::npos;
        if (caller.elsewhere && !scoped) continue;
        tryOne(operation, caller, url);
        ++asked;
      }
    }
    return asked;
  }

 private:
  static constexpr const char* kAdminToken = "the-admin-token-of-the-access-matrix";

  struct Caller {
    std::string name;
    std::string field;  ///< Authorization; empty: none
    Role role = Role::anyone;
    bool broken = false;  ///< what it shows does not hold
    bool elsewhere = false;
  };

  std::vector<Caller> callers() const {
    const std::string client = clientToken(gateway_);
    const std::string admin =
        makeToken("HS256", R"({"sub":"a","role":"admin","gw":")" + gateway_ + R"(","exp":1700003600})");
    const std::string expired = makeToken("ES256", R"({"sub":"c","role":"admin","exp":1600000000})");
    const std::string unsignedAdmin =
        base64Url(R"({"alg":"none"})") + '.' + base64Url(R"({"sub":"a","role":"admin","exp":1700003600})") + '.';
    // The public key as a secret.
    const std::string text =
        base64Url(R"({"alg":"HS256"})") + '.' + base64Url(R"({"sub":"a","role":"admin","exp":1700003600})");
    const std::string confused = text + '.' + base64Url(hmacSha256(signers().ec.publicPem(), text));
    return {{"no token", "", Role::anyone},
            {"a forged token", "Bearer " + client.substr(0, client.size() - 8) + "AAAAAAAA", Role::anyone, true},
            {"an unsigned token", "Bearer " + unsignedAdmin, Role::anyone, true},
            {"a token signed with a public key", "Bearer " + confused, Role::anyone, true},
            {"an expired token", "Bearer " + expired, Role::anyone, true},
            {"a wrong static token", std::string("Bearer ") + kAdminToken + "x", Role::anyone, true},
            {"another scheme", "Basic YWRtaW46YWRtaW4=", Role::anyone, true},
            {"a client", "Bearer " + client, Role::client},
            {"a client of another gateway", "Bearer " + clientToken("elsewhere"), Role::client, false, true},
            {"an admin with a JWT", "Bearer " + admin, Role::admin},
            {"an admin with the static token", std::string("Bearer ") + kAdminToken, Role::admin}};
  }

  Expect expected(const Operation& operation, const Caller& caller) const {
    // Something that does not hold is refused even where nothing is needed: a client must learn of it.
    if (caller.broken || caller.role == Role::anyone) {
      return caller.broken || operation.role != Role::anyone ? Expect::unknown : Expect::allowed;
    }
    if (caller.role < operation.role) return Expect::forbidden;
    return caller.elsewhere && operation.role != Role::anyone ? Expect::otherGateway : Expect::allowed;
  }

  /// The pattern with invented parameters.
  std::string pathOf(const std::string& pattern) const {
    std::string path;
    for (std::size_t at = 0; at < pattern.size(); ++at) {
      if (pattern[at] != '{') {
        path += pattern[at];
        continue;
      }
      const std::size_t end = pattern.find('}', at);
      path += pattern.substr(at + 1, end - at - 1) == "gateway" ? gateway_ : "no-such";
      at = end;
    }
    return path;
  }

  void tryOne(const Operation& operation, const Caller& caller, const std::string& url) {
    http::ClientRequest request;
    request.method = operation.method;
    request.url = url + pathOf(operation.pattern);
    request.timeout = std::chrono::seconds(10);
    if (!operation.body.empty()) {
      request.body = "{}";
      request.headers.add("content-type", operation.bodyType);
    }
    if (!caller.field.empty()) request.headers.add("authorization", caller.field);
    int status = 0;
    bool challenged = false;
    const auto onHead = [&](const http::Response& head) {
      status = head.status;
      challenged = head.headers.has("www-authenticate");
      return false;  // event streams never end
    };
    try {
      client_.stream(request, onHead, {});
    } catch (const Error& e) {
      if (status == 0) ADD_FAILURE() << e.what();
    }
    const std::string what =
        operation.method + " " + operation.pattern + " as " + caller.name + ": " + std::to_string(status);
    switch (expected(operation, caller)) {
      case Expect::unknown:
        EXPECT_TRUE(status == 401 && challenged) << what << ", expected 401 with WWW-Authenticate";
        break;
      case Expect::forbidden:
        EXPECT_EQ(status, 403) << what;
        break;
      case Expect::otherGateway:
        EXPECT_TRUE(status == 403 || status == 404) << what << ", expected 403 or 404";
        break;
      case Expect::allowed:
        EXPECT_TRUE(status != 0 && status != 401 && status != 403) << what << ", expected to be let in";
    }
  }

  std::string gateway_;
  tidegate::test::ManualClock clock_{};
  http::Client client_{};
};

}  // namespace tidegate::server::test
