/// The log that several gateways share, in JetStream (docs/cluster.md, docs/nats.md).
///
///     Gateway gateway({.sharedLog = nats::gatewayStore({.connect = cluster, .log = "SHOP", .stream = {.replicas =
///     3}})});
///
/// An append is acknowledged once a majority of the stream's replicas has it. Each expects the last message that its
/// gateway knows, so of two that come at once one is refused. An entry that is larger than a message is cut into parts;
/// parts whose last one never came are passed over by all readers alike.
///
/// Where the log has replicas on nats-servers before 2.11, which may part (docs/nats.md), that is logged as a warning
/// named "oldServers". A gateway that meets another history than it has applied stops with `logDiverged`.
///
/// A leader that was cut off from the others may answer for some seconds as if it knew the log's end. It cannot
/// acknowledge an append then; a reader of it is late, never wrong.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "tidegate/gateway/shared_log.h"
#include "tidegate/nats/connect_options.h"

namespace tidegate::nats {

struct GatewayStoreOptions {
  ConnectOptions connect{};
  /// The streams' name: "<log>" has the entries, "<log>_SNAPSHOTS" the snapshots. Letters, digits, '-' and '_'.
  std::string log = "TIDEGATE_GATEWAY";
  /// How missing streams are made. `maxAge` must be 0: entries go by `trim` alone. Above `maxBytes` appends fail.
  StreamOptions stream{};
};

/// One end of the log, for one gateway.
/// @throws Error{invalidConfig, connectionFailed, authenticationFailed, tableNotFound}
std::shared_ptr<SharedLog> gatewayStore(GatewayStoreOptions options);

}  // namespace tidegate::nats
