/// A client of bare octets: says what a test wants said, however wrong, and reads what comes back.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace tidegate::http::test {

inline constexpr std::chrono::seconds kPatience{20};

/// Waits until `holds()`; false after `kPatience`.
template <class Holds>
bool eventually(Holds&& holds) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > until) return false;
    poll(nullptr, 0, 1);
  }
  return true;
}

class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  RawClient(RawClient&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), connected_(other.connected_), read_(std::move(other.read_)) {}
  RawClient& operator=(RawClient&&) = delete;
  ~RawClient() { close(); }

  bool connected() const noexcept { return connected_; }
  int fd() const noexcept { return fd_; }

  /// @return false where the server has closed.
  bool send(std::string_view octets) {
    while (!octets.empty()) {
      const ssize_t sent = ::send(fd_, octets.data(), octets.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      octets.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  void halfClose() { shutdown(fd_, SHUT_WR); }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  /// Closes so that the peer sees a reset.
  void reset() {
    const linger now{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }

  /// Up to and with `end`, or what came until the server closed or patience ended.
  std::string readUntil(std::string_view end) {
    std::size_t at = 0;
    while ((at = read_.find(end)) == std::string::npos && more()) {
    }
    const std::size_t length = at == std::string::npos ? read_.size() : at + end.size();
    std::string out = read_.substr(0, length);
    read_.erase(0, length);
    return out;
  }
  std::string readBytes(std::size_t count) {
    while (read_.size() < count && more()) {
    }
    std::string out = read_.substr(0, count);
    read_.erase(0, out.size());
    return out;
  }
  std::string readAll() {
    while (more()) {
    }
    return std::exchange(read_, {});
  }
  /// Whether the server has closed, within patience.
  bool closedByServer() {
    while (more()) {
    }
    return ended_;
  }

  /// A whole answer with Content-Length or chunks; the body behind the head.
  struct Answer {
    int status = 0;
    std::string head{};
    std::string body{};
  };
  Answer readAnswer(bool headOnly = false) {
    Answer answer{.head = readUntil("\r\n\r\n")};
    if (answer.head.size() > 12) answer.status = std::atoi(answer.head.c_str() + 9);
    if (headOnly || answer.status < 200 || answer.status == 204 || answer.status == 304) return answer;
    if (const auto length = field(answer.head, "Content-Length")) {
      answer.body = readBytes(std::stoul(*length));
    } else if (field(answer.head, "Transfer-Encoding")) {
      while (const std::size_t size = std::stoul("0" + readUntil("\r\n"), nullptr, 16)) {
        answer.body += readBytes(size);
        readBytes(2);
      }
      readBytes(2);
    } else {
      answer.body = readAll();
    }
    return answer;
  }
  Answer ask(std::string_view request) {
    send(request);
    return readAnswer();
  }

  static std::optional<std::string> field(const std::string& head, const std::string& name) {
    const std::size_t at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return std::nullopt;
    const std::size_t from = at + name.size() + 4;
    return head.substr(from, head.find("\r\n", from) - from);
  }

 private:
  bool more() {
    if (ended_) return false;
    pollfd waiting{fd_, POLLIN, 0};
    const auto patience = std::chrono::duration_cast<std::chrono::milliseconds>(kPatience);
    if (poll(&waiting, 1, static_cast<int>(patience.count())) <= 0) return false;
    char buffer[16384];
    const ssize_t got = recv(fd_, buffer, sizeof buffer, 0);
    if (got <= 0) {
      ended_ = true;
      return false;
    }
    read_.append(buffer, static_cast<std::size_t>(got));
    return true;
  }

  int fd_;
  bool connected_ = false;
  bool ended_ = false;
  std::string read_{};
};

}  // namespace tidegate::http::test
