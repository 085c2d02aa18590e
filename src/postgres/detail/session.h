/// One connection of a query function: made when needed, set up, watched, dropped when in doubt.
#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <memory>
#include <optional>
#include <pqxx/connection_base>
#include <pqxx/connectionpolicy>
#include <stop_token>

#include "postgres/detail/options.h"

namespace tidegate::postgres::detail {

/// A libpqxx connection around a PGconn that somebody else made. libpqxx 6.4 connects again by itself when a connection
/// breaks, without the session's settings: this one refuses, so that a broken connection stays broken.
class PqxxSession final : public pqxx::connection_base {
 public:
  explicit PqxxSession(PGconn* made);
  ~PqxxSession() noexcept { close(); }
  PGconn* raw() const noexcept { return policy_.raw; }

 private:
  struct Adopted final : pqxx::connectionpolicy {
    explicit Adopted(PGconn* made) : pqxx::connectionpolicy(std::string()), raw(made) {}
    handle do_startconnect(handle held) override;
    handle do_completeconnect(handle held) override { return held; }
    handle do_dropconnect(handle held) noexcept override { return held; }
    PGconn* raw;
    bool taken = false;
  };
  Adopted policy_;
};

/// A second descriptor of the connection's socket. Shutting it down ends every wait of libpq on that socket from any
/// thread, and it cannot be another file's number by then, as libpq's own descriptor could.
class SocketHandle {
 public:
  explicit SocketHandle(int socket);
  ~SocketHandle();
  SocketHandle(const SocketHandle&) = delete;
  SocketHandle& operator=(const SocketHandle&) = delete;
  void shutDown() const noexcept;

 private:
  int fd_;
};

class Session {
 public:
  /// @throws Error{invalidConfig}
  explicit Session(ConnectOptions options);

  /// Connects if there is no live connection, and sets the statement timeout (0: the options').
  /// @throws Error{connectionFailed, authenticationFailed, queryCancelled}
  void prepare(std::chrono::milliseconds timeout, const std::stop_token& stop);
  PqxxSession& connection() { return *connection_; }
  const std::shared_ptr<SocketHandle>& socket() const { return socket_; }
  bool trustedEncoding() const { return trustedEncoding_; }
  /// Closes; the server ends what still runs.
  void drop() noexcept;
  /// Drops what is known to be broken.
  void dropIfBroken() noexcept;

  bool patient = false;    ///< none of the server's own timeouts ends it; set before it connects
  bool streaming = false;  ///< a row stream holds the connection

 private:
  void connect(const std::stop_token& stop);
  void configure();
  bool idleAndAlive();
  void setting(const std::string& name, const std::string& value);

  ConnectOptions options_;
  Keywords keywords_;
  std::unique_ptr<PqxxSession> connection_;
  std::shared_ptr<SocketHandle> socket_;
  std::chrono::milliseconds timeoutSet_{-1};
  bool trustedEncoding_ = true;
  bool serverNoticesHangup_ = false;
};

/// While it lives, a requested stop shuts the socket down.
class StopGuard {
 public:
  StopGuard(const std::stop_token& stop, std::shared_ptr<SocketHandle> socket)
      : callback_(stop, [held = std::move(socket)] { held->shutDown(); }) {}

 private:
  std::stop_callback<std::function<void()>> callback_;
};

}  // namespace tidegate::postgres::detail
