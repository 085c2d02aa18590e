/// Three nats-servers whose routes, and whose clients' connections, go through relays: to be killed, frozen and cut
/// off.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "chaos/child.h"
#include "nats/detail/jetstream.h"
#include "support/property.h"
#include "support/tcp_proxy.h"

namespace tidegate::chaos {

/// A port of 127.0.0.1 that is free now, below those that relays and outgoing connections take.
std::uint16_t freePort(test::Random& random);

/// How a connection breaks.
enum class Cut {
  closed,  ///< at once, and new ones too: the network says no
  silent   ///< octets no longer pass, and come late when it is mended: the network says nothing
};

/// @thread One. Children end with the thread that started them.
class NatsServers {
 public:
  static constexpr std::size_t kNodes = 3;

  /// @param gateways how many there are: each reaches the servers through relays of its own.
  NatsServers(test::Random& random, std::string program, std::string folder, std::size_t gateways);
  ~NatsServers();

  std::string urlsFor(std::size_t gateway) const;

  /// @return whether it ran.
  bool kill9(std::size_t node);
  void freeze(std::size_t node, bool yes);
  /// Cuts a server off from the two others.
  void isolate(std::size_t node, Cut how);
  /// Cuts two servers off from each other. The third still reaches both.
  void part(std::size_t one, std::size_t other, Cut how);
  /// Cuts a gateway off from a server.
  void partGateway(std::size_t gateway, std::size_t node, Cut how);
  /// What a server and the others say to each other comes late.
  void slow(std::size_t node, std::chrono::milliseconds by);
  /// Everything runs, and everything passes.
  void mend();

  /// The server that leads the stream; any, while none does.
  std::size_t leaderOf(const std::string& stream);
  /// Who holds the lease, by its name; empty while nobody knows.
  std::string holderOf(const std::string& lease);

 private:
  using Relay = std::unique_ptr<test::TcpProxy>;
  void start(std::size_t node);
  void configure(std::size_t node) const;
  static void cut(test::TcpProxy& relay, Cut how);
  nats::detail::Connection connect() const;

  test::Random& random_;
  const std::string program_, folder_;
  std::array<std::uint16_t, kNodes> clientPorts_{}, routePorts_{};
  std::array<std::array<Relay, kNodes>, kNodes> routes_{};  ///< [from][to]; none to itself
  std::vector<std::array<Relay, kNodes>> gatewayRelays_{};
  std::array<std::unique_ptr<Child>, kNodes> servers_{};
};

}  // namespace tidegate::chaos
