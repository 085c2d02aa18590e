/// Reads pending tables chunk by chunk beside the stream, and hands their rows out so that no row ever goes back.
///
/// A chunk is read at a snapshot of which two places in the binlog are known: all before the first is seen, and nothing
/// behind the second (MariaDB: one place, which it notes). It is held until the stream has come to the second: then
/// each transaction that the snapshot sees has been told. Rows that have been touched by what ends behind the first are
/// left out (or, where the stream left columns out, completed): those are as the stream told them, whether the snapshot
/// sees it or not. The others are as they are now.
///
/// The binlog shows a commit before a snapshot does. What was told before this stream began is not noted, so the first
/// snapshot must see all of it; each later one of that server does so too.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "mysql/detail/chunk.h"
#include "mysql/detail/chunk_reader.h"
#include "mysql/detail/source_core.h"
#include "source/detail/baseline_progress.h"
#include "source/detail/touch_log.h"
#include "tidegate/source/backoff.h"

namespace tidegate::mysql::detail {

/// @thread The stream's.
class ChunkedBaseline {
 public:
  ChunkedBaseline(SourceCore& core, std::stop_token stop);

  /// The stream begins, or begins again after its connection broke, at a place with its progress.
  void restart(const Place& from);
  /// Whether rows are still to be read. Cheap.
  bool pending() const noexcept { return !progress_.pending.empty(); }
  /// The part of every position behind its place; not empty while `pending`.
  const std::string& progress() const noexcept { return encoded_; }

  /// A change of one of the streamed tables, before it is delivered. Those that were delivered before are not told.
  void onChange(const ChangeEvent& event);
  /// The transaction of the changes told since the last one, with the place behind it.
  void onCommit(const TransactionName& end);
  /// It did not happen.
  void onRollBack() { touches_.rollBack(); }

  /// Between two transactions: appends some of the rows that are ripe. Each event appended has in `position` its
  /// progress alone, strictly increasing.
  /// @param received all that ends at or before this place has been told.
  /// @return whether it should be asked again soon.
  bool deliverRows(const TransactionName& received, ChangeBatch& out);
  /// Where rows cannot be delivered for long: looks after the transaction under way.
  void tend();
  int socket() const noexcept { return reader_.socket(); }
  /// Whether rows have come that the socket no longer shows.
  bool hasMore() const noexcept { return reader_.hasMore(); }

 private:
  using BaselineProgress = tidegate::detail::BaselineProgress;
  using PendingTable = tidegate::detail::PendingTable;

  bool admits(CLink& link, const SnapshotPlace& place);
  bool seesBeginning(CLink& link, const SnapshotPlace& place, const TransactionName& seen);
  void startAgain(const std::string& table);
  void forgetChunks();
  void failed(const Error& error);
  void step();
  void assign();
  bool addChunk();
  void forgetSeenTouches();
  void deliverHead(const TransactionName& received, ChangeBatch& out);
  bool shapeAgrees(Chunk& chunk, ChangeBatch& out);
  void begin(const Chunk& chunk, ChangeBatch& out);
  void deliverRowsOf(Chunk& chunk, ChangeBatch& out);
  void finishChunk(const Chunk& chunk, ChangeBatch& out);
  ChangeEvent& add(ChangeOp op, const Shape& shape, ChangeBatch& out);
  void become(BaselineProgress next);
  Shape& shapeOfReaders(const Chunk& chunk) { return core_.told[chunk.name].shape; }

  SourceCore& core_;
  std::stop_token stop_;
  BaselineProgress progress_;
  std::string encoded_;
  std::map<std::string, std::uint64_t> begunAt_;  ///< the last transaction told before a table's `baselineBegin`
  tidegate::detail::TouchLog touches_;

  Place from_;               ///< where the stream began
  bool open_ = false;        ///< snapshots see all that came before `from_`
  TransactionName first_;    ///< behind the first transaction of the stream
  TransactionName refused_;  ///< what the last snapshot saw that was not admitted

  std::deque<std::unique_ptr<Chunk>> chunks_;  ///< in the order they are delivered
  TransactionName newest_;                     ///< seen by the newest snapshot; later ones see more
  std::size_t appendedFrom_ = 0;               ///< of the batch in hand: events before it are not ours
  ChunkReader reader_;
  Backoff backoff_;
  Clock::Micros retryAt_{0};
  std::string lastWarning_;
};

}  // namespace tidegate::mysql::detail
