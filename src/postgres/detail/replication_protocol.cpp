#include "postgres/detail/replication_protocol.h"

#include "postgres/detail/octet_reader.h"
#include "postgres/detail/server_time.h"
#include "tidegate/core/error.h"

namespace tidegate::postgres::detail {
namespace {

struct Refuse {
  [[noreturn]] void operator()(const char* what) const {
    throw Error(ErrorCode::parseError, Retry::never,
                std::string("a message of the replication protocol cannot be read: ") + what);
  }
};

void putNumber(std::uint64_t number, std::string& out) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(number >> shift & 0xFF));
}

}  // namespace

ServerMessage readServerMessage(std::string_view octets) {
  OctetReader in(octets, Refuse{});
  ServerMessage message;
  message.kind = static_cast<ServerMessage::Kind>(in.octet("it is empty"));
  if (message.kind == ServerMessage::Kind::data) {
    message.start = in.number<std::uint64_t>("its place is missing");
    message.end = in.number<std::uint64_t>("the log's end is missing");
    in.number<std::uint64_t>("the server's time is missing");
    message.body = in.octets(in.left(), "");
    return message;
  }
  if (message.kind != ServerMessage::Kind::keepAlive) Refuse{}("it is of an unknown kind");
  message.end = in.number<std::uint64_t>("the log's end is missing");
  in.number<std::uint64_t>("the server's time is missing");
  message.replyRequested = in.octet("whether to reply is missing") != 0;
  if (in.left() != 0) Refuse{}("it is longer than its content");
  return message;
}

void writeClientStatus(const ClientStatus& status, std::string& out) {
  out.assign(1, 'r');
  for (const Lsn lsn : {status.received, status.durable, status.durable}) putNumber(lsn, out);
  putNumber(serverMicros(status.unixMicros), out);
  out.push_back(0);
}

}  // namespace tidegate::postgres::detail
