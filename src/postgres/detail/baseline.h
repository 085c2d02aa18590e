/// The baseline's half of a Postgres source: tables read whole from an exported snapshot, and large ones left to be
/// read piece by piece beside the stream (docs/postgres-baseline.md).
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "postgres/detail/baseline_progress.h"
#include "postgres/detail/stream_interleave.h"
#include "tidegate/core/query.h"

namespace tidegate::postgres::detail {

/// Reads the tables of a job whole, each as `baselineBegin`, `read`…, `baselineEnd`, and waits until every transaction
/// that the snapshot sees is visible to new snapshots too. Tables over `chunkedFromRows` with a key, in stateful mode,
/// are not read but left pending.
///
/// Every event has the position that `baseline` returns: {consistentPoint, 0} and the progress.
/// @return the progress; empty if every table was read.
/// @throws Error{queryCancelled} when stopped, {tableNotFound, permissionDenied, connectionFailed}, and
///         Error{queryFailed, Retry::later} if a table was altered or truncated between the snapshot and the reading:
///         take a new snapshot.
std::string runBaseline(const BaselineJob& job);

/// Reads pending tables beside the stream. Makes its connections when there is something to read; a connection that
/// breaks is made again with back-off and is never an error of the stream.
/// @param onWarning told, for example, of a connection that cannot be made.
std::unique_ptr<StreamInterleave> makeInterleave(const SourceOptions& options,
                                                 std::function<void(const std::string&)> onWarning);

/// `SyncSource::readTable`: one COPY, over a connection of its own.
std::unique_ptr<RowStream> readTable(const SourceOptions& options, const std::string& table, std::stop_token stop);

}  // namespace tidegate::postgres::detail
