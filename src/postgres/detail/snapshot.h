/// pg_current_snapshot(): which transactions a snapshot sees.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace tidegate::postgres::detail {

struct Snapshot {
  std::uint64_t xmin = 0;                ///< all below have ended
  std::uint64_t xmax = 0;                ///< all from here on had not
  std::vector<std::uint64_t> running{};  ///< between them, those that had not; ascending

  /// Whether what the transaction committed is seen. (Of one that rolled back it means nothing.)
  bool sees(std::uint64_t xid) const;
  /// The transaction's full id: of the two it could be, the nearer to this snapshot.
  std::uint64_t widen(std::uint32_t xid) const;
  bool seesShort(std::uint32_t xid) const { return sees(widen(xid)); }
  /// Whether it sees all that the other sees.
  bool covers(const Snapshot& other) const;
};

/// Of "10:20:10,14,15". @throws Error{parseError}
Snapshot parseSnapshot(std::string_view text);

}  // namespace tidegate::postgres::detail
