/// How old the oldest transaction is that may still commit rows with an old cursor.
#pragma once

#include <chrono>
#include <string>

#include "source/detail/poll_run.h"

namespace tidegate::detail {

/// The server's answer, taken before a poll reads its first page: whatever that poll misses was stamped at or after
/// `oldest`, be it by a transaction open then or by one begun since.
struct CommitHorizon {
  std::chrono::microseconds oldest{0};  ///< start of the oldest open transaction, else the server's now; Unix time
  std::chrono::microseconds age{0};     ///< how long before the server's now that was: holds in any zone
  bool prepared =
      false;  ///< a prepared transaction is open; when it began cannot be known, so the window must not move
};

/// The question in one statement, for Postgres and MySQL/MariaDB: columns now_micros, age_micros, hidden, prepared.
std::string commitHorizonSql(Dialect dialect);

/// @throws Error{permissionDenied, afterOperator} with the GRANT that mends it, if other sessions cannot be seen.
CommitHorizon askCommitHorizon(PollRun& run, Dialect dialect);

}  // namespace tidegate::detail
