/// What pollers must remember, in a SQLite file.
///
///     SourcePoller poller(config, gateway, {.state = sqlite::stateStore("/var/lib/app/pollers.db")});
#pragma once

#include <memory>
#include <string>

#include "tidegate/core/state_store.h"

namespace tidegate::sqlite {

/// Opens or makes the file. Each `put` is a transaction of its own, on disk when it returns. Several processes may
/// share the file. Give each kind of store a file of its own.
/// @throws Error{storeUnavailable, storeCorrupt}; Error{invalidConfig} if the file is a database of something else.
/// @thread Any.
std::shared_ptr<StateStore> stateStore(const std::string& path);

}  // namespace tidegate::sqlite
