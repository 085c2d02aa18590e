/// The interface of everything that changes come from: a consistent baseline, then an ordered change stream, and
/// acknowledgement of what has become durable elsewhere.
///
/// Life of a source, as the engine drives it:
///
///     source.init(context);                                     // once
///     for (auto& issue : source.validateTables(tables)) …       // before anything is read
///     Position p = source.baseline(tables, handler, stop);      // where a sink has nothing yet
///     source.stream(p, handler, stop);                          // blocks; reconnects by itself
///     source.ack(durable);                                      // meanwhile, from any thread
///     source.close();
///
/// Every implementation must pass `tests/contract/sync_source_contract.h` (installed as tidegate::contract).
/// Origin: laredo's SyncSource; differs in partial order of positions, in `meet`, in batches that a slow reader may
/// decline, and in that `validateTables` is really called.
#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/clock.h"
#include "tidegate/core/error.h"
#include "tidegate/core/position.h"
#include "tidegate/core/query.h"
#include "tidegate/core/schema.h"
#include "tidegate/source/change_event.h"
#include "tidegate/source/source_state.h"

namespace tidegate {

/// What a reader did with a batch.
enum class Taken {
  yes,  ///< it took the events, perhaps by swapping the batch's memory against other memory; the batch is the source's
        ///< again, to be cleared and refilled
  full  ///< it has no room and touched nothing. The source keeps its connection alive and offers the *same* batch again
};

/// Who reads. May wait a little for room (the engine: at most 200 ms) before it says `full`, so a source need not wait
/// before it offers again. What it throws ends `baseline` or `stream` and comes out of them.
using ChangeHandler = std::function<Taken(ChangeBatch& batch)>;

/// How far the order of a source's events goes. The engine drops what a pipeline already has by position, which needs
/// an order; with `bestEffort` it delivers again instead, and needs sinks that take a change twice.
enum class OrderingGuarantee { total, perTable, perPartition, bestEffort };
std::string_view toString(OrderingGuarantee guarantee) noexcept;

/// How far a source lies behind its database.
struct SourceLag {
  std::optional<std::uint64_t> bytes;             ///< of log between what was delivered and the database's end
  std::optional<std::chrono::milliseconds> time;  ///< now minus the commit of the last delivered event; 0 if none waits
  std::optional<std::uint64_t> retainedBytes;     ///< of log that the database keeps for us (a slot's WAL)
  std::optional<std::uint64_t> records{};         ///< that wait to be delivered; an estimate where the source says so
};

/// One reason why a table cannot be read, or cannot be read well.
struct TableIssue {
  std::string table{};
  ErrorCode code = ErrorCode::tableNotFound;  ///< tableNotFound, permissionDenied, noReplicaIdentity, slotInvalid,
                                              ///< typeUnsupported
  std::string message{};                      ///< with the statement that mends it, where there is one
  bool fatal = true;                          ///< false: a warning
};

/// What a source is given by whoever drives it.
struct SourceContext {
  std::string name{};              ///< of the source, for messages
  const Clock* clock = nullptr;    ///< null: the system's
  Scheduler* scheduler = nullptr;  ///< null: the system's
  std::uint64_t jitterSeed = 0;    ///< 0: seeded from std::random_device
  /// Every step of the state machine; called on the thread that made it, under no lock.
  std::function<void(const SourceStateChange&)> onState{};
  /// Things an operator should know that stop nothing, e.g. WAL retained past the threshold.
  std::function<void(const std::string& message)> onWarning{};
};

/// @thread `init`, `validateTables`, `baseline`, `stream`, `describeTable`, `close`: one at a time. The rest: any.
class SyncSource {
 public:
  virtual ~SyncSource() = default;

  /// Takes the context; connects if it likes. Called again only if it threw. @throws Error{invalidConfig,
  /// connectionFailed, authenticationFailed}
  virtual void init(const SourceContext& context) = 0;

  /// Every reason why one of the tables cannot be streamed as asked; empty if all can. An empty list of tables asks
  /// about the source itself. @throws Error{connectionFailed, authenticationFailed}
  virtual std::vector<TableIssue> validateTables(const std::vector<std::string>& tables) = 0;
  /// A table's shape now, under the full name that its events will have. @throws Error{tableNotFound, permissionDenied}
  virtual Shape describeTable(const std::string& table) = 0;

  /// A consistent picture of the tables: for each `baselineBegin`, `read`…, `baselineEnd`.
  ///
  /// A source that reads large tables piece by piece may deliver part of it (or all) in `stream` instead: then the
  /// position it returns holds what is still to be read, and so does every position of the stream until it is whole.
  /// See `stream` for what comes again from such a position.
  /// @return where the stream goes on so that baseline and stream meet exactly: no gap, no change twice. Where the
  /// order
  ///         is total it is before what `stream` has handed over by nothing but what is still to be read.
  /// @throws Error{queryCancelled} when stopped; then nothing can be resumed from it.
  virtual Position baseline(const std::vector<std::string>& tables, const ChangeHandler& handler,
                            std::stop_token stop) = 0;

  /// Delivers all changes of `tables` after `from`, whole transactions in commit order, until stopped. Returns when
  /// stopped. A broken connection is made again within `maxRetries`; nothing is then delivered twice or left out.
  ///
  /// From whichever position, the changes are exactly those that follow it, with the same borders. Of a baseline that
  /// was still being read at `from`, rows (and `baselineBegin`, where none of them was delivered) may come again: as
  /// the table has them at that later place of the stream, and never older than what was told of them. A `read`
  /// replaces its row by key, so the target ends the same.
  /// @throws Error{positionLost, Retry::afterOperator} if the database no longer has what follows `from`: only a new
  ///         baseline helps. Any other Error once retries are used up; the state is then ERROR.
  virtual void stream(const std::vector<std::string>& tables, const Position& from, const ChangeHandler& handler,
                      std::stop_token stop) = 0;

  /// All that is at or before `position` is durable wherever it had to go: the database may forget it. Never goes back;
  /// an older position is ignored.
  virtual void ack(const Position& position) = 0;
  /// The greatest position acknowledged, as far as the source itself remembers it (a slot's confirmed LSN); empty if
  /// none.
  virtual Position lastAckedPosition() const = 0;
  /// Whether `stream` can go on from a position of an earlier process.
  virtual bool supportsResume() const = 0;

  virtual std::partial_ordering comparePositions(const Position& a, const Position& b) const = 0;
  /// The greatest position that is at or before both: where to go on so that neither misses anything.
  virtual Position meet(const Position& a, const Position& b) const = 0;
  /// One line, for logs, status and checkpoints. `positionFromText(positionToText(p))` is p.
  virtual std::string positionToText(const Position& position) const = 0;
  /// @throws Error{parseError}
  virtual Position positionFromText(std::string_view text) const = 0;

  virtual OrderingGuarantee orderingGuarantee() const = 0;
  /// Stops delivering soon (a batch in hand may still come) and keeps the place and the connection. State PAUSED.
  virtual void pause() = 0;
  virtual void resume() = 0;
  virtual SourceState state() const = 0;
  virtual SourceLag lag() const = 0;
  /// Ends the connections. Idempotent. A source that made things in the database for this process alone drops them.
  virtual void close() = 0;

  /// Reads a table as it is now, in any order, values as its events have them; for `verify`.
  /// @throws Error{invalidArgument} where the source cannot (the default).
  virtual std::unique_ptr<RowStream> readTable(const std::string& table, std::stop_token stop);
  /// Drops what the source keeps in the database for us (slot, publication), so that nothing is retained after this
  /// replica is given up. The default does nothing.
  virtual void reset() {}
};

}  // namespace tidegate
