/// A StateStore in a bucket of NATS's key-value store, so that what pollers and sources remember outlives the machine.
///
///     auto store = nats::stateStore({.connect = cluster, .stream = {.replicas = 3}, .fence = lease.token()});
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tidegate/core/state_store.h"
#include "tidegate/nats/connect_options.h"

namespace tidegate::nats {

struct StateStoreOptions {
  ConnectOptions connect{};
  std::string bucket = "TIDEGATE_STATE";  ///< letters, digits, '-' and '_'
  StreamOptions stream{};                 ///< how a missing bucket is made
  /// Over 0: entries are this owner's alone, as long as nobody comes with a greater number (`Lease::token`). Each entry
  /// is claimed when it is first read or written. Who comes later refuses everything of whoever was before: its `put`,
  /// `remove` and `get` throw Error{fenced, Retry::afterOperator}.
  std::uint64_t fence = 0;
};

/// Keys and octets may be anything. An entry too large for one message is kept in several; the change from the old ones
/// to the new is one message, so an entry is always whole. Reads ask the bucket's leader.
/// `put` and `remove` are repeated where their outcome is unknown, since they say the same twice.
/// @throws Error{invalidConfig}; Error{storeUnavailable} where the bucket cannot be reached or is missing.
/// @thread Any.
std::shared_ptr<StateStore> stateStore(StateStoreOptions options);

}  // namespace tidegate::nats
