#include "postgres/detail/replication_connection.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>

#include "postgres/detail/errors.h"
#include "postgres/detail/server_error.h"

namespace tidegate::postgres::detail {
namespace {

/// SQLSTATE of what older servers answer for a publication that is not there.
constexpr const char* kMissing = "42704";

Keywords replicationKeywords(const ConnectOptions& options) {
  Keywords keywords = keywordsOf(options);
  keywords["replication"] = "database";
  return keywords;
}

}  // namespace

ReplicationConnection::ReplicationConnection(const ConnectOptions& options, std::stop_token stop)
    : where_(whereOf(keywordsOf(options))),
      connection_(connectTo(replicationKeywords(options), options.connectTimeout, stop)),
      socket_(std::make_shared<SocketHandle>(PQsocket(connection_.get()))) {
  configure(options, stop);
}

ReplicationConnection::~ReplicationConnection() { PQfreemem(buffer_); }

void ReplicationConnection::configure(const ConnectOptions& options, const std::stop_token& stop) {
  const auto set = [&](std::string_view name, std::string_view value) {
    command(fmt::format("SELECT pg_catalog.set_config({}, {}, false)", quotedLiteral(name), quotedLiteral(value)),
            stop);
  };
  const char* encoding = PQparameterStatus(connection_.get(), "server_encoding");
  trustedEncoding_ = encoding == nullptr || std::string_view(encoding) != "SQL_ASCII";
  if (!trustedEncoding_) set("client_encoding", "SQL_ASCII");
  for (const auto& [name, value] : outputSettings()) set(name, value);
  for (const auto& [name, value] : options.settings) set(name, value);
  command(kNoTimeouts, stop);
  set("client_min_messages", "warning");
  PQsetNoticeReceiver(connection_.get(), &ReplicationConnection::noticed, this);
}

/// From 18 on the server goes on without a publication that was not there when a change was made, and only warns. It
/// says so in its own language: the function that warns is named in none.
void ReplicationConnection::noticed(void* self, const PGresult* notice) {
  const auto field = [&](int code) -> std::string_view {
    const char* const text = PQresultErrorField(notice, code);
    return text == nullptr ? std::string_view() : text;
  };
  if (field(PG_DIAG_SOURCE_FUNCTION) != "LoadPublications") return;
  static_cast<ReplicationConnection*>(self)->skipped_ = field(PG_DIAG_MESSAGE_PRIMARY);
}

void ReplicationConnection::fail(const PGresult* result) const {
  const char* state = result != nullptr ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : nullptr;
  if (state != nullptr) throw ServerError(failureOf(result, connection_.get()), state);
  throw Error(ErrorCode::connectionFailed, Retry::later, fmt::format("the connection to {} was lost", where_));
}

OwnedResult ReplicationConnection::command(const std::string& text, const std::stop_token& stop) {
  OwnedResult result(nullptr, PQclear);
  {
    const StopGuard guard(stop, socket_);
    result.reset(PQexec(connection_.get(), text.c_str()));
  }
  if (stop.stop_requested())
    throw Error(ErrorCode::queryCancelled, Retry::later, "stopped while " + where_ + " worked");
  const auto status = result ? PQresultStatus(result.get()) : PGRES_FATAL_ERROR;
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_COPY_BOTH) fail(result.get());
  return result;
}

void ReplicationConnection::start(const std::string& text, const std::stop_token& stop) {
  const OwnedResult result = command(text, stop);
  if (PQresultStatus(result.get()) != PGRES_COPY_BOTH) fail(result.get());
  if (PQsetnonblocking(connection_.get(), 1) != 0) fail(nullptr);
  streaming_ = true;
}

ReplicationConnection::Received ReplicationConnection::receive(std::string_view& octets) {
  PQfreemem(buffer_);
  buffer_ = nullptr;
  int size = PQgetCopyData(connection_.get(), &buffer_, 1);
  if (size == 0) {
    if (PQconsumeInput(connection_.get()) != 1) fail(nullptr);
    size = PQgetCopyData(connection_.get(), &buffer_, 1);
  }
  // Behind it the changes of before would be missing: as an older server, which ends the stream there.
  if (!skipped_.empty()) throw ServerError(fromSqlState(kMissing, skipped_), kMissing);
  if (size > 0) {
    octets = {buffer_, static_cast<std::size_t>(size)};
    return Received::message;
  }
  if (size == 0) return Received::nothing;
  streaming_ = false;
  // The server has ended the stream; where it says why, that is the next result.
  const OwnedResult result(PQgetResult(connection_.get()), PQclear);
  fail(result.get());
}

void ReplicationConnection::send(const ClientStatus& status) {
  writeClientStatus(status, statusOctets_);
  // 0: what was sent before still waits in libpq's buffer, and the next status says all that this one would.
  if (PQputCopyData(connection_.get(), statusOctets_.data(), static_cast<int>(statusOctets_.size())) < 0 ||
      PQflush(connection_.get()) < 0) {
    fail(nullptr);
  }
}

void ReplicationConnection::wait(const WakeUp& wake, std::chrono::milliseconds longest, bool read) {
  const auto wanted = static_cast<short>((read ? POLLIN : 0) | POLLRDHUP);
  std::array<pollfd, 2> watched{pollfd{PQsocket(connection_.get()), wanted, 0}, pollfd{wake.descriptor(), POLLIN, 0}};
  const auto millis = std::clamp<std::int64_t>(longest.count(), 0, 60'000);
  if (poll(watched.data(), watched.size(), static_cast<int>(millis)) <= 0) return;
  if (watched[1].revents != 0) wake.clear();
  // While nothing is read, an end of file behind unread octets would otherwise never be noticed.
  if (!read && (watched[0].revents & (POLLHUP | POLLERR | POLLRDHUP)) != 0) fail(nullptr);
}

}  // namespace tidegate::postgres::detail
