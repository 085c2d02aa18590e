/// Which place in the binlog a snapshot is.
///
/// MariaDB notes it. MySQL does not, but a transaction's GTID is owned from before it is written to the binlog until
/// after snapshots see it: so a place is asked for, then until nobody owns what was owned there; then the snapshot is
/// taken, and the place asked for again. All before the first place is seen, and nothing behind the second.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "mysql/detail/c_link.h"
#include "mysql/detail/gtid.h"
#include "source/detail/touch_log.h"

namespace tidegate::mysql::detail {

/// A place in the server's binlog, as it names it.
struct LogPlace {
  std::string file{};
  std::uint64_t offset = 0;
  bool operator==(const LogPlace&) const = default;
  /// What the stream calls it. @throws Error{parseError}
  tidegate::detail::TransactionName name() const;
};

struct SnapshotPlace {
  LogPlace seen{};         ///< what ends at or before it is seen
  LogPlace most{};         ///< and nothing behind this. MariaDB: the same
  std::string executed{};  ///< MySQL with GTIDs: those that are seen for certain
  bool exact() const noexcept { return seen == most; }
};

/// Sets a session up for what may take long.
void prepareForSnapshots(CLink& link);

/// Begins a transaction on MariaDB, which notes the binlog's place with each snapshot, under the lock that orders
/// commits: it sees exactly what lies before that place.
SnapshotPlace beginNotedSnapshot(CLink& link);
/// MariaDB's GTIDs at a place. Where it is not the binlog's end, the server reads the file from its beginning to find
/// them.
GtidState gtidsAt(CLink& link, const LogPlace& place);

/// Whether each transaction of a MySQL server has a GTID.
bool hasGtids(CLink& link);
/// @throws Error{slotInvalid} with the remedy if not.
void requireGtids(CLink& link);
/// "uuid:7", "uuid:tag:7" of what MySQL says in gtid_owned.
std::set<std::string> gtidsOwned(std::string_view text);

/// Begins transactions on a MySQL with GTIDs, without a lock.
class SnapshotBracket {
 public:
  /// Does not wait. @return nothing while transactions that are in the binlog may not be seen yet: ask again, soon.
  /// @throws Error{slotInvalid} if the server has no GTIDs.
  std::optional<SnapshotPlace> begin(CLink& link);
  void forget() noexcept { first_.reset(); }

 private:
  std::optional<LogPlace> first_;   ///< what was there when the asking began
  std::set<std::string> unseen_{};  ///< of it
};

/// Begins a transaction on a MySQL at a place that is exact: without a lock where the server has GTIDs and nobody
/// commits for a moment, else under one. @throws Error
SnapshotPlace beginExactSnapshot(CLink& link);

}  // namespace tidegate::mysql::detail
