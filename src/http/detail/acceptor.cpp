#include "http/detail/acceptor.h"

#include <spdlog/spdlog.h>

#include <array>

#include "tidegate/core/error.h"

namespace tidegate::http::detail {
namespace {

/// Before the next try where the process has no descriptor left.
constexpr std::chrono::milliseconds kAcceptPause{100};

}  // namespace

Acceptor::Acceptor(ServerContext& server, std::vector<std::shared_ptr<Loop>>& loops)
    : server_(server), loops_(loops), acceptor_(loops.front()->io()), pause_(loops.front()->io()) {}

std::uint16_t Acceptor::open() {
  const ServerOptions& options = server_.options;
  boost::system::error_code error;
  const auto address = asio::ip::make_address(options.address, error);
  const Tcp::endpoint endpoint(address, options.port);
  if (!error) acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(Tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(Tcp::acceptor::max_listen_connections, error);
  const auto port = error ? std::uint16_t{0} : acceptor_.local_endpoint(error).port();
  if (error) {
    throw Error(ErrorCode::connectionFailed, Retry::afterOperator,
                "cannot listen on " + options.address + " port " + std::to_string(options.port) + ": " +
                    error.message() + "; choose another address or port");
  }
  return port;
}

void Acceptor::close() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  pause_.cancel();
}

void Acceptor::accept() {
  const std::size_t loop = next_++ % loops_.size();
  acceptor_.async_accept(loops_[loop]->io(), [this, loop](const boost::system::error_code& error, Tcp::socket socket) {
    accepted(error, std::move(socket), loop);
  });
}

void Acceptor::accepted(const boost::system::error_code& error, Tcp::socket socket, std::size_t loop) {
  if (!acceptor_.is_open()) return;
  if (!error) {
    give(std::move(socket), loop);
    return accept();
  }
  if (error == asio::error::connection_aborted || error == asio::error::interrupted) return accept();
  spdlog::warn("http: cannot accept a connection: {}; trying again", error.message());
  pause_.expires_after(kAcceptPause);
  pause_.async_wait([this](const boost::system::error_code& cancelled) {
    if (!cancelled && acceptor_.is_open()) accept();
  });
}

void Acceptor::give(Tcp::socket socket, std::size_t loop) {
  const Limits& limits = server_.options.limits;
  if (server_.open.load() >= limits.connections) return turnAway(std::move(socket));
  boost::system::error_code gone;
  const auto peer = socket.remote_endpoint(gone);
  auto place = server_.places->enter(gone ? std::string() : peer.address().to_string(), limits.connectionsPerAddress);
  if (!place) return turnAway(std::move(socket));
  server_.open.fetch_add(1);
  std::shared_ptr<SSL_CTX> tls;
  {
    const std::lock_guard lock(server_.mutex);
    tls = server_.tls;
  }
  if (loop == 0) {
    loops_[0]->adopt(std::move(socket), std::move(tls), *std::move(place));
    return;
  }
  asio::post(loops_[loop]->io(),
             [to = loops_[loop].get(), socket = std::move(socket), tls = std::move(tls),
              place = *std::move(place)]() mutable { to->adopt(std::move(socket), std::move(tls), std::move(place)); });
}

/// No memory is spent on a connection over the bound: what can be said at once is said.
void Acceptor::turnAway(Tcp::socket socket) {
  Counters::add<std::uint64_t>(loops_[0]->counters().refused);
  if (server_.options.tls.certificate.empty()) {
    static constexpr std::string_view kAnswer =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n";
    boost::system::error_code ignored;
    socket.non_blocking(true, ignored);
    // What was sent already is taken away, so that the close is no reset that overtakes the answer.
    std::array<char, 4096> unread;
    socket.read_some(asio::buffer(unread), ignored);
    socket.write_some(asio::buffer(kAnswer), ignored);
    socket.shutdown(Tcp::socket::shutdown_both, ignored);
  }
}

}  // namespace tidegate::http::detail
