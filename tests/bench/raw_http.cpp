#include "bench/raw_http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <cstdlib>
#include <stdexcept>
#include <utility>

namespace tidegate::bench {

namespace {

std::string lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

}  // namespace

RawHttp::RawHttp(int port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("cannot connect");
  const int on = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

RawHttp::~RawHttp() {
  if (socket_ >= 0) ::close(socket_);
}

RawHttp::RawHttp(RawHttp&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)),
      buffer_(std::move(other.buffer_)),
      headEnd_(other.headEnd_),
      used_(other.used_) {}

void RawHttp::send(std::string_view octets) {
  while (!octets.empty()) {
    const ssize_t n = ::send(socket_, octets.data(), octets.size(), MSG_NOSIGNAL);
    if (n <= 0) throw std::runtime_error("the server hung up while it was sent to");
    octets.remove_prefix(static_cast<std::size_t>(n));
  }
}

void RawHttp::more() {
  std::array<char, 256u << 10> piece;
  const ssize_t n = ::recv(socket_, piece.data(), piece.size(), 0);
  if (n <= 0) throw std::runtime_error("the server hung up before its answer was whole");
  buffer_.append(piece.data(), static_cast<std::size_t>(n));
}

bool RawHttp::readSome(std::string& into) {
  std::array<char, 64u << 10> piece;
  const ssize_t n = ::recv(socket_, piece.data(), piece.size(), MSG_DONTWAIT);
  if (n > 0) into.append(piece.data(), static_cast<std::size_t>(n));
  return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

std::string_view RawHttp::field(std::string_view name) const {
  std::string_view rest = head();
  const std::string wanted = lowered(name);
  while (!rest.empty()) {
    const std::size_t end = rest.find("\r\n");
    const std::string_view line = rest.substr(0, end);
    const std::size_t colon = line.find(':');
    if (colon == wanted.size() && lowered(line.substr(0, colon)) == wanted) {
      const std::size_t value = line.find_first_not_of(' ', colon + 1);
      return value == std::string_view::npos ? std::string_view() : line.substr(value);
    }
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 2);
  }
  return {};
}

void RawHttp::readBody(std::size_t from) {
  body_.clear();
  if (const std::string_view length = field("content-length"); !length.empty()) {
    const std::size_t size = std::strtoull(std::string(length).c_str(), nullptr, 10);
    while (buffer_.size() < from + size) more();
    body_.assign(buffer_, from, size);
    used_ = from + size;
    return;
  }
  if (field("transfer-encoding").empty()) {
    used_ = from;
    return;
  }
  while (true) {
    std::size_t line = 0;
    while ((line = buffer_.find("\r\n", from)) == std::string::npos) more();
    const std::size_t size = std::strtoull(buffer_.c_str() + from, nullptr, 16);
    while (buffer_.size() < line + 2 + size + 2) more();
    body_.append(buffer_, line + 2, size);
    from = line + 2 + size + 2;
    if (size == 0) break;
  }
  used_ = from;
}

int RawHttp::receive() {
  buffer_.erase(0, used_);
  used_ = 0;
  while ((headEnd_ = buffer_.find("\r\n\r\n")) == std::string::npos) more();
  readBody(headEnd_ + 4);
  return std::atoi(buffer_.c_str() + 9);
}

std::string rawPost(std::string_view path, std::string_view body) {
  std::string out("POST ");
  out.append(path).append(" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ");
  out.append(std::to_string(body.size())).append("\r\n\r\n").append(body);
  return out;
}

std::string rawGet(std::string_view pathAndQuery) {
  return std::string("GET ").append(pathAndQuery).append(" HTTP/1.1\r\nHost: localhost\r\n\r\n");
}

std::string rawPut(std::string_view path) {
  return std::string("PUT ").append(path).append(
      " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n");
}

}  // namespace tidegate::bench
