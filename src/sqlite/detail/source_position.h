/// Places in a change table, as positions.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "tidegate/core/position.h"

namespace tidegate::sqlite::detail {

/// A place behind a row of the change table. 15 octets as a position.
struct LogPlace {
  std::uint32_t token = 0;   ///< of the change table; another one has another
  std::uint64_t seq = 0;     ///< the row's number, 48 bits
  std::uint32_t moment = 0;  ///< of the row's time: a row of the same number in a restored copy has another
  bool ends = true;          ///< a unit of work ended there
  bool operator==(const LogPlace&) const = default;
};

inline constexpr std::uint64_t kMaxSeq = (std::uint64_t{1} << 48) - 1;

/// What a row's time (`julianday`) is told by in a position.
std::uint32_t momentOf(double julianDay) noexcept;

void writePlace(const LogPlace& place, Position& out);
Position positionOf(const LogPlace& place);
/// @throws Error{parseError}
LogPlace placeOf(const Position& position);
std::partial_ordering comparePlaces(const LogPlace& a, const LogPlace& b) noexcept;
std::string placeToText(const LogPlace& place);
/// @throws Error{parseError}
LogPlace placeFromText(std::string_view text);

}  // namespace tidegate::sqlite::detail
