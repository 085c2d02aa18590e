/// TLS over octets in memory: nothing of sockets, so that one connection serves both ways.
#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "tidegate/http/server.h"

namespace tidegate::http::detail {

/// Certificate, key and rules of a server. @throws Error{invalidConfig} that names the file.
std::shared_ptr<SSL_CTX> serverTls(const TlsFiles& files);

/// The server's side of one connection.
/// @thread One at a time.
class TlsSession {
 public:
  explicit TlsSession(SSL_CTX& context);

  /// Takes what the peer sent. @return false where memory ran out.
  bool feed(std::string_view cipher);
  /// Whether the handshake is done.
  bool ready() const noexcept { return SSL_is_init_finished(ssl_.get()) == 1; }
  enum class Read { data, more, closed, failed };
  /// Gives what the peer said. `size` is the room, then what was written.
  Read read(char* to, std::size_t& size);
  /// Encrypts. @return octets taken, zero where it failed.
  std::size_t write(std::string_view plain);
  /// Says that nothing more will be sent.
  void closeNotify();
  /// Moves what is to be sent to the end of `out`. @return how much.
  std::size_t takeOutput(std::string& out);

 private:
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  std::unique_ptr<SSL, Free> ssl_;
};

}  // namespace tidegate::http::detail
