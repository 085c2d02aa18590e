/// Positions of an ElectricSource: for each shape, which log is read and how far.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "electric/detail/source_offset.h"
#include "tidegate/core/position.h"

namespace tidegate::electric::reading {

/// How far one shape was told.
///
/// A shape's logs follow each other: each has a handle, and the server never gives one twice. `epoch` orders them; it
/// is the time at which this handle was first seen. Within one log everything of a baseline lies before everything that
/// follows it; baselines of one log are ordered by `reading`, the time at which each began (or went on after a
/// restart).
struct ShapePlace {
  std::string handle{};       ///< empty: nothing is known, the shape is read from its start
  std::uint64_t epoch = 0;    ///< Unix microseconds
  std::uint64_t reading = 0;  ///< of the baseline that is being read; 0: it is whole
  LogOffset at{};             ///< where a request goes on
  std::uint32_t index = 0;    ///< messages told of those behind `at` whose own place the server did not say
  std::uint32_t mark = 0;     ///< tells the last of these from others; 0 where `index` is

  bool known() const noexcept { return !handle.empty(); }
  bool inBaseline() const noexcept { return reading != 0 || !known(); }
  bool operator==(const ShapePlace&) const = default;
};

/// Unordered only for two handles that were first seen at the same microsecond.
std::partial_ordering comparePlaces(const ShapePlace& a, const ShapePlace& b) noexcept;

/// What a Position holds.
struct SourcePlaces {
  std::map<std::string, ShapePlace, std::less<>> shapes{};  ///< by the shape's name
  /// The transaction that this place lies in the middle of; 0: between transactions.
  std::uint64_t open = 0;
  bool operator==(const SourcePlaces&) const = default;
};

std::string encodePlace(std::string_view name, const ShapePlace& place);
Position encodePlaces(const SourcePlaces& places);
/// @throws Error{invalidArgument} for octets that are none of ours, an empty position included.
SourcePlaces decodePlaces(const Position& position);

/// By the shapes that both hold: one that only one side knows says nothing. Without a common shape: unordered.
std::partial_ordering compareSourcePlaces(const SourcePlaces& a, const SourcePlaces& b) noexcept;
/// For each shape the earlier place; a shape that one side alone holds as it is.
SourcePlaces meetPlaces(const SourcePlaces& a, const SourcePlaces& b);
/// For each shape the later place.
SourcePlaces joinPlaces(const SourcePlaces& a, const SourcePlaces& b);

/// "items=3833821-1721812114261@26800584_4/1721812114000000;…", one line.
std::string placesToText(const SourcePlaces& places);
/// @throws Error{parseError}
SourcePlaces placesFromText(std::string_view text);

}  // namespace tidegate::electric::reading
