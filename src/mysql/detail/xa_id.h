/// Ids of XA transactions, and events that are kept until they are decided.
#pragma once

#include <string>

#include "mysql/detail/binlog_event.h"

namespace tidegate::mysql::detail {

/// "X'61',X'',1" of MariaDB's GTID event before a prepared or decided XA transaction. @throws Error{parseError}
std::string xaIdOf(const BinlogEvent& gtid);

/// The event with a frame again and without a checksum, so that `takeNestedEvent` reads it.
void copyEvent(const BinlogEvent& event, std::string& out);

}  // namespace tidegate::mysql::detail
