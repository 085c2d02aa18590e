/// This source's positions: the place of a commit in the log, the event within that transaction, and how far a baseline
/// is that is read beside the stream.
///
/// Octets: 8 of the commit's LSN, 6 of the ordinal, both most significant first; then the baseline's progress, if one
/// is pending. Without it a position has 14 octets, which allocate nothing.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "postgres/detail/lsn.h"
#include "tidegate/core/position.h"

namespace tidegate::postgres::detail {

/// An ordinal that stands for the whole transaction: the position of its last event.
inline constexpr std::uint64_t kWholeTransaction = (std::uint64_t{1} << 48) - 1;

/// A place in the stream.
struct Place {
  /// Where the transaction's commit record begins. Transactions are ordered by it, which is the order they come in.
  Lsn commit = 0;
  /// Of the event within the transaction, from 1; 0 is before its first event; kWholeTransaction after its last.
  std::uint64_t ordinal = 0;
  auto operator<=>(const Place&) const = default;
};

/// Octets of a position without a baseline's progress.
inline constexpr std::size_t kPlaceOctets = 14;

/// Writes it into `out`, whose memory is used again.
void writePosition(const Place& place, std::string_view progress, Position& out);
Position positionOf(const Place& place, std::string_view progress = {});
/// @throws Error{parseError} for octets that are no position of this source.
Place placeOf(const Position& position);
/// The baseline's part; empty where none is pending.
std::string_view progressOf(const Position& position);

/// By place; at the same place by progress: less read is less, and nothing left to read is the greatest.
std::strong_ordering comparePositions(const Position& a, const Position& b);

/// "0/16B3748+3", "0/16B3748+end", and ";" with hexadecimal octets of the progress behind it.
std::string positionToText(const Position& position);
/// @throws Error{parseError}
Position positionFromText(std::string_view text);

}  // namespace tidegate::postgres::detail
