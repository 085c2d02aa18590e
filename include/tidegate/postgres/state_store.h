/// What pollers and sources must remember, in a PostgreSQL table.
///
///     auto state = postgres::stateStore({.connect = {.url = "postgresql://tidegate@db.example/shop"}});
///     SourcePoller poller(config, gateway, {.state = state});
#pragma once

#include <memory>
#include <string>

#include "tidegate/core/state_store.h"
#include "tidegate/postgres/query_fn.h"

namespace tidegate::postgres {

/// Where a state store is.
struct StateStoreOptions {
  ConnectOptions connect{};           ///< `readOnly` is not looked at
  std::string schema = "_tidegate";   ///< made if it is not there, as the table is
  std::string table = "state_store";  ///< columns: key bytea, its primary key; octets bytea
};

/// Connects. Each `put` is a transaction of its own, on the server's disk when it returns. Any number of processes may
/// share the table. A connection that breaks is made anew; a `put` or `remove` is then done again, a `putIf` says that
/// its outcome is unknown.
/// @throws Error{invalidConfig} for options that contradict each other; Error{storeUnavailable} naming what is missing.
/// @thread Any; one call at a time reaches the server.
std::shared_ptr<StateStore> stateStore(StateStoreOptions options);

}  // namespace tidegate::postgres
