/// A home for gateways in JetStream: a log of its own, gone with its last user.
#pragma once

#include <memory>
#include <string>

#include "contract/gateway_home.h"
#include "nats/nats_rig.h"
#include "tidegate/nats/gateway_store.h"

namespace tidegate::nats::testing {

class LogHome {
 public:
  explicit LogHome(std::uint32_t replicas) {
    options_ = {.connect = serverOptions(), .log = freshName("GATEWAYS")};
    options_.stream.replicas = replicas;
    options_.stream.storage = Storage::memory;
  }
  ~LogHome() {
    try {
      Servers servers;
      servers.js().remove(options_.log);
      servers.js().remove(options_.log + "_SNAPSHOTS");
    } catch (const std::exception&) {  // the servers go with the test
    }
  }
  LogHome(const LogHome&) = delete;
  LogHome& operator=(const LogHome&) = delete;

  const GatewayStoreOptions& options() const noexcept { return options_; }
  std::shared_ptr<SharedLog> join() const { return gatewayStore(options_); }

 private:
  GatewayStoreOptions options_;
};

/// For the contract's suite: each gateway has an end of its own.
inline contract::GatewayHomeCase::Opener logOpener(std::uint32_t replicas) {
  return [home = std::make_shared<LogHome>(replicas)](GatewayOptions& options) { options.sharedLog = home->join(); };
}

}  // namespace tidegate::nats::testing
