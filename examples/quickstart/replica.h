// A client: pulls its view of the gateway's log and keeps it in a SQLite file.
#pragma once

#include <cstddef>
#include <string>

#include "tidegate/core/delta.h"
#include "tidegate/core/query.h"
#include "tidegate/gateway/gateway.h"

namespace quickstart {

/// Each page and the position it ends at are written in one transaction, so the file is always the client's view at
/// some point of the log, whatever happens to the process.
/// @thread One at a time.
class Replica {
 public:
  /// @param claims what the client may prove about itself; the sync rules compare rows with it.
  Replica(tidegate::QueryFn database, std::string clientId, tidegate::Claims claims);

  /// Pulls until the log has no more. @return deltas applied.
  std::size_t catchUp(tidegate::Gateway& gateway);

 private:
  void apply(const tidegate::RowDelta& delta);
  void resync(tidegate::Gateway& gateway);
  void savePosition(tidegate::Hlc position);

  const tidegate::QueryFn db_;
  const std::string clientId_;
  const tidegate::Claims claims_;
  tidegate::Hlc position_;
};

}  // namespace quickstart
