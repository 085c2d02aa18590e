#include "fuzz/fed_connection.h"

#include <algorithm>

#include "postgres/detail/replication_connection.h"

namespace tidegate::fuzz {

Feed& feed() {
  static Feed instance;
  return instance;
}

}  // namespace tidegate::fuzz

namespace tidegate::postgres::detail {

ReplicationConnection::ReplicationConnection(const ConnectOptions&, std::stop_token)
    : connection_(nullptr, PQfinish), streaming_(true) {}
ReplicationConnection::~ReplicationConnection() = default;

void ReplicationConnection::fail(const PGresult*) const {
  throw Error(ErrorCode::connectionFailed, Retry::later, "the feed is at its end");
}

OwnedResult ReplicationConnection::command(const std::string&, const std::stop_token&) { fail(nullptr); }
void ReplicationConnection::start(const std::string&, const std::stop_token&) {}

/// A message of no octets stands for a pause in which nothing comes.
ReplicationConnection::Received ReplicationConnection::receive(std::string_view& octets) {
  std::string_view& left = fuzz::feed().octets;
  if (left.size() < 2) fail(nullptr);
  const auto at = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(left[i])); };
  const std::size_t size = std::min(at(0) << 8 | at(1), left.size() - 2);
  octets = left.substr(2, size);
  left.remove_prefix(2 + size);
  return size == 0 ? Received::nothing : Received::message;
}

void ReplicationConnection::send(const ClientStatus& status) {
  fuzz::Feed& feed = fuzz::feed();
  feed.confirmedAhead |= status.durable > status.received || status.durable < feed.durable;
  feed.durable = status.durable;
  writeClientStatus(status, statusOctets_);
}

void ReplicationConnection::wait(const WakeUp&, std::chrono::milliseconds, bool) {}

}  // namespace tidegate::postgres::detail
