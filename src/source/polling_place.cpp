#include "source/detail/polling_place.h"

#include <fmt/format.h>

#include <charconv>

namespace tidegate::detail {

namespace {
constexpr std::uint64_t kMost = (std::uint64_t{1} << 48) - 1;
}

std::string toOctets(PollingPlace place) {
  std::string octets;
  for (const std::uint64_t number : {place.epoch, place.event}) {
    for (int shift = 40; shift >= 0; shift -= 8) octets.push_back(static_cast<char>(number >> shift));
  }
  return octets;
}

std::optional<PollingPlace> placeFromOctets(std::string_view octets) {
  if (octets.size() != 12) return std::nullopt;
  PollingPlace place;
  for (std::size_t i = 0; i < 12; ++i) {
    std::uint64_t& number = i < 6 ? place.epoch : place.event;
    number = number << 8 | static_cast<std::uint8_t>(octets[i]);
  }
  return place;
}

std::string toText(PollingPlace place) { return fmt::format("{}.{}", place.epoch, place.event); }

std::optional<PollingPlace> pollingPlaceFromText(std::string_view text) {
  PollingPlace place;
  const char* const end = text.data() + text.size();
  const auto epoch = std::from_chars(text.data(), end, place.epoch);
  if (epoch.ec != std::errc() || epoch.ptr == end || *epoch.ptr != '.') return std::nullopt;
  const auto event = std::from_chars(epoch.ptr + 1, end, place.event);
  const bool whole = event.ec == std::errc() && event.ptr == end && place.epoch <= kMost && place.event <= kMost;
  if (!whole || toText(place) != text) return std::nullopt;
  return place;
}

}  // namespace tidegate::detail
