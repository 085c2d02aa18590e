/// Failures of Tidegate: one exception type that says what went wrong and what may be done about it.
///
///     try { poller.pollOnce(); }
///     catch (const tidegate::Error& e) {
///       if (e.retry() == tidegate::Retry::later) scheduleAgain();
///       else log(e.what());   // names the table, column or key, and the remedy; never a secret
///     }
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace tidegate {

/// What failed. Stable names: `toString` gives the identifier's own text.
enum class ErrorCode {
  invalidArgument,   ///< a value the caller gave breaks a documented limit or form
  invalidConfig,     ///< options that cannot work together, or a rule or config that does not parse
  parseError,        ///< text or bytes from outside are not in the form they claim
  clockDrift,        ///< a remote HLC stamp lies further ahead of the wall clock than `maxDrift`
  backPressure,      ///< a bounded buffer is full; nothing was taken
  storeUnavailable,  ///< a GatewayStore or StateStore could not commit; nothing was changed
  storeCorrupt,      ///< what a store holds fails its checksum or cannot be decoded
  connectionFailed,  ///< a server could not be reached, or the connection broke
  authenticationFailed,
  permissionDenied,
  queryFailed,     ///< the server or library refused or aborted a statement
  queryCancelled,  ///< stopped by a stop token or by the statement timeout
  tableNotFound,
  columnNotFound,
  rowIdInvalid,       ///< a row id is null, missing or repeated
  typeUnsupported,    ///< a source type that has no exact `Value` and no declared text form
  diffRefused,        ///< a diff poll would delete more than `maxDeleteFraction`
  noReplicaIdentity,  ///< a table's updates and deletes would not say which row they mean
  slotInvalid,        ///< a replication slot or publication is missing, of another kind, invalidated, or in use
  positionLost,       ///< a source no longer has the changes after the position asked for: only a new baseline helps
  logDiverged,        ///< two histories of one log: an entry rests on another one than was applied before it
  fenced,             ///< another writer took over the pipeline; this one must end
  stopped,            ///< the object was stopped; the call did nothing
  internal            ///< a broken invariant of Tidegate itself
};

/// The code's identifier, e.g. "backPressure".
std::string_view toString(ErrorCode code) noexcept;

/// What the caller can do now (after libpqxx's and supabase/etl's retry classes).
enum class Retry {
  never,          ///< the same call will fail again; change the input
  later,          ///< nothing happened; the same call may succeed later
  afterOperator,  ///< nothing happened; somebody has to mend what the message names first
  outcomeUnknown  ///< it may have happened; ask before repeating
};

/// The class's identifier, e.g. "later".
std::string_view toString(Retry retry) noexcept;

/// The one exception of Tidegate. `what()` is "<code>: <message>".
/// @thread A value; copyable across threads.
class Error : public std::runtime_error {
 public:
  /// @param message names the thing (table, column, key, option) and the remedy; never holds a secret.
  Error(ErrorCode code, Retry retry, const std::string& message);

  ErrorCode code() const noexcept { return code_; }
  Retry retry() const noexcept { return retry_; }
  /// The message without the code's name.
  const std::string& message() const noexcept { return message_; }

 private:
  ErrorCode code_;
  Retry retry_;
  std::string message_;
};

/// Replaces passwords in connection strings and URLs ("password=…", "user:…@", "?token=…") by `***`.
/// The one place that redacts: everything that prints or throws text from outside passes through it.
std::string redactSecrets(std::string_view text);

}  // namespace tidegate
