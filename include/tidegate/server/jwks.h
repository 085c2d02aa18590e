/// The keys of an issuer, from where it publishes them (RFC 7517), kept and fetched again.
///
///     auto keys = std::make_shared<Jwks>(JwksOptions{.url = "https://login.example.org/.well-known/jwks.json"});
///     keys->start();
///     JwtVerifier verifier({.issuer = "https://login.example.org", .audiences = {"sync"}}, keys);
///
/// Fetching happens on a thread of its own: a request never waits for another server. A token whose key is not known
/// has them fetched again soon, but not more often than `unknownKeyPause`.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/clock.h"
#include "tidegate/server/jwt.h"

namespace tidegate::server {

struct JwksOptions {
  std::string url{};   ///< https; or:
  std::string file{};  ///< read again when it has changed; may hold secrets ("oct"), which a URL's may not
  bool allowHttp = false;
  /// Otherwise a host whose address is private, loopback, link-local or multicast is not asked.
  bool allowPrivateAddresses = false;
  std::string authorityFile{};               ///< PEM; empty: the system's
  std::chrono::seconds age{600};             ///< kept so long where the answer names no `max-age`
  std::chrono::seconds leastAge{60};         ///< and never fetched again before, whatever the answer says
  std::chrono::seconds mostAge{86'400};      ///< nor later
  std::chrono::seconds unknownKeyPause{30};  ///< between two fetches for unknown keys
  std::chrono::seconds failurePause{10};     ///< after a failure; doubled each time, up to `leastAge`
  /// How long keys are believed that could not be fetched again; then nobody comes in.
  std::chrono::seconds staleFor{86'400};
  std::chrono::milliseconds timeout{5'000};
  std::size_t maxBytes = 256u << 10;
  std::size_t maxKeys = 64;
  const Clock* clock = nullptr;    ///< null: the system's
  Scheduler* scheduler = nullptr;  ///< null: the system's
};

struct JwksStatus {
  std::size_t keys = 0;
  std::uint64_t fetches = 0;   ///< tried
  std::uint64_t failures = 0;  ///< of them
  std::string lastError{};     ///< empty after a success
};

/// @thread Any.
class Jwks final : public JwtKeys {
 public:
  /// Reads nothing yet. @throws Error{invalidConfig} for options that cannot work.
  explicit Jwks(JwksOptions options);
  /// Ends its thread.
  ~Jwks() override;
  Jwks(const Jwks&) = delete;
  Jwks& operator=(const Jwks&) = delete;

  /// Starts the thread that fetches. Once.
  void start();
  /// Fetches now if it is time; for hosts that drive it themselves instead of `start`. A failure is logged and kept in
  /// the status. @return how long until it may be time again.
  std::chrono::microseconds refresh(std::stop_token stop = {});
  JwksStatus status() const;

  /// @throws Error{storeUnavailable, Retry::later} before the first success, and once the keys are too old.
  std::vector<JwtKey> find(JwtAlgorithm algorithm, std::string_view id) const override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidegate::server
