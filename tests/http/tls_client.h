/// `RawClient` over TLS: the server's certificate is checked, and each `send` is a record of its own.
#pragma once

#include <openssl/ssl.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "http/raw_client.h"

namespace tidegate::http::test {

class TlsClient {
 public:
  /// @param authority a PEM file.
  TlsClient(std::uint16_t port, const std::string& authority)
      : socket_(port), context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    EXPECT_EQ(SSL_CTX_load_verify_locations(context_.get(), authority.c_str(), nullptr), 1);
    const timeval patience{kPatience.count(), 0};
    setsockopt(socket_.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), socket_.fd());
    EXPECT_EQ(SSL_connect(ssl_.get()), 1) << "no TLS";
  }

  bool send(std::string_view octets) {
    return octets.empty() || SSL_write(ssl_.get(), octets.data(), static_cast<int>(octets.size())) > 0;
  }
  std::string readUntil(std::string_view end) {
    while (read_.find(end) == std::string::npos && more()) {
    }
    const std::size_t at = read_.find(end);
    return take(at == std::string::npos ? read_.size() : at + end.size());
  }
  std::string readBytes(std::size_t count) {
    while (read_.size() < count && more()) {
    }
    return take(std::min(count, read_.size()));
  }
  /// Whether the server said goodbye as TLS wants it, and not merely went: else an end may be forged.
  bool closedInGoodOrder() {
    while (more()) {
    }
    return (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
  }
  /// Goes without a word.
  void reset() { socket_.reset(); }

 private:
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  bool more() {
    char buffer[16384];
    const int got = SSL_read(ssl_.get(), buffer, sizeof buffer);
    if (got > 0) read_.append(buffer, static_cast<std::size_t>(got));
    return got > 0;
  }
  std::string take(std::size_t count) {
    std::string out = read_.substr(0, count);
    read_.erase(0, count);
    return out;
  }

  RawClient socket_;
  std::unique_ptr<SSL_CTX, Free> context_;
  std::unique_ptr<SSL, Free> ssl_{};
  std::string read_{};
};

}  // namespace tidegate::http::test
