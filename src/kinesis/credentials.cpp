#include "tidegate/kinesis/credentials.h"

#include <fmt/format.h>

#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "kinesis/detail/credential_sources.h"
#include "tidegate/core/error.h"

namespace tidegate::kinesis {
namespace {

class StaticCredentials final : public CredentialsProvider {
 public:
  explicit StaticCredentials(Credentials credentials) : credentials_(std::move(credentials)) {}
  Credentials get(std::stop_token) override { return credentials_; }

 private:
  const Credentials credentials_;
};

/// Keeps what the chain gave until shortly before it expires. Who asks meanwhile waits for the one that is under way.
class CredentialsChain final : public CredentialsProvider {
 public:
  explicit CredentialsChain(CredentialsOptions options)
      : options_(std::move(options)),
        clock_(options_.clock != nullptr ? *options_.clock : systemClock()),
        client_({.connectTimeout = options_.timeout, .acceptCompressed = false}) {}

  Credentials get(std::stop_token stop) override {
    const std::lock_guard lock(mutex_);
    const Clock::Micros now = clock_.wallNow();
    if (kept_ && !refused_ && (!kept_->expires || *kept_->expires - options_.before > now)) return *kept_;
    try {
      kept_ = ask(stop);
      refused_ = false;
    } catch (const Error& e) {
      // Keys that are still good outlast a metadata service that is away for a moment.
      if (!kept_ || refused_ || !kept_->expires || *kept_->expires <= now || e.code() == ErrorCode::queryCancelled)
        throw;
    }
    return *kept_;
  }

  void refused() override {
    const std::lock_guard lock(mutex_);
    refused_ = true;
  }

 private:
  Credentials ask(const std::stop_token& stop) {
    const detail::Profile profile = detail::sharedProfile(options_);
    const detail::Profile none;
    std::string tried;
    const std::vector<std::pair<const char*, std::function<std::optional<Credentials>()>>> places{
        {"the environment", [] { return detail::environmentKeys(); }},
        {"web identity", [&] { return detail::webIdentityKeys(client_, options_, none, stop); }},
        {"the profile", [&] { return detail::profileKeys(options_, profile); }},
        {"the profile's web identity", [&] { return detail::webIdentityKeys(client_, options_, profile, stop); }},
        {"the container", [&] { return detail::containerKeys(client_, options_, stop); }},
        {"the instance", [&] { return instance(stop); }},
    };
    for (const auto& [name, keys] : places) {
      if (auto found = keys()) return std::move(*found);
      tried += tried.empty() ? name : fmt::format(", {}", name);
    }
    throw Error(
        ErrorCode::authenticationFailed, Retry::afterOperator,
        fmt::format("there are no AWS keys (tried: {}). Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a "
                    "profile that has keys, or give a role to the machine",
                    tried));
  }
  /// The last place: where nobody answers there is no instance.
  std::optional<Credentials> instance(const std::stop_token& stop) {
    try {
      return detail::instanceKeys(client_, options_, stop);
    } catch (const Error& e) {
      if (e.code() == ErrorCode::connectionFailed && !kept_) return std::nullopt;
      throw;
    }
  }

  const CredentialsOptions options_;
  const Clock& clock_;
  std::mutex mutex_;
  http::Client client_;  ///< guarded by mutex_, as all below
  std::optional<Credentials> kept_;
  bool refused_ = false;
};

}  // namespace

std::shared_ptr<CredentialsProvider> staticCredentials(Credentials credentials) {
  if (credentials.accessKeyId.empty() || credentials.secretAccessKey.empty()) {
    throw Error(ErrorCode::invalidConfig, Retry::never,
                "kinesis::staticCredentials: accessKeyId and secretAccessKey must not be empty");
  }
  return std::make_shared<StaticCredentials>(std::move(credentials));
}

std::shared_ptr<CredentialsProvider> defaultCredentials(CredentialsOptions options) {
  return std::make_shared<CredentialsChain>(std::move(options));
}

}  // namespace tidegate::kinesis
