#include "tidegate/server/jwks.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <utility>

#include "server/detail/jwks_impl.h"
#include "tidegate/core/error.h"

namespace tidegate::server {
namespace {

/// A file is cheap to look at.
constexpr std::chrono::seconds kFileAge{5};

JwksOptions checkedJwks(JwksOptions options) {
  const auto bad = [](const std::string& why) {
    return Error(ErrorCode::invalidConfig, Retry::never, "JwksOptions::" + why);
  };
  if (options.url.empty() == options.file.empty()) throw bad("url, file: give one of the two");
  const bool https = options.url.starts_with("https://"), http = options.url.starts_with("http://");
  if (!options.url.empty() && !https && !(http && options.allowHttp)) {
    throw bad("url: needs https; over http anyone between could put keys of their own in");
  }
  for (const auto time : {options.age, options.leastAge, options.mostAge, options.unknownKeyPause, options.failurePause,
                          options.staleFor}) {
    if (time.count() <= 0 || time.count() > 31'536'000) throw bad("age, …: times are 1 second to a year");
  }
  if (options.leastAge > options.mostAge) throw bad("leastAge: at most mostAge");
  if (options.timeout.count() <= 0 || options.maxBytes == 0 || options.maxKeys == 0) {
    throw bad("timeout, maxBytes, maxKeys: more than zero");
  }
  if (!options.file.empty()) options.age = options.leastAge = options.mostAge = kFileAge;
  return options;
}

}  // namespace

Jwks::Impl::Impl(JwksOptions given)
    : options(checkedJwks(std::move(given))),
      clock(options.clock ? *options.clock : systemClock()),
      scheduler(options.scheduler ? *options.scheduler : systemScheduler()),
      schedule(options) {
  if (options.url.empty()) return;
  http::ClientOptions http;
  http.authorityFile = options.authorityFile;
  http.connectTimeout = options.timeout;
  http.publicAddressesOnly = !options.allowPrivateAddresses;
  http.connections = 1;
  client.emplace(std::move(http));
}

Jwks::Impl::Fetched Jwks::Impl::parse(std::string_view text, bool secrets) const {
  std::vector<std::string> refused;
  Fetched fetched{.keys = jwtKeySet(text, secrets, &refused, options.maxKeys)};
  for (const std::string& why : refused) spdlog::warn("jwks: {}", redactSecrets(why));
  if (fetched.keys.empty()) {
    throw Error(ErrorCode::parseError, Retry::later, "the key set holds no key that can be used; the old ones stay");
  }
  return fetched;
}

Jwks::Impl::Fetched Jwks::Impl::fetchUrl(const std::stop_token& stop) {
  http::ClientRequest request{.url = options.url, .timeout = options.timeout, .maxBodyBytes = options.maxBytes};
  request.headers.add("accept", "application/jwk-set+json, application/json");
  const http::Response answer = client->perform(request, stop);
  if (answer.status != 200) {
    throw Error(ErrorCode::connectionFailed, Retry::later,
                "the key set's server answered " + std::to_string(answer.status) + "; redirects are not followed");
  }
  Fetched fetched = parse(answer.body, false);
  fetched.age = detail::cacheAge(answer.headers.get("cache-control"));
  return fetched;
}

Jwks::Impl::Fetched Jwks::Impl::readFile() const {
  std::ifstream file(options.file, std::ios::binary);
  std::string text(options.maxBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  if (file.bad() || text.empty()) {
    throw Error(ErrorCode::storeUnavailable, Retry::afterOperator, "key file " + options.file + " cannot be read");
  }
  if (text.size() > options.maxBytes) {
    throw Error(ErrorCode::parseError, Retry::afterOperator, "key file " + options.file + " is larger than maxBytes");
  }
  return parse(text, true);
}

Jwks::Impl::Fetched Jwks::Impl::fetch(const std::stop_token& stop) {
  return options.url.empty() ? readFile() : fetchUrl(stop);
}

std::chrono::microseconds Jwks::Impl::refresh(const std::stop_token& stop) {
  const std::lock_guard one(fetching);
  {
    const std::lock_guard lock(mutex);
    if (now() < schedule.due()) return schedule.due() - now();
    ++status.fetches;
  }
  std::string failure;
  Fetched fetched;
  try {
    fetched = fetch(stop);
  } catch (const std::exception& e) {
    failure = redactSecrets(e.what());
    if (!stop.stop_requested()) spdlog::warn("jwks: {}", failure);
  }
  const std::lock_guard lock(mutex);
  status.lastError = failure;
  if (failure.empty()) {
    status.keys = fetched.keys.size();
    keys = FixedJwtKeys(std::move(fetched.keys));
    schedule.succeeded(now(), fetched.age);
  } else {
    ++status.failures;
    schedule.failed(now());
  }
  return schedule.due() - now();
}

void Jwks::Impl::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::stop_source wait;
    {
      const std::lock_guard lock(mutex);
      waiting = wait;
    }
    const std::stop_callback onStop(stop, [&wait] { wait.request_stop(); });
    const auto pause = refresh(stop);
    scheduler.waitFor(std::max(pause, std::chrono::microseconds(0)), wait.get_token());
  }
}

Jwks::Jwks(JwksOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Jwks::~Jwks() = default;

void Jwks::start() {
  if (impl_->thread.joinable()) throw Error(ErrorCode::invalidArgument, Retry::never, "Jwks was started already");
  impl_->thread = std::jthread([impl = impl_.get()](std::stop_token stop) { impl->run(stop); });
}

std::chrono::microseconds Jwks::refresh(std::stop_token stop) { return impl_->refresh(stop); }

JwksStatus Jwks::status() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->status;
}

std::vector<JwtKey> Jwks::find(JwtAlgorithm algorithm, std::string_view id) const {
  std::optional<std::stop_source> wake;
  std::vector<JwtKey> found;
  {
    const std::lock_guard lock(impl_->mutex);
    if (!impl_->schedule.fresh(impl_->now())) {
      throw Error(ErrorCode::storeUnavailable, Retry::later,
                  "the keys that tokens are signed with could not be fetched yet; ask again later");
    }
    found = impl_->keys.find(algorithm, id);
    if (found.empty() && impl_->schedule.keyUnknown(impl_->now())) wake = impl_->waiting;
  }
  if (wake) wake->request_stop();  // outside the lock: whoever waits goes on at once
  return found;
}

}  // namespace tidegate::server
