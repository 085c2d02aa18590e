/// The gateway's memory without the gateway: an append-only log, row registers and a dedupe window.
///
///     DeltaBuffer buffer;
///     buffer.append(deltas);                                    // merged column by column; losers change nothing
///     for (DeltaBuffer::Page page = buffer.read({}, 1'000); ; page = buffer.read(page.next, 1'000)) {
///       use(page.deltas);                                       // the effective deltas, in commit order
///       if (!page.hasMore) break;
///     }
///
/// For tools, simulations and hosts that need neither clients' rules nor a store. A Gateway is built of the same parts.
/// Origin: LakeSync's DeltaBuffer; differs in that appending never copies what is there, that a losing delta's id is
/// remembered, and that the dedupe window outlives a trim of the log.
/// @thread One at a time.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "tidegate/core/clock.h"
#include "tidegate/core/row.h"
#include "tidegate/gateway/gateway.h"
#include "tidegate/gateway/messages.h"

namespace tidegate {

class DeltaBuffer {
 public:
  struct Options {
    GatewayRetention retention{};
    std::size_t maxBytes = 4ull << 30;  ///< past it `append` answers backPressure
    std::size_t maxNames = 1'000'000;
    const Clock* clock = nullptr;  ///< null: the system's; must outlive the buffer
  };

  /// A stretch of the log.
  struct Page {
    std::vector<RowDelta> deltas;
    Hlc next;  ///< read from here next
    bool hasMore = false;
    bool reachesBack = true;  ///< false: the log was trimmed past `since`, or a table purged; read the rows anew
  };

  DeltaBuffer();
  /// @throws Error{invalidConfig}
  explicit DeltaBuffer(Options options);
  ~DeltaBuffer();
  DeltaBuffer(DeltaBuffer&&) noexcept;
  DeltaBuffer& operator=(DeltaBuffer&&) noexcept;

  /// Merges deltas, all of them or none: as a trusted push (null ids allowed, each delta with its own clientId).
  PushResult append(std::span<const RowDelta> deltas, bool ingest = false);
  /// Log entries after `since`, found by binary search.
  Page read(Hlc since, std::size_t maxDeltas) const;
  /// The visible row, or nullopt.
  std::optional<Row> row(std::string_view table, std::string_view rowId) const;

  /// A client that reads this buffer holds everything up to `pulledTo`: tombstones wait for it.
  void noteClient(std::string_view clientId, Hlc pulledTo);
  /// @return whether it was known.
  bool purgeClient(std::string_view clientId);
  /// Forgets a table's rows and log entries. @return visible rows removed.
  std::size_t purgeTable(std::string_view table);
  /// Trims log and tombstones to the retention; also done as deltas are appended. @return log entries dropped.
  std::size_t trim();

  /// Sizes and counters; `bytes` is true to within 20 % of what the process holds for it.
  GatewayStats stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidegate
