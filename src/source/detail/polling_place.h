/// A PollingSource's positions: how many events it delivered, counted anew each time it starts to deliver.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tidegate/core/position.h"

namespace tidegate::detail {

/// A new epoch begins with each stream, so that what is delivered again comes after all that came before: a reader that
/// is ahead of another must not drop a later state of a row for an earlier one's place.
struct PollingPlace {
  std::uint64_t epoch = 0;  ///< below 2^48
  std::uint64_t event = 0;  ///< below 2^48
  auto operator<=>(const PollingPlace&) const = default;
};

/// 12 octets, big-endian, so that octets order as places do.
std::string toOctets(PollingPlace place);
std::optional<PollingPlace> placeFromOctets(std::string_view octets);
/// "epoch.event"
std::string toText(PollingPlace place);
std::optional<PollingPlace> pollingPlaceFromText(std::string_view text);

}  // namespace tidegate::detail
