/// What every table's poller is given: the one place where polling touches the host.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "source/detail/poll_run.h"
#include "tidegate/core/hlc.h"
#include "tidegate/core/state_store.h"
#include "tidegate/source/snapshot_store.h"
#include "tidegate/source/source_poller.h"

namespace tidegate::detail {

/// A changed row whole, for those to whom a delta is too little: before it (null: not known, or there was none) and
/// after it (null: it is gone).
struct SeenRow {
  std::optional<Row> before{}, after{};
  bool doubt = false;  ///< whether the row was there before is not known
};
/// Told of each delta of the next push, in its order. Diff polls only; may be empty.
using SeenRows = std::function<void(SeenRow image)>;

/// @thread The polling thread.
struct PollContext {
  const IngestSourceConfig& config;
  const Clock& clock;
  HlcClock& stamps;
  const PushFunction& push;
  StateStore& state;
  SnapshotStore& snapshots;
  std::function<void(const std::string& message)> warn;
  std::function<void(const TableReport& soFar)> progress;
  SeenRows images{};

  std::string clientId() const { return "ingest:" + config.name; }
};

/// Stamps the deltas and pushes them as this source's own. Counts them once they are accepted.
/// @throws Error{backPressure, invalidArgument} with the gateway's reason if they were not: nothing may advance then.
void pushAccepted(const PollContext& context, SyncPush& push, TableReport& report);

/// Polls one table.
class TablePoller {
 public:
  virtual ~TablePoller() = default;
  /// @throws Error for what stopped it; what was accepted before stands.
  virtual void poll(PollRun& run, TableReport& report) = 0;
};

std::unique_ptr<TablePoller> makeCursorPoller(const PollContext& context, const IngestTableConfig& table);
std::unique_ptr<TablePoller> makeDiffPoller(const PollContext& context, const IngestTableConfig& table);

}  // namespace tidegate::detail
