/// Callers for tests: a token is its role.
#pragma once

#include <string_view>

#include "tidegate/core/error.h"
#include "tidegate/server/identity.h"

namespace tidegate::server::test {

/// "Bearer client" and "Bearer admin".
class TokenIsRole final : public Authenticator {
 public:
  Identity identify(const http::Request& request) const override {
    const std::string_view shown = request.headers.get("authorization");
    if (shown.empty()) return {};
    if (shown == "Bearer client") return {.role = Role::client, .subject = "c"};
    if (shown == "Bearer admin") return {.role = Role::admin, .subject = "a"};
    throw Error(ErrorCode::authenticationFailed, Retry::never, "the token does not hold");
  }
};

}  // namespace tidegate::server::test
