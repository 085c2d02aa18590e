#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "durable_streams/detail/protocol.h"
#include "durable_streams/detail/subscriptions.h"

namespace tidegate::durable_streams::detail {

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kSweepEvery = 1s;
constexpr std::chrono::milliseconds kFirstRetry = 1s;
constexpr std::chrono::milliseconds kLastRetry = 60s;
constexpr std::size_t kMostWebhookAnswer = 64u << 10;

}  // namespace

void Subscriptions::run(std::stop_token stop) {
  while (!stop.stop_requested()) {
    try {
      SubscriptionWork work;
      const auto wait = endLeases(work);
      finish(std::move(work));
      beginDeliveries(stop);
      store_.sweep();
      client_.run(wait, stop);
    } catch (const std::exception& e) {
      spdlog::error("durable streams: {}", e.what());
      client_.run(kSweepEvery, stop);
    }
  }
}

/// What is due is done. @return until something else may be.
std::chrono::milliseconds Subscriptions::endLeases(SubscriptionWork& work) {
  const std::lock_guard guard(mutex_);
  const Clock::Micros now = clock_.wallNow();
  Clock::Micros next = now + kSweepEvery;
  for (auto& [id, s] : all_) {
    if (s.leaseUntil && !s.nextAttempt && !s.delivering) {
      if (*s.leaseUntil <= now) {
        letGo(s);
        if (!wakeIfPending(s, work)) keep(s, work);
      } else {
        next = std::min(next, *s.leaseUntil);
      }
    }
    if (s.nextAttempt && !s.delivering) {
      if (*s.nextAttempt <= now) {
        toDeliver_.push_back(id);
      } else {
        next = std::min(next, *s.nextAttempt);
      }
    }
  }
  return std::max(1ms, std::chrono::duration_cast<std::chrono::milliseconds>(next - now) + 1ms);
}

void Subscriptions::beginDeliveries(std::stop_token stop) {
  while (!stop.stop_requested() && client_.running() < options_.subscriptions.webhooksAtOnce) {
    std::string id;
    {
      const std::lock_guard guard(mutex_);
      if (toDeliver_.empty()) return;
      id = std::move(toDeliver_.front());
      toDeliver_.pop_front();
    }
    deliver(id);
  }
}

void Subscriptions::deliver(const std::string& id) {
  http::ClientRequest request{
      .method = "POST", .timeout = options_.subscriptions.webhookTimeout, .maxBodyBytes = kMostWebhookAnswer};
  std::uint64_t generation = 0;
  {
    const std::lock_guard guard(mutex_);
    const auto at = all_.find(id);
    if (at == all_.end() || at->second.wakeId.empty() || at->second.delivering) return;
    Subscription& s = at->second;
    s.delivering = true;
    s.nextAttempt.reset();
    generation = s.generation;
    for (const auto& [path, link] : s.links) s.snapshot.insert_or_assign(path, tailOf(path));
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(clock_.wallNow());
    const nlohmann::json body = {
        {"subscription_id", s.id},
        {"wake_id", s.wakeId},
        {"generation", s.generation},
        {"streams", streamsOf(s, true)},
        {"callback_url", controlUrl(s.origin, "subscriptions/" + http::percentEncode(s.id) + "/callback")},
        {"callback_token", tokens_->make(s.id, s.generation, now + 1h)}};
    request.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    request.url = s.config.url;
    request.headers = {{"Content-Type", "application/json"},
                       {"Webhook-Signature", webhookSignature(keys_.back(), request.body, now)}};
  }
  webhooks_.fetch_add(1, std::memory_order_relaxed);
  client_.start(std::move(request), {.onDone = [this, id, generation](const http::Outcome& outcome) {
                  delivered(id, generation, outcome);
                }});
}

void Subscriptions::delivered(const std::string& id, std::uint64_t generation, const http::Outcome& outcome) {
  SubscriptionWork work;
  {
    const std::lock_guard guard(mutex_);
    const auto at = all_.find(id);
    if (at == all_.end()) return;
    Subscription& s = at->second;
    s.delivering = false;
    if (s.generation != generation || s.wakeId.empty()) {
      // A callback came before the answer, and ended the wake; perhaps the next one is due.
      work.deliveries = !s.wakeId.empty();
      if (work.deliveries) toDeliver_.push_back(id);
    } else if (outcome.error || outcome.response.status < 200 || outcome.response.status > 299) {
      failures_.fetch_add(1, std::memory_order_relaxed);
      tryAgainLater(s);
      keep(s, work);
    } else {
      s.retries = 0;
      s.nextAttempt.reset();
      const auto body = nlohmann::json::parse(outcome.response.body, nullptr, false);
      if (body.is_object() && body.value("done", nlohmann::json(false)) == nlohmann::json(true)) endWake(s, work);
      keep(s, work);
    }
  }
  finish(std::move(work));
}

void Subscriptions::tryAgainLater(Subscription& s) {
  const auto base = std::min<std::chrono::milliseconds>(kLastRetry, kFirstRetry * (1 << std::min(s.retries, 6u)));
  // A fifth either way, so that subscriptions that failed together do not come back together.
  const std::int64_t fifth = base.count() / 5;
  const auto jitter = static_cast<std::int64_t>(jitter_() % static_cast<std::uint64_t>(2 * fifth + 1)) - fifth;
  ++s.retries;
  s.nextAttempt = clock_.wallNow() + base + std::chrono::milliseconds(jitter);
  s.leaseUntil = *s.nextAttempt + s.config.lease;
}

/// Acknowledges all that the wake told.
void Subscriptions::endWake(Subscription& s, SubscriptionWork& work) {
  for (const auto& [path, tail] : s.snapshot) {
    const auto link = s.links.find(path);
    if (link == s.links.end()) continue;
    link->second.acked = std::max(link->second.acked.value_or(0), tail);
    work.notes.emplace_back(linkKey(s.id, path), linkNote(link->second));
  }
  letGo(s);
  wakeIfPending(s, work);
}

}  // namespace tidegate::durable_streams::detail
