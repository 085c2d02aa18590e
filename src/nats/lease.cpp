#include "tidegate/nats/lease.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <random>

#include "core/detail/json_tree.h"
#include "nats/detail/kv.h"
#include "tidegate/core/json.h"

namespace tidegate::nats {
namespace {

using tidegate::detail::JsonTree;

constexpr std::chrono::milliseconds kLeastDuration{100};
/// A lease that claims to last longer is not one that this library wrote.
constexpr std::uint64_t kLongestMs = 1'000ULL * 86'400 * 365;

std::string randomHolder() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}", device(), device());
}

void checkLease(const LeaseOptions& options) {
  detail::checkBucket(options.bucket, "nats::Lease");
  const auto refuse = [](const char* why) {
    throw Error(ErrorCode::invalidConfig, Retry::never, std::string("nats::Lease: ") + why);
  };
  if (options.name.empty()) refuse("it needs a name");
  if (options.duration < kLeastDuration) refuse("duration must be at least 100 ms");
}

/// A request that takes longer than the lease lasts is of no use.
ConnectOptions quickly(const LeaseOptions& options) {
  ConnectOptions connect = options.connect;
  connect.requestTimeout =
      std::min(connect.requestTimeout, std::max(options.duration / 3, std::chrono::milliseconds(50)));
  connect.retryFor = std::min(connect.retryFor, options.duration / 3);
  return connect;
}

}  // namespace

struct Lease::Impl {
  explicit Impl(LeaseOptions o) : options(std::move(o)), key(detail::Kv::keyOf(options.name)) {
    const std::string instance = randomHolder();
    if (options.holder.empty()) options.holder = instance;
    value = R"({"holder":)";
    appendJsonString(options.holder, value);
    value += fmt::format(R"(,"instance":"{}","durationMs":{}}})", instance, options.duration.count());
    detail::Connection patient(options.connect);
    detail::JetStream making(patient);
    detail::Kv(making, options.bucket, options.stream);
    connection.emplace(quickly(options));
    js.emplace(*connection);
    kv.emplace(*js, options.bucket, options.stream);
  }

  std::chrono::microseconds now() const { return connection->clock().steadyNow(); }
  bool heldNow() const { return token != 0 && now() < validUntil; }

  /// Writes our name over revision `before`. @return the new one; nullopt: it was no longer the last.
  std::optional<std::uint64_t> write(std::uint64_t before) { return kv->putIf({.key = key, .value = value}, before); }

  /// A write that succeeded counts from when it was sent: others may have seen it since then.
  bool take(std::uint64_t before) {
    const auto sent = now();
    const auto written = write(before);
    if (!written) return false;
    const std::lock_guard lock(state);
    token = revision = *written;
    validUntil = sent + options.duration;
    return heldNow();
  }

  bool renew() {
    const auto sent = now();
    auto written = write(revision);
    if (!written) {
      // A renewal whose answer was lost may be what is there.
      const auto entry = kv->get(key);
      if (entry && entry->value == value) written = write(entry->revision);
    }
    const std::lock_guard lock(state);
    if (written) revision = *written;
    validUntil = written ? sent + options.duration : std::chrono::microseconds(0);
    return heldNow();
  }

  /// How long a lease that somebody else wrote lasts.
  std::chrono::milliseconds durationOf(const detail::KvEntry& entry) const {
    try {
      const JsonTree tree(entry.value);
      const std::uint64_t told = tree.root().member("durationMs").uint64();
      return std::chrono::milliseconds(static_cast<std::int64_t>(std::min(told, kLongestMs)));
    } catch (const Error&) {
      return options.duration;  // not of ours
    }
  }

  bool mayTake(const std::optional<detail::KvEntry>& entry) {
    if (!entry || entry->erased) return true;
    if (entry->revision != seenRevision) {
      seenRevision = entry->revision;
      seenAt = now();
      return false;
    }
    return now() - seenAt >= durationOf(*entry);
  }

  LeaseOptions options;
  const std::string key;
  std::string value{};  ///< what we write; nobody else writes the same
  std::optional<detail::Connection> connection;
  std::optional<detail::JetStream> js;
  std::optional<detail::Kv> kv;

  mutable std::mutex mutex;  ///< of the calls that ask the server
  mutable std::mutex state;  ///< of what follows
  std::uint64_t token = 0;
  std::uint64_t revision = 0;
  std::chrono::microseconds validUntil{0};
  std::uint64_t seenRevision = 0;  ///< of somebody else's lease, and since when; under `mutex`
  std::chrono::microseconds seenAt{0};
};

Lease::Lease(LeaseOptions options) {
  checkLease(options);
  impl_ = std::make_unique<Impl>(std::move(options));
}

Lease::~Lease() { release(); }

bool Lease::tryTake() {
  const std::lock_guard lock(impl_->mutex);
  if (held()) return true;
  const auto entry = impl_->kv->get(impl_->key);
  if (!impl_->mayTake(entry)) return false;
  return impl_->take(entry ? entry->revision : 0);
}

bool Lease::take(std::stop_token stop) {
  const auto pause = std::max(impl_->options.duration / 10, std::chrono::milliseconds(10));
  while (!stop.stop_requested()) {
    try {
      if (tryTake()) return true;
    } catch (const Error& e) {
      if (e.code() != ErrorCode::connectionFailed) throw;
    }
    if (!impl_->connection->scheduler().waitFor(pause, stop)) break;
  }
  return false;
}

bool Lease::renew() {
  const std::lock_guard lock(impl_->mutex);
  if (!held()) return false;
  return impl_->renew();
}

bool Lease::held() const {
  const std::lock_guard lock(impl_->state);
  return impl_->heldNow();
}

std::uint64_t Lease::token() const {
  const std::lock_guard lock(impl_->state);
  return impl_->token;
}

void Lease::release() noexcept {
  const std::lock_guard lock(impl_->mutex);
  try {
    if (held()) impl_->kv->putIf({.key = impl_->key, .erase = true}, impl_->revision);
  } catch (...) {  // it lapses by itself
  }
  const std::lock_guard state(impl_->state);
  impl_->validUntil = std::chrono::microseconds(0);
}

}  // namespace tidegate::nats
