/// Places in a shape's log, as Electric writes them: transaction and operation, "26800584_4".
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tidegate::electric::detail {

/// Operations of a transaction count from 1, so that "26800584_0" is free to mean "all of this transaction": a client
/// of server-sent events makes that of the number in an up-to-date message.
/// Transaction 0 is a snapshot: `op` is then a place in it (see SnapshotPlace).
struct ShapeOffset {
  std::uint64_t tx = 0;
  std::uint64_t op = 0;
  auto operator<=>(const ShapeOffset&) const = default;
};

inline constexpr std::uint64_t kWholeTransaction = UINT64_MAX;

/// Where a snapshot goes on: which one it is, and how many of its rows have been sent.
struct SnapshotPlace {
  std::uint32_t snapshot = 0;
  std::uint32_t row = 0;
};

std::string toText(ShapeOffset offset);
/// Reads "tx_op"; "tx_0" is the whole transaction. nullopt for anything else.
std::optional<ShapeOffset> parseOffset(std::string_view text);

inline ShapeOffset toOffset(SnapshotPlace place) { return {0, std::uint64_t{place.snapshot} << 32 | place.row}; }
inline SnapshotPlace toPlace(ShapeOffset offset) {
  return {static_cast<std::uint32_t>(offset.op >> 32), static_cast<std::uint32_t>(offset.op)};
}

}  // namespace tidegate::electric::detail
