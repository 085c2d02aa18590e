#include "postgres/detail/session.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pqxx/nontransaction>
#include <pqxx/transaction_base>
#include <system_error>

#include "postgres/detail/connect.h"
#include "postgres/detail/errors.h"
#include "postgres/detail/sql.h"

namespace tidegate::postgres::detail {

PqxxSession::PqxxSession(PGconn* made) : pqxx::connection_base(policy_), policy_(made) { init(); }

pqxx::connectionpolicy::handle PqxxSession::Adopted::do_startconnect(handle held) {
  if (held != nullptr) return held;
  if (taken) throw pqxx::broken_connection("the connection was lost");
  taken = true;
  return raw;
}

SocketHandle::SocketHandle(int socket) : fd_(dup(socket)) {
  if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "dup of the connection's socket");
}
SocketHandle::~SocketHandle() { close(fd_); }
void SocketHandle::shutDown() const noexcept { ::shutdown(fd_, SHUT_RDWR); }

Session::Session(ConnectOptions options) : options_(std::move(options)), keywords_(keywordsOf(options_)) {}

void Session::prepare(std::chrono::milliseconds timeout, const std::stop_token& stop) {
  if (stop.stop_requested()) throw cancelledWhileConnecting(keywords_);
  if (connection_ && !idleAndAlive()) drop();
  if (!connection_) connect(stop);
  if (timeout.count() == 0) timeout = options_.statementTimeout;
  if (timeout == timeoutSet_) return;
  const StopGuard guard(stop, socket_);
  setting("statement_timeout", std::to_string(timeout.count()));
  timeoutSet_ = timeout;
}

void Session::connect(const std::stop_token& stop) {
  OwnedConnection made = connectTo(keywords_, options_.connectTimeout, stop);
  auto socket = std::make_shared<SocketHandle>(PQsocket(made.get()));
  const StopGuard guard(stop, socket);
  connection_ = std::make_unique<PqxxSession>(made.release());
  socket_ = std::move(socket);
  PQsetNoticeReceiver(
      connection_->raw(), [](void*, const PGresult*) {}, nullptr);  // libpqxx has set its own
  try {
    configure();
  } catch (...) {
    drop();
    throw;
  }
}

void Session::configure() {
  const char* encoding = PQparameterStatus(connection_->raw(), "server_encoding");
  trustedEncoding_ = encoding == nullptr || std::string_view(encoding) != "SQL_ASCII";
  if (!trustedEncoding_) setting("client_encoding", "SQL_ASCII");  // else the server refuses to send what is not UTF-8
  for (const auto& [name, value] : outputSettings()) setting(name, value);
  serverNoticesHangup_ = false;
  if (PQserverVersion(connection_->raw()) >= 140'000) {
    try {  // refused where the server's system cannot tell
      setting("client_connection_check_interval", "1000");
      serverNoticesHangup_ = true;
    } catch (const pqxx::sql_error&) {
    }
  }
  for (const auto& [name, value] : options_.settings) setting(name, value);
  if (patient) pqxx::nontransaction(*connection_).exec(kNoTimeouts);
  if (options_.readOnly) setting("default_transaction_read_only", "on");
  timeoutSet_ = std::chrono::milliseconds{-1};
}

void Session::setting(const std::string& name, const std::string& value) {
  pqxx::nontransaction work(*connection_);
  work.exec_params("SELECT set_config($1, $2, false)", name, value);
}

/// Whether the idle connection can be used: a server that has gone leaves an end of file to read.
bool Session::idleAndAlive() {
  PGconn* raw = connection_->raw();
  if (PQstatus(raw) != CONNECTION_OK) return false;
  pollfd watched{PQsocket(raw), POLLIN, 0};
  if (poll(&watched, 1, 0) == 0) return true;
  return PQconsumeInput(raw) == 1 && PQstatus(raw) == CONNECTION_OK && PQtransactionStatus(raw) == PQTRANS_IDLE;
}

void Session::drop() noexcept {
  if (!connection_) return;
  PGconn* raw = connection_->raw();
  if (!serverNoticesHangup_ && PQtransactionStatus(raw) == PQTRANS_ACTIVE) {
    const std::unique_ptr<PGcancel, void (*)(PGcancel*)> cancel(PQgetCancel(raw), PQfreeCancel);
    char reason[256];
    if (cancel) PQcancel(cancel.get(), reason, sizeof reason);  // an old server may then run on, unread
  }
  connection_.reset();
  socket_.reset();
}

void Session::dropIfBroken() noexcept {
  if (!connection_) return;
  // An aborted transaction is its owner's to end: only what is unread or gone is in doubt.
  const auto state = PQtransactionStatus(connection_->raw());
  if (PQstatus(connection_->raw()) != CONNECTION_OK || state == PQTRANS_ACTIVE || state == PQTRANS_UNKNOWN) {
    drop();
  }
}

}  // namespace tidegate::postgres::detail
