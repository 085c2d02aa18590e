#include "support/tcp_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <list>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace tidegate::test {

namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int openListener(std::uint16_t& port) {
  // Below the ephemeral range, so that no outgoing connection holds the port.
  constexpr std::uint32_t kFirst = 20'000, kPorts = 12'000;
  static std::atomic<std::uint32_t> next{static_cast<std::uint32_t>(::getpid()) * 7};
  for (std::uint32_t attempt = 0; attempt < kPorts; ++attempt) {
    port = static_cast<std::uint16_t>(kFirst + next.fetch_add(131) % kPorts);
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) break;
    // Connections that were cut a moment ago still count as the port's.
    const int yes = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    const sockaddr_in address = loopback(port);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 && ::listen(fd, 64) == 0)
      return fd;
    ::close(fd);
  }
  throw std::runtime_error("the proxy found no free port");
}

bool sendAll(int fd, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t sent = ::send(fd, data, size, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    data += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return true;
}

}  // namespace

struct TcpProxy::Impl {
  /// Both ends of a connection: shut down by anyone, closed when the last of its threads lets go.
  struct Link {
    int client, server;
    ~Link() {
      ::close(client);
      ::close(server);
    }
    void breakOff() const {
      ::shutdown(client, SHUT_RDWR);
      ::shutdown(server, SHUT_RDWR);
    }
  };

  explicit Impl(std::uint16_t to) : target(to), listener(openListener(port)) {
    acceptor = std::jthread([this](const std::stop_token& stop) { acceptLoop(stop); });
  }
  ~Impl() {
    acceptor.request_stop();
    acceptor.join();
    freeze(false);
    cut();
    relays.clear();
    ::close(listener);
  }

  void acceptLoop(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      pollfd ready{listener, POLLIN, 0};
      if (::poll(&ready, 1, 50) <= 0) continue;
      const int client = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (client < 0) continue;
      const int server = accepting ? ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
      const sockaddr_in address = loopback(target);
      if (server < 0 || ::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        if (server >= 0) ::close(server);
        ::close(client);
        continue;
      }
      auto link = std::make_shared<Link>();
      link->client = client;
      link->server = server;
      const std::lock_guard lock(mutex);
      links.push_back(link);
      relays.emplace_back([this, link] { relay(*link, link->client, link->server); });
      relays.emplace_back([this, link] { relay(*link, link->server, link->client); });
    }
  }

  void relay(Link& link, int from, int to) {
    std::array<char, 64 * 1024> buffer{};
    for (;;) {
      const ssize_t got = ::recv(from, buffer.data(), buffer.size(), 0);
      if (got <= 0) break;
      if (const auto wait = delayMillis.load(); wait > 0) std::this_thread::sleep_for(std::chrono::milliseconds(wait));
      frozen.wait(true);
      if (!sendAll(to, buffer.data(), static_cast<std::size_t>(got))) break;
      octets += static_cast<std::uint64_t>(got);
    }
    link.breakOff();
  }

  void freeze(bool yes) {
    frozen = yes;
    frozen.notify_all();
  }

  void cut() {
    const std::lock_guard lock(mutex);
    for (const auto& link : links) {
      if (const auto held = link.lock()) held->breakOff();
    }
    links.clear();
  }

  const std::uint16_t target;
  std::uint16_t port = 0;
  const int listener;
  std::atomic<bool> accepting{true}, frozen{false};
  std::atomic<std::int64_t> delayMillis{0};
  std::atomic<std::uint64_t> octets{0};
  std::mutex mutex;
  std::list<std::weak_ptr<Link>> links;  ///< guarded by mutex
  std::list<std::jthread> relays;        ///< guarded by mutex until the acceptor has ended
  std::jthread acceptor;
};

TcpProxy::TcpProxy(std::uint16_t target) : impl_(std::make_unique<Impl>(target)) {}
TcpProxy::~TcpProxy() = default;
std::uint16_t TcpProxy::port() const noexcept { return impl_->port; }
void TcpProxy::cut() { impl_->cut(); }
void TcpProxy::accept(bool yes) { impl_->accepting = yes; }
void TcpProxy::freeze(bool yes) { impl_->freeze(yes); }
void TcpProxy::delay(std::chrono::milliseconds by) { impl_->delayMillis = by.count(); }
std::uint64_t TcpProxy::relayed() const { return impl_->octets; }

}  // namespace tidegate::test
