/// A place in a source's change stream.
#pragma once

#include <compare>
#include <string>

namespace tidegate {

/// Opaque octets that only their source understands: it orders them, meets them, and writes them as text
/// (`SyncSource::comparePositions`, `meet`, `positionToText`). An event's position is where to go on *after* that
/// event.
///
/// Keep it within 15 octets where you can: such a string allocates nothing.
struct Position {
  std::string octets{};

  /// Whether it says nothing: no place at all, which is not the same as the beginning.
  bool empty() const noexcept { return octets.empty(); }
  /// Equal octets are the same place; unequal ones may be too, which only the source knows.
  bool operator==(const Position&) const = default;
};

}  // namespace tidegate
