/// What is said within COPY BOTH around pgoutput's messages: log data, keep-alives, and our status. No connection here.
///
/// PostgreSQL documentation, "Streaming Replication Protocol".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "postgres/detail/lsn.h"

namespace tidegate::postgres::detail {

/// One CopyData message of the server.
struct ServerMessage {
  enum class Kind : char { data = 'w', keepAlive = 'k' };
  Kind kind = Kind::keepAlive;
  Lsn start = 0;                ///< data: where its change stands; 0 for some
  Lsn end = 0;                  ///< how far the server has read its log for us
  bool replyRequested = false;  ///< keepAlive
  std::string_view body{};      ///< data: a message of pgoutput
};

/// @throws Error{parseError}
ServerMessage readServerMessage(std::string_view octets);

/// What we tell the server.
struct ClientStatus {
  Lsn received = 0;  ///< written
  Lsn durable = 0;   ///< flushed and applied: the server may forget what is before it
  std::int64_t unixMicros = 0;
};

/// The status as CopyData, 34 octets; into `out`, whose memory is used again.
void writeClientStatus(const ClientStatus& status, std::string& out);

}  // namespace tidegate::postgres::detail
