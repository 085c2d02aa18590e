/// A gateway's durable half in one SQLite file.
///
///     Gateway gateway({.store = sqlite::gatewayStore({.path = "/var/lib/app/gateway.db"})});
///
/// One transaction per group commit, in WAL mode. The file layout is in docs/sqlite.md.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "tidegate/gateway/store.h"
#include "tidegate/sqlite/synchronous.h"

namespace tidegate::sqlite {

struct GatewayStoreOptions {
  std::string path;  ///< made where there is none; its folder must exist
  Synchronous synchronous = Synchronous::full;
  std::chrono::milliseconds lockTimeout{2'000};  ///< how long opening waits for another owner to let the file go
  std::size_t walBytes = 16u << 20;              ///< past it a commit moves the WAL into the file
};

/// Opens or makes the file and owns it: until the store is destroyed a second gateway cannot open it. The owner's lock
/// is on `<path>-owner`, a file beside it. Others may read the database, and so copy it, while it runs. Give each store
/// a file of its own.
/// @throws Error{storeUnavailable} if it is in use, or cannot be opened or made; Error{storeCorrupt} if it is damaged;
///         Error{invalidConfig} if it is a database of something else, or of a newer Tidegate.
/// @thread As GatewayStore: one call at a time.
std::shared_ptr<GatewayStore> gatewayStore(GatewayStoreOptions options);

}  // namespace tidegate::sqlite
