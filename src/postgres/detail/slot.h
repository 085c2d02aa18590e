/// Replication slots: what the server says of one, and making and dropping them.
#pragma once

#include <libpq-fe.h>

#include <optional>
#include <stop_token>
#include <string>

#include "postgres/detail/lsn.h"
#include "postgres/detail/replication_connection.h"
#include "tidegate/core/error.h"

namespace tidegate::postgres::detail {

/// The row of pg_replication_slots, and where the server is.
struct SlotFacts {
  std::string plugin{}, database{}, currentDatabase{};
  bool logical = false;
  bool temporary = false;
  bool active = false;
  int activePid = 0;
  Lsn restart = 0;          ///< from where the server keeps its log; 0: nothing is kept any more
  Lsn confirmed = 0;        ///< what was last confirmed
  std::string walStatus{};  ///< reserved, extended, unreserved, lost
  bool twoPhase = false;    ///< it sends transactions when they are prepared
  bool failover = false;    ///< standbys keep a copy (PostgreSQL 17)
  /// Why the server gave it up (PostgreSQL 17): wal_removed, rows_removed, wal_level_insufficient, idle_timeout. Empty:
  /// it has not, or does not say.
  std::string invalidation{};
};
/// @return nullopt if there is none. @throws Error
std::optional<SlotFacts> readSlot(PGconn* connection, const std::string& slot);

/// Where the server's log ends now, as far as it is on disk; on a standby, where it has been replayed to. @throws Error
Lsn readLogEnd(PGconn* connection);
/// Behind everything that is visible now, flushed or not. @throws Error
Lsn readLogInsertEnd(PGconn* connection);

/// Why the stream cannot go on from a slot, or nullopt if it can: gone or invalidated (positionLost), somebody else's
/// kind of slot (slotInvalid), in use (slotInvalid, Retry::later, naming the process).
std::optional<Error> slotFault(const std::string& slot, const std::optional<SlotFacts>& facts);

struct CreatedSlot {
  std::string name{};
  Lsn consistentPoint = 0;  ///< the stream begins with what commits from here on
  std::string snapshot{};   ///< sees exactly what committed before; until the connection's next command or end
};
enum class SlotKind {
  plain,
  temporary,  ///< ends with its connection
  failover    ///< standbys keep a copy; as `plain` where the server is older than PostgreSQL 17
};
/// Makes a pgoutput slot, and waits for running transactions as the server must. @throws ServerError, Error
CreatedSlot createSlot(ReplicationConnection& connection, const std::string& slot, SlotKind kind,
                       const std::stop_token& stop);
/// Lets standbys keep a copy of a slot that is there and not in use. Nothing before PostgreSQL 17. @throws ServerError
void letFailOver(ReplicationConnection& connection, const std::string& slot, const std::stop_token& stop);

/// Drops a slot of ours if there is one. @throws Error{slotInvalid} if a process uses it, or it is of another kind.
void dropSlot(PGconn* connection, const std::string& slot);

}  // namespace tidegate::postgres::detail
