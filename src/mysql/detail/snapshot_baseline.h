/// A consistent picture of whole tables, and the place in the binlog where it was taken.
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "mysql/detail/snapshot_place.h"
#include "mysql/detail/source_core.h"
#include "tidegate/source/sync_source.h"

namespace tidegate::mysql::detail {

struct SnapshotJob {
  SourceCore& core;
  const std::vector<TableName>& tables;
  const ChangeHandler& handler;  ///< wraps what it throws into HandlerFailed
  std::stop_token stop{};
};

/// @return the position of the picture. @throws Error, HandlerFailed
Position runSnapshot(const SnapshotJob& job);

/// Begins a transaction that sees the tables as they are at the place that is returned.
Border beginSnapshot(CLink& link, const SourceCore& core);

/// Streams a table as the link's transaction sees it. @param row is told how long the values were that it finds in
/// `values`; false: enough.
void readWholeTable(CLink& link, const CatalogueTable& table, std::vector<Value>& values,
                    const std::function<bool(std::size_t octets)>& row);

}  // namespace tidegate::mysql::detail
