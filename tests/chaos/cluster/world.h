/// All that runs, and how it is broken.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "chaos/cluster/nats_servers.h"

namespace tidegate::chaos {

/// Three nats-servers and three gateways (examples/cluster).
/// @thread One.
class World {
 public:
  static constexpr std::size_t kGateways = 3;

  /// @param everything also what nats-server before 2.11 does not survive (docs/chaos.md): servers cut off from each
  /// other, or
  ///                   frozen, for longer than it takes to elect another leader; all of them killed at once.
  World(test::Random& random, std::string gateway, const std::string& natsServer, std::string folder, bool everything);

  std::vector<std::string> gatewayUrls() const;
  /// How many kinds of fault there are.
  std::size_t faultKinds() const;
  /// Does something bad; some of it is mended before it returns, the rest by `mend`. @return its name.
  std::string breakSomething(std::size_t kind);
  void mend();
  /// Starts gateways that ended, as whoever runs them would.
  void revive();
  std::uint64_t kills() const { return kills_; }

 private:
  struct Fault;
  static const std::vector<Fault>& faults();

  void startGateway(std::size_t gateway);
  void killGateway(std::size_t gateway);
  void killServer(std::size_t node);
  void freezeGateway(std::size_t gateway, bool yes);
  std::size_t holder();
  std::size_t leader() { return servers_.leaderOf("SHOP"); }
  std::size_t follower();
  Cut anyCut() { return random_.chance(50) ? Cut::closed : Cut::silent; }
  void isolateServer(std::size_t node);
  /// For as long as servers may be cut off from each other; then they are not any more, unless `mend` does it.
  void endPartition();
  void wait(std::int64_t leastMillis, std::int64_t mostMillis);

  test::Random& random_;
  const std::string program_, folder_;
  const bool everything_;
  NatsServers servers_;
  std::array<std::uint16_t, kGateways> ports_{};
  std::array<std::unique_ptr<Child>, kGateways> gateways_{};
  std::uint64_t kills_ = 0;
};

}  // namespace tidegate::chaos
