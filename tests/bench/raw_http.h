/// HTTP over a bare socket: the same client for every server that is measured.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tidegate::bench {

/// One kept connection, blocking.
class RawHttp {
 public:
  /// @throws std::runtime_error
  explicit RawHttp(int port);
  ~RawHttp();
  RawHttp(RawHttp&& other) noexcept;
  RawHttp& operator=(RawHttp&&) = delete;

  int socket() const { return socket_; }
  /// Sends all of it.
  void send(std::string_view octets);
  /// Reads one whole answer. @return its status; its head and body are kept until the next.
  int receive();
  int roundTrip(std::string_view request) {
    send(request);
    return receive();
  }
  std::string_view head() const { return std::string_view(buffer_).substr(0, headEnd_); }
  const std::string& body() const { return body_; }
  /// A field's value in the last head; empty where there is none.
  std::string_view field(std::string_view name) const;
  /// Reads what is there, without waiting. @return false once the peer has closed.
  bool readSome(std::string& into);

 private:
  void more();
  void readBody(std::size_t from);

  int socket_ = -1;
  std::string buffer_;
  std::size_t headEnd_ = 0;
  std::size_t used_ = 0;  ///< of the buffer, by the last answer
  std::string body_;
};

std::string rawPost(std::string_view path, std::string_view body);
std::string rawGet(std::string_view pathAndQuery);
std::string rawPut(std::string_view path);

}  // namespace tidegate::bench
