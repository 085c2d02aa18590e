/// Gateways that each hold a part of the tables, or of their rows, behind one front: for more rows than one process
/// holds, and more writes than one log takes (docs/cluster.md).
///
///     PartitionMap map{.partitions = 3, .ranges = {{"orders", "", 0}, {"orders", "m", 1}, {"users", "", 2}}};
///     PartitionedGateway front({orders1, orders2, users}, map);
///     front.handlePush(push);                                        // each delta goes where its row lives
///     PartitionedPage page = front.handlePull({"phone-7", since, 1000}, claims);
///
/// Each partition is a gateway, alone, with a store, or one of several over a log. Partitions know nothing of each
/// other.
/// @thread Every member may be called from any thread.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/gateway/gateway.h"

namespace tidegate {

/// Which partition holds a row. It must not change while the partitions hold rows: move them first.
struct PartitionMap {
  /// Rows of the table from this id on, in the order of octets, up to the table's next range.
  struct Range {
    std::string table{};
    std::string firstRowId{};  ///< a table's first range begins at ""
    std::size_t partition = 0;
  };
  std::size_t partitions = 1;
  std::vector<Range> ranges{};
  std::size_t others = 0;  ///< holds the tables that no range names

  std::size_t of(std::string_view table, std::string_view rowId) const;
};

/// Up to where a client holds each partition; 0 where it needs nothing of one. Its text form is what travels.
struct PartitionedSince {
  std::vector<Hlc> parts{};

  bool operator==(const PartitionedSince&) const = default;
  /// Decimal stamps with dots between.
  std::string text() const;
  /// @throws Error{parseError} for what `text` does not give. "": from the beginning.
  static PartitionedSince parse(std::string_view text);
};

struct PartitionedPull {
  std::string clientId{};
  PartitionedSince since{};  ///< of the last page or snapshot; empty: from the beginning
  std::size_t maxDeltas = 100;
};

struct PartitionedPage {
  std::vector<RowDelta> deltas{};  ///< in log order within each partition; between partitions there is none
  PartitionedSince since{};        ///< pull from here next
  bool hasMore = false;
  bool mustResync = false;  ///< take `snapshot`
  std::string reason{};     ///< why, and of which partition
};

/// A client's view over all partitions that it needs, row by row: each partition as of its own moment.
/// @thread One at a time.
class PartitionedSnapshot {
 public:
  /// Pull from here once all rows are read.
  const PartitionedSince& since() const noexcept { return since_; }
  /// The next row. @return false at the end.
  bool next(RowDelta& row);

 private:
  friend class PartitionedGateway;
  PartitionedSince since_;
  std::vector<GatewaySnapshot> parts_;
  std::size_t at_ = 0;
};

class PartitionedGateway {
 public:
  /// @param partitions one for each number of the map.
  /// @throws Error{invalidConfig} for a map that leaves rows without a partition.
  PartitionedGateway(std::vector<std::shared_ptr<Gateway>> partitions, PartitionMap map);

  /// Sends each delta to its row's partition. Of one partition a push is all or nothing. One that goes to several is
  /// checked by all of them before any applies it; what fails after that (back-pressure, too old, an unavailable log)
  /// leaves what other partitions took. Send it again then: it changes nothing there.
  /// @return as `Gateway::handlePush`; the verdicts in the push's order; `serverHlc` the greatest of the partitions.
  /// @throws as `Gateway::handlePush`; Error{invalidArgument} for notes with a push to several partitions.
  PushResult handlePush(const SyncPush& push, PushContext context = {});

  /// One page over the partitions that the client needs: those of which its rules let it see a table, and those that it
  /// holds something of. The one that it lags behind most comes first.
  /// @throws Error{invalidArgument} for a `since` of another number of partitions; as `Gateway::handlePull`.
  PartitionedPage handlePull(const PartitionedPull& pull, const Claims& claims = {});
  PartitionedSnapshot snapshot(const Claims& claims = {}, std::string_view clientId = {});
  std::optional<Row> row(std::string_view table, std::string_view rowId) const;

  /// Replaces the rules of all partitions, one after the other. Where one fails, call it again.
  void setSyncRules(const SyncRules& rules);
  /// The partitions that a client with these claims needs, ascending.
  std::vector<std::size_t> partitionsOf(const Claims& claims) const;
  const std::vector<std::shared_ptr<Gateway>>& partitions() const noexcept { return partitions_; }

 private:
  PushResult pushToSeveral(const SyncPush& push, PushContext context, const std::vector<std::size_t>& where);

  const std::vector<std::shared_ptr<Gateway>> partitions_;
  const PartitionMap map_;
};

}  // namespace tidegate
