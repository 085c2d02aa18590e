#include "durable_streams/detail/subscription.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/detail/octet_text.h"
#include "durable_streams/detail/webhook_keys.h"
#include "durable_streams/detail/webhook_url.h"
#include "tidegate/core/error.h"

namespace tidegate::durable_streams::detail {

namespace {

using nlohmann::json;

constexpr std::string_view kSubscriptionNote = "subscription/";
constexpr std::string_view kLinkNote = "link/";
constexpr std::int64_t kLeastLease = 1'000;
constexpr std::int64_t kMostLease = 600'000;

std::string textOf(const json& body, const char* name) {
  const auto at = body.find(name);
  return at != body.end() && at->is_string() ? at->get<std::string>() : std::string();
}

std::string deliveryFrom(const json& body, SubscriptionConfig& config) {
  if (config.webhook) {
    const auto webhook = body.find("webhook");
    if (webhook != body.end() && webhook->is_object()) config.url = textOf(*webhook, "url");
    return config.url.empty() ? "a webhook subscription needs webhook.url" : "";
  }
  config.wakeStream = trimSlashes(textOf(body, "wake_stream"));
  return config.wakeStream.empty() ? "a pull-wake subscription needs wake_stream" : "";
}

}  // namespace

ConfigFields configFrom(const json& body) {
  ConfigFields fields;
  SubscriptionConfig& config = fields.config;
  const auto refuse = [&](const char* why) {
    fields.problem = why;
    return fields;
  };
  if (!body.is_object()) return refuse("the body must be a JSON object");
  const std::string type = textOf(body, "type");
  if (type != "webhook" && type != "pull-wake") return refuse("type must be \"webhook\" or \"pull-wake\"");
  config.webhook = type == "webhook";
  config.pattern = trimSlashes(textOf(body, "pattern"));
  if (const auto streams = body.find("streams"); streams != body.end() && !streams->is_null()) {
    if (!streams->is_array()) return refuse("streams must be an array of paths");
    for (const json& stream : *streams) {
      if (!stream.is_string() || trimSlashes(stream.get<std::string>()).empty())
        return refuse("streams must be an array of paths");
      config.streams.push_back(trimSlashes(stream.get<std::string>()));
    }
  }
  std::sort(config.streams.begin(), config.streams.end());
  config.streams.erase(std::unique(config.streams.begin(), config.streams.end()), config.streams.end());
  if (config.pattern.empty() && config.streams.empty()) return refuse("at least one of pattern and streams is needed");
  if (const auto lease = body.find("lease_ttl_ms"); lease != body.end()) {
    if (!lease->is_number_integer() || lease->get<std::int64_t>() < kLeastLease ||
        lease->get<std::int64_t>() > kMostLease) {
      return refuse("lease_ttl_ms must be a whole number from 1000 to 600000");
    }
    config.lease = std::chrono::milliseconds(lease->get<std::int64_t>());
  }
  if (const auto text = body.find("description"); text != body.end() && text->is_string())
    config.description = text->get<std::string>();
  fields.problem = deliveryFrom(body, config);
  return fields;
}

std::string subscriptionKey(std::string_view id) {
  return std::string(kSubscriptionNote) + tidegate::detail::hexOf(id);
}

std::string linkKey(std::string_view id, std::string_view path) {
  return std::string(kLinkNote).append(tidegate::detail::hexOf(id)).append("/").append(path);
}

std::string linkNote(const SubscriptionLink& link) {
  json out = {{"glob", link.glob}, {"listed", link.listed}};
  if (link.acked) out["acked"] = *link.acked;
  return out.dump();
}

std::string subscriptionNote(const Subscription& s) {
  json out = {{"webhook", s.config.webhook},
              {"pattern", s.config.pattern},
              {"streams", s.config.streams},
              {"url", s.config.url},
              {"wakeStream", s.config.wakeStream},
              {"lease", s.config.lease.count()},
              {"createdAt", s.createdAt},
              {"origin", s.origin},
              {"generation", s.generation},
              {"wakeId", s.wakeId},
              {"snapshot", s.snapshot},
              {"holder", s.holder},
              {"retries", s.retries}};
  if (s.config.description) out["description"] = *s.config.description;
  if (s.leaseUntil) out["leaseUntil"] = s.leaseUntil->count();
  if (s.nextAttempt) out["nextAttempt"] = s.nextAttempt->count();
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

namespace {

Subscription subscriptionFrom(std::string id, const json& note) {
  Subscription s{.id = std::move(id)};
  s.config = {.webhook = note.at("webhook"),
              .pattern = note.at("pattern"),
              .streams = note.at("streams"),
              .url = note.at("url"),
              .wakeStream = note.at("wakeStream"),
              .lease = std::chrono::milliseconds(note.at("lease").get<std::int64_t>())};
  if (note.contains("description")) s.config.description = note.at("description").get<std::string>();
  s.createdAt = note.at("createdAt");
  s.origin = note.at("origin");
  s.generation = note.at("generation");
  s.wakeId = note.at("wakeId");
  s.snapshot = note.at("snapshot").get<std::map<std::string, Position>>();
  s.holder = note.at("holder");
  s.retries = note.at("retries");
  if (note.contains("leaseUntil")) s.leaseUntil = Clock::Micros(note.at("leaseUntil").get<std::int64_t>());
  if (note.contains("nextAttempt")) s.nextAttempt = Clock::Micros(note.at("nextAttempt").get<std::int64_t>());
  return s;
}

void takeLink(std::map<std::string, Subscription>& all, std::string_view key, const json& note) {
  const std::size_t slash = key.find('/');
  const auto subscription = all.find(tidegate::detail::fromHex(key.substr(0, slash)).value_or(""));
  // Left of a subscription whose removal was cut short.
  if (slash == std::string_view::npos || subscription == all.end()) return;
  SubscriptionLink link{.glob = note.at("glob"), .listed = note.at("listed")};
  if (note.contains("acked")) link.acked = note.at("acked").get<Position>();
  subscription->second.links.emplace(key.substr(slash + 1), link);
}

}  // namespace

std::map<std::string, Subscription> subscriptionsFrom(const std::vector<std::pair<std::string, std::string>>& notes) {
  std::map<std::string, Subscription> all;
  for (const bool links : {false, true}) {
    const std::string_view prefix = links ? kLinkNote : kSubscriptionNote;
    for (const auto& [key, value] : notes) {
      if (!key.starts_with(prefix)) continue;
      try {
        const json note = json::parse(value);
        if (links) {
          takeLink(all, std::string_view(key).substr(prefix.size()), note);
        } else {
          const std::string id = tidegate::detail::fromHex(std::string_view(key).substr(prefix.size())).value();
          all.emplace(id, subscriptionFrom(id, note));
        }
      } catch (const std::exception& e) {
        throw Error(ErrorCode::storeCorrupt, Retry::afterOperator,
                    "the store's note \"" + key + "\" is no subscription's: " + e.what() +
                        "; restore the folder from a backup");
      }
    }
  }
  return all;
}

}  // namespace tidegate::durable_streams::detail
