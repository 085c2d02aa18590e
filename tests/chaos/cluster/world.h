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

  /// @param late whether octets between servers may be held back and delivered after an election: nats-server before
  ///             2.11 then takes entries of a leader that is none any more, and loses what it acknowledged.
  World(test::Random& random, std::string gateway, const std::string& natsServer, std::string folder, bool late);

  std::vector<std::string> gatewayUrls() const;
  /// How many kinds of fault there are.
  static std::size_t faultKinds();
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
  Cut routeCut() { return late_ ? anyCut() : Cut::closed; }
  void isolateServer(std::size_t node);
  void wait(std::int64_t leastMillis, std::int64_t mostMillis);

  test::Random& random_;
  const std::string program_, folder_;
  const bool late_;
  NatsServers servers_;
  std::array<std::uint16_t, kGateways> ports_{};
  std::array<std::unique_ptr<Child>, kGateways> gateways_{};
  std::uint64_t kills_ = 0;
};

}  // namespace tidegate::chaos
