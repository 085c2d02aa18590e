/// Who asks: decided once for every transport, from what a request shows.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "tidegate/core/clock.h"
#include "tidegate/gateway/messages.h"
#include "tidegate/http/message.h"

namespace tidegate::server {

/// What a caller may do; each one may do what the one before it may.
enum class Role { anyone, client, admin };

/// A caller, as an authenticator found it.
/// @thread A value type.
struct Identity {
  Role role = Role::anyone;
  std::string subject{};  ///< whom the token names; for logs and limits, never a secret
  Claims claims{};        ///< what sync rules are filled in with
  /// Until when this holds, by the wall clock: what a long answer (WebSocket, event stream) must not outlive. nullopt:
  /// for ever.
  std::optional<Clock::Micros> until{};
};

/// Tells from a request's fields who sent it. One that shows nothing is `Role::anyone`.
/// @thread Called on any thread of the server; must not block.
/// @throws Error{authenticationFailed} for something shown that does not hold. The message says why, not what.
class Authenticator {
 public:
  virtual ~Authenticator() = default;
  virtual Identity identify(const http::Request& request) const = 0;
};

}  // namespace tidegate::server
