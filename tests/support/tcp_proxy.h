/// A TCP relay that a test can cut, freeze and slow down: no packet filter, no privileges.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace tidegate::test {

/// Listens on a free port of 127.0.0.1 and relays each connection to 127.0.0.1:`target`.
/// @thread Any.
class TcpProxy {
 public:
  explicit TcpProxy(std::uint16_t target);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  std::uint16_t port() const noexcept;
  /// Breaks every open connection, at whatever octet it stands.
  void cut();
  /// New connections are closed at once until `accept(true)`.
  void accept(bool yes);
  /// Holds all octets back, with connections open, until `freeze(false)`.
  void freeze(bool yes);
  /// Each piece relayed waits this long first.
  void delay(std::chrono::milliseconds by);
  /// Octets relayed so far, both ways.
  std::uint64_t relayed() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tidegate::test
