/// Snapshots of diff polling in a SQLite file: they survive restarts, and may be larger than memory.
///
///     SourcePoller poller(config, gateway, {.snapshots = sqlite::snapshotStore("/var/lib/app/snapshots.db")});
#pragma once

#include <memory>
#include <string>

#include "tidegate/source/snapshot_store.h"

namespace tidegate::sqlite {

/// Opens or makes the file. A snapshot holds two bits a row in memory and a page cache of bounded size; an unchanged
/// row is read, never written. Give each kind of store a file of its own, and each key one open snapshot at a time.
/// @throws Error{storeUnavailable, storeCorrupt}; Error{invalidConfig} if the file is a database of something else.
/// @thread The store: any. Each of its snapshots has a connection of its own.
std::shared_ptr<SnapshotStore> snapshotStore(const std::string& path);

}  // namespace tidegate::sqlite
