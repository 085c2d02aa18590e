/// One subscription, and how it is kept (sections 6 and 7).
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/clock.h"
#include "tidegate/durable_streams/stream_store.h"

namespace tidegate::durable_streams::detail {

/// A stream that a subscription follows.
struct SubscriptionLink {
  bool glob = false;
  bool listed = false;              ///< named by the client: "explicit"
  std::optional<Position> acked{};  ///< none: not even the stream's beginning
};

struct SubscriptionConfig {
  bool webhook = false;  ///< else pull-wake
  std::string pattern{};
  std::vector<std::string> streams{};  ///< sorted, each once
  std::string url{};
  std::string wakeStream{};
  std::chrono::milliseconds lease{30'000};
  std::optional<std::string> description{};
  bool operator==(const SubscriptionConfig&) const = default;
};

struct Subscription {
  std::string id{};
  SubscriptionConfig config{};
  std::string createdAt{};
  std::string origin{};  ///< scheme and authority that its client used
  std::map<std::string, SubscriptionLink> links{};

  std::uint64_t generation = 0;
  std::string wakeId{};                        ///< empty: no wake is in flight
  std::map<std::string, Position> snapshot{};  ///< tails that the wake told
  std::string holder{};
  std::optional<Clock::Micros> leaseUntil{};
  unsigned retries = 0;
  std::optional<Clock::Micros> nextAttempt{};
  bool delivering = false;  ///< not kept
  bool idle() const noexcept { return wakeId.empty() && holder.empty(); }
};

/// What a client sent, or why it is refused.
struct ConfigFields {
  SubscriptionConfig config{};
  std::string problem{};
};
ConfigFields configFrom(const nlohmann::json& body);

/// Keys and values of notes.
std::string subscriptionKey(std::string_view id);
std::string linkKey(std::string_view id, std::string_view path);
std::string subscriptionNote(const Subscription& subscription);
std::string linkNote(const SubscriptionLink& link);
/// Subscriptions from the store's notes; what is not of them is left out.
/// @throws Error{storeCorrupt} naming the note.
std::map<std::string, Subscription> subscriptionsFrom(const std::vector<std::pair<std::string, std::string>>& notes);

}  // namespace tidegate::durable_streams::detail
