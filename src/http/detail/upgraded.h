/// What reads a connection that speaks HTTP no more.
#pragma once

#include <cstddef>
#include <string_view>

namespace tidegate::http::detail {

/// @thread Its connection's. What it has to say it writes to its exchange.
class Upgraded {
 public:
  virtual ~Upgraded() = default;
  /// @return how many octets it used; 0: it needs more, or wants none now.
  virtual std::size_t onOctets(std::string_view octets) = 0;
  /// Whether octets may be given to it now.
  virtual bool reads() const noexcept = 0;
  /// The server is stopping.
  virtual void onDrain() = 0;
  /// Whether it only waits for the peer's goodbye.
  virtual bool closing() const noexcept = 0;
};

}  // namespace tidegate::http::detail
