/// A SQLite file as a target: a replica that other programs may read while it is written.
///
///     PipelineSpec replica{.name = "replica", .source = "shop", .tables = {{.table = "public.users"}},
///                          .sink = sqlite::sink({.path = "/var/lib/app/replica.db"})};
///
/// Data and checkpoint are written in one transaction, so each change counts exactly once, whatever crashes. How values
/// are kept is in docs/types.md, section "SQLite sink"; how tables are made and matched in docs/sinks.md.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "tidegate/core/clock.h"
#include "tidegate/sink/sink.h"
#include "tidegate/sqlite/synchronous.h"

namespace tidegate::sqlite {

struct SinkOptions {
  std::string path;  ///< made where there is none; its folder must exist. Not ":memory:"
  /// Where given, erased rows stay, with the time of the erase in this column (text, UTC); null means alive. Must not
  /// be a column of the source's.
  std::string softDeleteColumn{};
  Synchronous synchronous = Synchronous::full;
  std::chrono::milliseconds busyTimeout{10'000};  ///< how long to wait for another writer's transaction
  std::size_t cacheBytes = 64u << 20;             ///< pages held in memory; a larger unit of work spills to the file
  std::size_t walBytes = 64u << 20;               ///< past it a commit moves the WAL into the file
  const Clock* clock = nullptr;                   ///< for erases whose commit time is unknown; null: the system's
};

/// Several pipelines may write into one file, each its own tables; they then take turns. A unit of work holds the
/// file's write lock from its first change to its commit. Its own tables begin with `_tidegate_`.
///
/// `readTable` reads what is committed, over a connection of its own: it may go on while the sink is written.
///
/// Errors beyond those of `Sink`: Error{storeUnavailable, Retry::later} for a full disk or a lock held past
/// `busyTimeout`; Error{rowIdInvalid} for a row whose key is null; Error{queryFailed, Retry::never} for a row that a
/// constraint of an existing table refuses.
/// @throws Error{invalidConfig} for an empty path, ":memory:", or a bad column name.
/// @thread As Sink: one call at a time. A stream of `readTable` may live on another thread.
std::shared_ptr<Sink> sink(SinkOptions options);

}  // namespace tidegate::sqlite
