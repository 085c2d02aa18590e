/// A connection in replication mode: commands first, then COPY BOTH.
#pragma once

#include <chrono>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "postgres/detail/connect.h"
#include "postgres/detail/lsn.h"
#include "postgres/detail/replication_protocol.h"
#include "postgres/detail/session.h"
#include "postgres/detail/sql.h"
#include "postgres/detail/wake_up.h"
#include "tidegate/postgres/query_fn.h"

namespace tidegate::postgres::detail {

/// @thread One at a time.
class ReplicationConnection {
 public:
  /// Connects and sets the session up, so that values are printed as the query functions have them.
  /// @throws Error{invalidConfig, connectionFailed, authenticationFailed, permissionDenied, queryCancelled}
  ReplicationConnection(const ConnectOptions& options, std::stop_token stop);
  ~ReplicationConnection();
  ReplicationConnection(const ReplicationConnection&) = delete;
  ReplicationConnection& operator=(const ReplicationConnection&) = delete;

  /// Runs a command of the replication protocol, or a statement without parameters. @throws ServerError, Error
  OwnedResult command(const std::string& text, const std::stop_token& stop);

  /// START_REPLICATION; from here on only the members below. @throws ServerError, Error
  void start(const std::string& command, const std::stop_token& stop);
  bool streaming() const noexcept { return streaming_; }

  enum class Received { message, nothing };
  /// Takes the next message if one is there. Never waits. @param octets are valid until the next call.
  /// @throws ServerError, Error{connectionFailed} if the stream has ended.
  Received receive(std::string_view& octets);
  /// Sends our status as far as the socket takes it. @throws Error{connectionFailed}
  void send(const ClientStatus& status);

  /// Waits until something can be read, `wake` is signalled, or the time is over.
  /// @param read false: octets that arrive do not end the wait, only the connection's end does.
  void wait(const WakeUp& wake, std::chrono::milliseconds longest, bool read = true);

  int serverVersion() const { return PQserverVersion(connection_.get()); }
  bool trustedEncoding() const noexcept { return trustedEncoding_; }
  bool alive() const noexcept { return PQstatus(connection_.get()) == CONNECTION_OK; }

 private:
  [[noreturn]] void fail(const PGresult* result) const;
  static void noticed(void* self, const PGresult* notice);
  void configure(const ConnectOptions& options, const std::stop_token& stop);

  std::string where_;
  OwnedConnection connection_;
  std::shared_ptr<SocketHandle> socket_;
  char* buffer_ = nullptr;  ///< of libpq: what `receive` gave out
  std::string statusOctets_;
  std::string skipped_{};  ///< what the server said of a publication that it went on without
  bool trustedEncoding_ = true;
  bool streaming_ = false;
};

}  // namespace tidegate::postgres::detail
