#include "postgres/detail/source_core.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <random>

#include "postgres/detail/errors.h"
#include "postgres/detail/server_error.h"
#include "tidegate/core/clock.h"

namespace tidegate::postgres::detail {
namespace {

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::invalidConfig, Retry::never, "postgres::SourceOptions: " + message);
}

bool isSlotName(const std::string& name) {
  return !name.empty() && name.size() <= 63 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

ConnectOptions forWriting(ConnectOptions options) {
  options.readOnly = false;  // publications, slots and heartbeats are written
  return options;
}

}  // namespace

void checkOptions(const SourceOptions& options) {
  if (!isSlotName(options.slot)) refuse("slot must be 1 to 63 lower-case letters, digits and underscores");
  if (options.publication.name.empty() || options.publication.name.size() > 63) {
    refuse("publication.name must have 1 to 63 octets");
  }
  if (options.protocolVersion > 4) refuse("protocolVersion must be 1 to 4, or 0 for the server's newest");
  if (options.batchEvents == 0) refuse("batchEvents must be at least 1");
  if (options.statusInterval.count() < 1) refuse("statusInterval must be at least 1 ms");
  if (options.monitorInterval.count() < 1) refuse("monitorInterval must be at least 1 ms");
  if (options.heartbeatInterval.count() < 0) refuse("heartbeatInterval must be 0 or more");
  if (options.baseline.chunkRows == 0) refuse("baseline.chunkRows must be at least 1");
  if (options.baseline.parallelConnections < 1 || options.baseline.parallelConnections > 64) {
    refuse("baseline.parallelConnections must be 1 to 64");
  }
  if (options.failover && options.mode == SlotMode::ephemeral) {
    refuse("failover is for stateful slots: an ephemeral one ends with its connection");
  }
  Backoff{options.backoff, 1};
}

std::string ephemeralName(const std::string& slot) {
  std::random_device device;
  return fmt::format("{}_{:08x}{:08x}", slot.substr(0, 40), device(), device());
}

SourceCore::SourceCore(SourceOptions given)
    : options((checkOptions(given), std::move(given))),
      slot(options.mode == SlotMode::stateful ? options.slot : ephemeralName(options.slot)),
      clock(&systemClock()),
      scheduler(&systemScheduler()),
      session(forWriting(options.connect)) {
  session.patient = true;
}

Error SourceCore::askFailure(const std::stop_token& stop) const {
  if (stop.stop_requested()) return Error(ErrorCode::queryCancelled, Retry::later, "stopped");
  return fromCurrentException();
}

void SourceCore::connected(const std::string& reason) {
  if (state.state() == SourceState::error) state.to(SourceState::connecting, "trying again");
  state.to(SourceState::connected, reason);
}

void SourceCore::warn(const std::string& message) const {
  if (context.onWarning) context.onWarning(message);
}

void SourceCore::remember(const std::vector<std::string>& tables) { asked.insert(tables.begin(), tables.end()); }

Error SourceCore::positionLost(const Error& why) {
  renewSlot = true;
  return Error(ErrorCode::positionLost, Retry::afterOperator, why.message());
}

}  // namespace tidegate::postgres::detail
