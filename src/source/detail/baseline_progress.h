/// How far a baseline is that is read beside the stream: the part of a position behind its place.
///
/// Octets, numbers most significant first: 8 of steps done, 2 of 65535 - pending tables, then for each pending table
/// its name (2 of length), 8 of rows, 1 whether it has begun, and its last key: 2 of columns, each 4 of length and
/// text. So that what is further is greater, octet by octet: every event is a step.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::detail {

/// A table that is still to be read, or to be read on.
struct PendingTable {
  std::string name{};               ///< the full name
  std::uint64_t rows = 0;           ///< delivered so far
  bool begun = false;               ///< `baselineBegin` was delivered
  std::vector<std::string> last{};  ///< the last key whose row was delivered, in the server's text; empty: none
  bool operator==(const PendingTable&) const = default;
};

struct BaselineProgress {
  std::uint64_t steps = 0;
  std::vector<PendingTable> pending{};  ///< in the order they are read; empty: the baseline is whole
  bool operator==(const BaselineProgress&) const = default;
};

/// Empty if nothing is pending.
std::string encodeProgress(const BaselineProgress& progress);
/// @throws Error{parseError}
BaselineProgress decodeProgress(std::string_view octets);
/// Sets the steps in encoded octets that are not empty.
void putSteps(std::uint64_t steps, std::string& octets);
/// The lesser of two, encoded: what is pending in either is pending, each table where it is less far.
/// @throws Error{parseError}
std::string meetProgress(std::string_view a, std::string_view b);
/// By octets: less read is less, and nothing left to read is the greatest.
std::strong_ordering compareProgress(std::string_view a, std::string_view b) noexcept;

}  // namespace tidegate::detail
