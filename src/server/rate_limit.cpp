#include "tidegate/server/rate_limit.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <mutex>
#include <utility>
#include <vector>

#include "gateway/detail/seeded_hash.h"
#include "tidegate/core/error.h"
#include "tidegate/http/message.h"

namespace tidegate::server {
namespace {

constexpr std::size_t kWays = 8;  ///< buckets that share a place: two cache lines
constexpr std::size_t kLocks = 64;
constexpr double kMostRate = 1'000'000;

void checkRate(const Rate& rate, const char* name) {
  const bool good = rate.perSecond >= 0 && rate.perSecond <= kMostRate && rate.burst >= 1 && rate.burst <= kMostRate;
  if (good && (rate.perSecond == 0 || rate.perSecond >= 0.001)) return;
  throw Error(
      ErrorCode::invalidConfig, Retry::never,
      std::string("RateLimitOptions::") + name + ": perSecond is 0, or 0.001 to 1,000,000; burst 1 to 1,000,000");
}

/// A token that names nobody is limited as itself. Only a hash of it is kept.
std::string peerOf(const http::Request& request, const Identity& who) {
  if (!who.subject.empty()) return who.subject;
  if (const std::string* field = request.headers.find("authorization")) return field->substr(field->rfind(' ') + 1);
  for (const char* name : {"access_token", "token"}) {
    if (auto token = http::queryParameter(request.query, name)) return *std::move(token);
  }
  return {};
}

/// The buckets of all peers. A bucket is the time at which it will be full again, so one whose time has passed may be
/// forgotten. Peers are told apart by a hash under a secret seed; two with the same share a bucket.
class Buckets {
 public:
  explicit Buckets(std::size_t entries)
      : places_(std::bit_ceil(std::max(entries, kWays)) / kWays), seed_(tidegate::detail::randomSeed()) {}

  /// @return how long until there is enough; nullopt where it was taken.
  std::optional<std::chrono::microseconds> take(std::string_view peer, const Rate& rate, double cost,
                                                Clock::Micros now) {
    const std::uint64_t hash = tidegate::detail::seededHash(peer, seed_) | 1;  // 0 is an empty place
    const std::size_t at = (hash >> 1) & (places_.size() - 1);
    const std::lock_guard lock(locks_[at % kLocks]);
    Bucket& bucket = find(places_[at], hash, now.count());
    const double interval = 1e6 / rate.perSecond;
    const double full = static_cast<double>(std::max<std::int64_t>(bucket.fullAt - now.count(), 0));
    const double after = full + interval * std::min(cost, rate.burst);
    const double most = interval * rate.burst;
    if (after > most + 0.5) return std::chrono::microseconds(static_cast<std::int64_t>(std::ceil(after - most)));
    bucket = {hash, now.count() + static_cast<std::int64_t>(std::ceil(after))};
    return std::nullopt;
  }

 private:
  struct Bucket {
    std::uint64_t peer = 0;
    std::int64_t fullAt = INT64_MIN;  ///< microseconds, steady
  };
  using Place = std::array<Bucket, kWays>;

  /// The peer's bucket, or the one that is lost with the least: a full one, else the one that will be full first.
  static Bucket& find(Place& place, std::uint64_t hash, std::int64_t now) {
    const auto own = std::find_if(place.begin(), place.end(), [&](const Bucket& b) { return b.peer == hash; });
    if (own != place.end()) return *own;
    Bucket& victim = *std::min_element(place.begin(), place.end(),
                                       [](const Bucket& a, const Bucket& b) { return a.fullAt < b.fullAt; });
    victim = {hash, now};
    return victim;
  }

  std::vector<Place> places_;
  std::uint64_t seed_;
  std::array<std::mutex, kLocks> locks_{};
};

}  // namespace

struct RateLimiter::Impl {
  explicit Impl(RateLimitOptions given)
      : options(std::move(given)),
        clock(options.clock ? *options.clock : systemClock()),
        clients(options.entries),
        addresses(options.entries) {}

  std::optional<std::chrono::milliseconds> take(Buckets& from, const Rate& rate, std::string_view peer, double cost,
                                                std::atomic<std::uint64_t>& refused) {
    if (rate.perSecond == 0) return std::nullopt;
    const auto pause = from.take(peer, rate, std::max(cost, 0.0), clock.steadyNow());
    if (!pause) return std::nullopt;
    refused.fetch_add(1, std::memory_order_relaxed);
    return std::chrono::ceil<std::chrono::milliseconds>(*pause);
  }

  const RateLimitOptions options;
  const Clock& clock;
  Buckets clients;
  Buckets addresses;
  std::atomic<std::uint64_t> admitted{0}, refusedClients{0}, refusedAddresses{0};
};

RateLimiter::RateLimiter(RateLimitOptions options) {
  checkRate(options.perClient, "perClient");
  checkRate(options.perAddress, "perAddress");
  if (options.entries < 1024 || options.entries > (1u << 24)) {
    throw Error(ErrorCode::invalidConfig, Retry::never, "RateLimitOptions::entries: 1,024 to 2^24");
  }
  impl_ = std::make_unique<Impl>(std::move(options));
}

RateLimiter::~RateLimiter() = default;

std::optional<std::chrono::milliseconds> RateLimiter::takeForClient(std::string_view subject, double cost) {
  return impl_->take(impl_->clients, impl_->options.perClient, subject, cost, impl_->refusedClients);
}

std::optional<std::chrono::milliseconds> RateLimiter::takeForAddress(std::string_view address, double cost) {
  return impl_->take(impl_->addresses, impl_->options.perAddress, http::addressGroup(address), cost,
                     impl_->refusedAddresses);
}

ApiOptions RateLimiter::limit(ApiOptions options) {
  options.admitAddress = [self = shared_from_this()](const http::Request& request) {
    const auto& addressOf = self->impl_->options.addressOf;
    return self->takeForAddress(addressOf ? addressOf(request) : request.remoteAddress);
  };
  options.admit = [self = shared_from_this()](const http::Request& request,
                                              const Identity& who) -> std::optional<std::chrono::milliseconds> {
    const bool free = who.role == Role::anyone || (who.role == Role::admin && !self->impl_->options.limitAdmins);
    auto pause = free ? std::nullopt : self->takeForClient(peerOf(request, who));
    if (!pause) self->impl_->admitted.fetch_add(1, std::memory_order_relaxed);
    return pause;
  };
  return options;
}

RateLimitStats RateLimiter::stats() const {
  return {impl_->admitted.load(), impl_->refusedClients.load(), impl_->refusedAddresses.load()};
}

}  // namespace tidegate::server
