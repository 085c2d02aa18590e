/// Listens, and hands connections to the loops in turn.
#pragma once

#include <memory>
#include <vector>

#include "http/detail/asio.h"
#include "http/detail/loop.h"
#include "http/detail/server_context.h"

namespace tidegate::http::detail {

/// @thread `open` before the loops run; then the first loop's.
class Acceptor {
 public:
  Acceptor(ServerContext& server, std::vector<std::shared_ptr<Loop>>& loops);
  /// @return the port. @throws Error{connectionFailed}.
  std::uint16_t open();
  void start() { accept(); }
  void close();

 private:
  void accept();
  void accepted(const boost::system::error_code& error, Tcp::socket socket, std::size_t loop);
  void give(Tcp::socket socket, std::size_t loop);
  void turnAway(Tcp::socket socket);

  ServerContext& server_;
  std::vector<std::shared_ptr<Loop>>& loops_;
  Tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  std::size_t next_ = 0;
};

}  // namespace tidegate::http::detail
