/// A place in a durable stream, as the source's positions hold it.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tidegate/core/position.h"

namespace tidegate::durable_streams::detail {

/// After `skip` messages from `offset` on; `step` events of the next message were told too.
///
/// Where a server cuts its answers may differ from one read to the next, so the same place has several offsets with
/// fitting skips. `number` is what places compare by: messages since `base`, the stream's begin or where a reader
/// began.
struct StreamPlace {
  std::string base{};  ///< empty: the stream's begin
  std::string offset{};
  std::uint64_t skip = 0;
  std::uint64_t number = 0;
  std::uint32_t step = 0;
  bool inTransaction = false;  ///< a transaction began and has not ended
};

/// "42+3@0000_0102": number, skip, offset; ".1" after the skip for a step, "t" within a transaction, "~" and the base.
std::string placeText(const StreamPlace& place);
std::optional<StreamPlace> parsePlace(std::string_view text);

/// @throws Error{invalidArgument} for what is none.
StreamPlace requirePlace(const tidegate::Position& position);
inline tidegate::Position positionOf(const StreamPlace& place) { return {placeText(place)}; }

/// By number; places of two bases by their offsets, as the protocol lets clients do.
std::partial_ordering comparePlaces(const StreamPlace& a, const StreamPlace& b);

}  // namespace tidegate::durable_streams::detail
