/// A server that does what no good server does: each connection is a script over its socket.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <string>
#include <string_view>
#include <thread>

namespace tidegate::http::test {

/// One connection of a `FakeServer`.
class FakePeer {
 public:
  explicit FakePeer(int fd) : fd_(fd) {}
  /// Reads up to and with the end of a head, and `body` octets. @return false where the client has gone.
  bool readRequest(std::size_t body = 0) {
    while (true) {
      const std::size_t end = read_.find("\r\n\r\n");
      if (end != std::string::npos && read_.size() >= end + 4 + body) {
        read_.erase(0, end + 4 + body);
        return true;
      }
      char buffer[4096];
      const ssize_t got = recv(fd_, buffer, sizeof buffer, 0);
      if (got <= 0) return false;
      read_.append(buffer, static_cast<std::size_t>(got));
    }
  }
  void send(std::string_view octets) { static_cast<void>(::send(fd_, octets.data(), octets.size(), MSG_NOSIGNAL)); }
  /// Until the client closes.
  void waitForEnd() {
    char buffer[4096];
    while (recv(fd_, buffer, sizeof buffer, 0) > 0) {
    }
  }

 private:
  int fd_;
  std::string read_{};
};

/// Runs `script` for one connection after the other.
class FakeServer {
 public:
  explicit FakeServer(std::function<void(FakePeer&, int connection)> script) : script_(std::move(script)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    bind(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at);
    listen(fd_, 16);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }
  ~FakeServer() {
    thread_.request_stop();
    if (const int peer = peer_.load(); peer >= 0) shutdown(peer, SHUT_RDWR);
    thread_.join();
    close(fd_);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  int connections() const { return connections_; }

 private:
  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      pollfd waiting{fd_, POLLIN, 0};
      if (poll(&waiting, 1, 10) <= 0) continue;
      const int peer = accept(fd_, nullptr, nullptr);
      peer_ = peer;
      FakePeer one(peer);
      script_(one, connections_++);
      peer_ = -1;
      close(peer);
    }
  }

  const std::function<void(FakePeer&, int)> script_;
  const int fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::uint16_t port_ = 0;
  std::atomic<int> peer_{-1};
  std::atomic<int> connections_{0};
  std::jthread thread_{};
};

}  // namespace tidegate::http::test
