/// A place in a shape's log, as the server writes it: "-1", "0_0", "0_inf", "26800584_4".
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tidegate::electric::reading {

/// Transaction (its place in the database's log) and operation in it. Transaction 0 is the snapshot, -1 lies before
/// all.
struct LogOffset {
  std::int64_t tx = -1;
  std::uint64_t op = 0;
  auto operator<=>(const LogOffset&) const = default;

  /// Before everything: the shape is read from its start.
  bool isStart() const noexcept { return tx < 0; }
  static constexpr std::uint64_t kInfinity = UINT64_MAX;
};

std::string toText(LogOffset offset);
/// nullopt for anything that no server writes: signs, spaces, numbers that do not fit.
std::optional<LogOffset> offsetFromText(std::string_view text);

}  // namespace tidegate::electric::reading
