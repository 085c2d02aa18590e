/// Where a baseline that is read piece by piece plugs into the stream.
///
/// The stream's loop owns the connection, the positions and the handler. Between two transactions it asks the
/// interleave for rows, and it tells it of every change and every commit, so that the interleave knows which of the
/// rows it has read were overtaken. Everything happens on the stream's thread.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "postgres/detail/lsn.h"
#include "tidegate/postgres/source.h"
#include "tidegate/source/change_event.h"
#include "tidegate/source/sync_source.h"

namespace tidegate::postgres::detail {

/// A transaction as the stream saw it. Transactions that changed nothing published may not come at all.
struct StreamedCommit {
  std::uint32_t xid = 0;
  Lsn commit = 0;  ///< where its commit record begins
  Lsn end = 0;     ///< where the log goes on behind it
};

class StreamInterleave {
 public:
  virtual ~StreamInterleave() = default;

  /// The stream begins, or begins again after its connection broke, after a position with this progress (empty: nothing
  /// was pending there). What was read and not yet delivered is forgotten; which changes were told is not.
  virtual void restart(std::string_view progress) = 0;
  /// Whether rows are still to be read. Asked for every event; must be cheap.
  virtual bool pending() const noexcept = 0;
  /// How far the reading is: the part of every position behind its place. Not empty while `pending`. Compared octet by
  /// octet, what is further is greater. Changes only within `restart`, `deliverRows` and `onChange`: after that, the
  /// event's own position has the new one.
  virtual const std::string& progress() const noexcept = 0;

  /// A change of one of the streamed tables, before it is delivered. Those that were delivered before are not told.
  virtual void onChange(const ChangeEvent& event) = 0;
  /// The transaction of the changes told since the last one has committed.
  virtual void onCommit(const StreamedCommit& transaction) = 0;
  /// A logical message of ours (prefix "tidegate"), with where it stands in the log.
  virtual void onMessage(std::string_view content, Lsn at) = 0;

  /// Between two transactions. Everything whose commit record begins before `received` has been told. Appends some of
  /// the rows that are ripe to `out`: `read`, `baselineBegin`, `baselineEnd`, and `schemaChange` where a table was
  /// found altered before the stream said so; its shape is then the stream's shape of that table too.
  ///
  /// Each event appended has in `position` its progress alone, strictly increasing: the loop writes the place
  /// {received, 0} before it and adds the transaction borders. (Not the place of the last commit: a table added later
  /// has its rows dropped up to where its baseline was taken, which may lie behind that commit. Not one progress for
  /// them all: a pipeline that has made a part of them durable drops what is at or before it.)
  /// Must not wait long for anything.
  /// @return whether it should be asked again soon (some milliseconds) although nothing may come from the server
  ///         meanwhile; at once if it appended something.
  virtual bool deliverRows(Lsn received, ChangeBatch& out) = 0;
  /// Where rows cannot be delivered for longer than some 100 ms (a handler that declines, a pause): looks after what is
  /// under way, so that no transaction of ours stays open and no lock is held meanwhile. Reads no further than it may
  /// hold in memory.
  virtual void tend() {}
};

/// What reads tables whole before the stream begins is given this.
struct BaselineJob {
  const SourceOptions& options;
  const std::vector<std::string>& tables;  ///< as asked for
  std::string snapshot;                    ///< an exported one, valid while the job runs; for SET TRANSACTION SNAPSHOT
  Lsn consistentPoint = 0;                 ///< the snapshot sees exactly what committed before
  const ChangeHandler& handler;            ///< offered batches until it takes them
  std::stop_token stop;
  /// So many rows come by one connection before another may help with the same table: more than a queue holds.
  std::uint64_t rowsAlone = 300'000;
};

}  // namespace tidegate::postgres::detail
