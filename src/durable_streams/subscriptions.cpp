#include "durable_streams/detail/subscriptions.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/detail/octet_text.h"
#include "durable_streams/detail/protocol.h"
#include "durable_streams/detail/webhook_url.h"
#include "tidegate/core/error.h"
#include "tidegate/core/value.h"

namespace tidegate::durable_streams::detail {

namespace {

constexpr std::string_view kKeyNote = "webhook-key/";
constexpr std::string_view kTokenNote = "wake-token-key";
/// Paths whose followers are remembered.
constexpr std::size_t kMostRemembered = 100'000;
constexpr std::chrono::hours kTokenLife{1};

std::uint64_t seedOr(std::uint64_t seed) {
  if (seed != 0) return seed;
  std::random_device random;
  return (std::uint64_t{random()} << 32) | random();
}

/// Named, because g++ 12 warns of a temporary in the constructor's list that it takes for uninitialised.
http::ClientOptions webhookClient(bool local) {
  http::ClientOptions options;
  options.userAgent = "tidegate-streams";
  // The URL was judged by its text alone; where its name leads is only known when it is called.
  options.publicAddressesOnly = !local;
  return options;
}

}  // namespace

Subscriptions::Subscriptions(const DurableStreamServerOptions& options, const Clock& clock)
    : options_(options),
      store_(*options.store),
      clock_(clock),
      jitter_(seedOr(options.seed)),
      client_(webhookClient(options.subscriptions.localWebhooks)) {
  std::vector<std::pair<std::string, std::string>> keys;
  std::string tokenKey;
  const auto notes = store_.notes();
  for (const auto& [key, value] : notes) {
    if (key.starts_with(kKeyNote)) keys.emplace_back(key, value);
    if (key == kTokenNote) tokenKey = value;
  }
  std::sort(keys.begin(), keys.end());
  for (auto& [key, value] : keys) {
    if (auto signing = signingKeyFrom(value)) keys_.push_back(std::move(*signing));
  }
  all_ = subscriptionsFrom(notes);
  count_ = all_.size();
  if (tokenKey.empty()) {
    tokenKey = randomOctets(32);
    store_.putNote(kTokenNote, tokenKey, {});
  }
  tokens_ = std::make_unique<WakeTokens>(tokenKey);
  if (keys_.empty()) rotateKey();
  SubscriptionWork work;
  for (auto& [id, subscription] : all_) {
    // Data came, and the process ended before anyone was told.
    if (subscription.idle()) wakeIfPending(subscription, work);
    // A delivery of an earlier process may have failed with it.
    if (!subscription.wakeId.empty() && subscription.config.webhook && !subscription.leaseUntil)
      toDeliver_.push_back(id);
  }
  finish(std::move(work));
  thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
}

Subscriptions::~Subscriptions() { stop(); }

void Subscriptions::stop() {
  thread_.request_stop();
  client_.wake();
  if (thread_.joinable()) thread_.join();
}

void Subscriptions::rotateKey() {
  SigningKey key = makeSigningKey();
  const std::lock_guard guard(mutex_);
  // In the order of their making, so that the last one signs after a restart too.
  std::string number = std::to_string(keys_.size());
  number.insert(0, 8 - std::min<std::size_t>(8, number.size()), '0');
  store_.putNote(std::string(kKeyNote) + number, key.secret, {});
  keys_.push_back(std::move(key));
}

void Subscriptions::finish(SubscriptionWork&& work) {
  if (work.deliveries) client_.wake();
  for (const auto& [stream, event] : work.wakeEvents) {
    store_.append(stream, {.contentType = "application/json", .body = event}, {});
  }
  StreamDone told;
  if (work.reply) {
    auto response = std::make_shared<http::Response>(std::move(work.response));
    told = [reply = std::move(work.reply), response](const StreamResult& result) {
      if (result.verdict == Verdict::done) return reply(std::move(*response));
      reply(refusal(503, result.message));
    };
  }
  if (work.notes.empty()) {
    if (told) told({.verdict = Verdict::done});
    return;
  }
  // Notes are durable in the order in which they are put.
  const auto last = std::move(work.notes.back());
  work.notes.pop_back();
  for (const auto& [key, value] : work.notes) store_.putNote(key, value, {});
  store_.putNote(last.first, last.second, std::move(told));
}

const std::vector<std::string>& Subscriptions::followersOf(const std::string& path) {
  const auto known = followers_.find(path);
  if (known != followers_.end()) return known->second;
  if (followers_.size() >= kMostRemembered) followers_.clear();
  std::vector<std::string> ids;
  for (const auto& [id, s] : all_) {
    const bool matches = !s.config.pattern.empty() && globMatches(s.config.pattern, path);
    if (matches || s.links.contains(path)) ids.push_back(id);
  }
  return followers_.emplace(path, std::move(ids)).first->second;
}

void Subscriptions::appended(std::string_view path) {
  if (count_.load(std::memory_order_relaxed) == 0) return;
  SubscriptionWork work;
  {
    const std::lock_guard guard(mutex_);
    const std::string key(path);
    const auto ids = followersOf(key);
    for (const std::string& id : ids) {
      Subscription& s = all_.at(id);
      if (!s.config.pattern.empty() && globMatches(s.config.pattern, path)) link(s, key, false, std::nullopt, work);
      const auto followed = s.links.find(key);
      if (followed == s.links.end()) continue;
      if (followed->second.acked > std::optional(tailOf(key))) {
        // The stream expired and was made anew: what was acknowledged is another one's.
        followed->second.acked.reset();
        work.notes.emplace_back(linkKey(id, key), linkNote(followed->second));
      }
      if (s.idle()) wake(s, key, work);
    }
  }
  finish(std::move(work));
}

void Subscriptions::removed(std::string_view path) {
  if (count_.load(std::memory_order_relaxed) == 0) return;
  SubscriptionWork work;
  {
    const std::lock_guard guard(mutex_);
    const std::string key(path);
    for (auto& [id, s] : all_) {
      if (s.links.erase(key) > 0) work.notes.emplace_back(linkKey(id, key), "");
    }
    followers_.erase(key);
  }
  finish(std::move(work));
}

Position Subscriptions::tailOf(const std::string& path) const { return store_.head(path).stream.tail; }

bool Subscriptions::isPending(const std::string& path, const SubscriptionLink& link) const {
  const Position tail = tailOf(path);
  return link.acked ? tail > *link.acked : tail > 0;
}

void Subscriptions::link(Subscription& s, const std::string& path, bool listed, std::optional<Position> acked,
                         SubscriptionWork& work) {
  auto at = s.links.find(path);
  if (at == s.links.end()) {
    if (s.links.size() >= options_.subscriptions.streamsPerSubscription) return;
    at = s.links.emplace(path, SubscriptionLink{.acked = acked}).first;
  } else if (listed ? at->second.listed : at->second.glob) {
    return;
  }
  (listed ? at->second.listed : at->second.glob) = true;
  work.notes.emplace_back(linkKey(s.id, path), linkNote(at->second));
}

void Subscriptions::keep(const Subscription& s, SubscriptionWork& work) {
  work.notes.emplace_back(subscriptionKey(s.id), subscriptionNote(s));
}

void Subscriptions::wake(Subscription& s, const std::string& path, SubscriptionWork& work) {
  ++s.generation;
  s.wakeId = "w_" + tidegate::detail::hexOf(randomOctets(12));
  s.snapshot.clear();
  for (const auto& [linked, link] : s.links) s.snapshot.emplace(linked, tailOf(linked));
  if (s.config.webhook) {
    s.leaseUntil = clock_.wallNow() + s.config.lease;
    toDeliver_.push_back(s.id);
    work.deliveries = true;
  } else {
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.wallNow());
    const Json event = {{"type", "wake"},
                        {"subscription_id", s.id},
                        {"stream", path},
                        {"generation", s.generation},
                        {"ts", now.count()}};
    work.wakeEvents.emplace_back(s.config.wakeStream, event.dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  keep(s, work);
}

bool Subscriptions::wakeIfPending(Subscription& s, SubscriptionWork& work) {
  for (const auto& [path, link] : s.links) {
    if (!isPending(path, link)) continue;
    wake(s, path, work);
    return true;
  }
  return false;
}

void Subscriptions::letGo(Subscription& s) {
  s.wakeId.clear();
  s.snapshot.clear();
  s.holder.clear();
  s.leaseUntil.reset();
  s.nextAttempt.reset();
  s.retries = 0;
}

Subscriptions::Json Subscriptions::streamsOf(const Subscription& s, bool tails) const {
  Json out = Json::array();
  for (const auto& [path, link] : s.links) {
    Json one = {{"path", path},
                {"link_type", link.listed ? "explicit" : "glob"},
                {"acked_offset", link.acked ? formatPosition(*link.acked) : "-1"}};
    if (tails) {
      one["tail_offset"] = formatPosition(tailOf(path));
      one["has_pending"] = isPending(path, link);
    }
    out.push_back(std::move(one));
  }
  return out;
}

std::string Subscriptions::controlUrl(const std::string& origin, std::string_view rest) const {
  return origin + options_.basePath + "/" + std::string(kControlSegment) + "/" + std::string(rest);
}

Subscriptions::Json Subscriptions::describe(const Subscription& s) const {
  const auto textOrNull = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  Json out = {{"id", s.id},
              {"subscription_id", s.id},
              {"type", s.config.webhook ? "webhook" : "pull-wake"},
              {"pattern", textOrNull(s.config.pattern)},
              {"streams", streamsOf(s, false)},
              {"wake_stream", textOrNull(s.config.wakeStream)},
              {"lease_ttl_ms", s.config.lease.count()},
              {"created_at", s.createdAt},
              {"status", s.nextAttempt ? "failed" : "active"}};
  out["description"] = s.config.description ? Json(*s.config.description) : Json();
  if (s.config.webhook) {
    out["webhook"] = {
        {"url", s.config.url},
        {"signing", {{"alg", "ed25519"}, {"kid", keys_.back().id}, {"jwks_url", controlUrl(s.origin, "jwks.json")}}}};
  }
  return out;
}

}  // namespace tidegate::durable_streams::detail
