#include "source/detail/test_positions.h"

#include <fmt/format.h>

#include <charconv>

#include "tidegate/core/error.h"

namespace tidegate::detail {

Position positionOf(TestPlace place) {
  Position position;
  for (int shift = 56; shift >= 0; shift -= 8) position.octets.push_back(static_cast<char>(place.number >> shift));
  for (int shift = 24; shift >= 0; shift -= 8) position.octets.push_back(static_cast<char>(place.ordinal >> shift));
  return position;
}

std::optional<TestPlace> placeOf(const Position& position) {
  if (position.octets.size() != 12) return std::nullopt;
  TestPlace place{.number = 0};
  for (std::size_t i = 0; i < 12; ++i) {
    const auto octet = static_cast<std::uint8_t>(position.octets[i]);
    if (i < 8)
      place.number = place.number << 8 | octet;
    else
      place.ordinal = place.ordinal << 8 | octet;
  }
  return place;
}

TestPlace requirePlace(const Position& position) {
  if (const auto place = placeOf(position)) return *place;
  throw Error(ErrorCode::invalidArgument, Retry::never,
              position.empty() ? "an empty position says nothing: take a baseline first"
                               : "this is not a position of a TestSource");
}

std::string textOf(TestPlace place) { return fmt::format("{}:{}", place.number, place.ordinal); }

TestPlace placeFromText(std::string_view text) {
  TestPlace place;
  const char* const end = text.data() + text.size();
  const auto number = std::from_chars(text.data(), end, place.number);
  if (number.ec == std::errc() && number.ptr != end && *number.ptr == ':') {
    const auto ordinal = std::from_chars(number.ptr + 1, end, place.ordinal);
    if (ordinal.ec == std::errc() && ordinal.ptr == end && textOf(place) == text) return place;
  }
  throw Error(ErrorCode::parseError, Retry::never, fmt::format("\"{}\" is no position: it should be like 12:3", text));
}

}  // namespace tidegate::detail
