/// From changes to the handler: batches, positions, the borders of transactions, and a handler that says `full`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>

#include "postgres/detail/feedback.h"
#include "postgres/detail/position.h"
#include "postgres/detail/stream_interleave.h"
#include "tidegate/source/sync_source.h"

namespace tidegate::postgres::detail {

/// Thrown to unwind out of a delivery when the stream was stopped.
struct StreamStopped {};
/// Carries what a handler threw past everything that retries.
struct HandlerFailed {
  std::exception_ptr cause;
};

struct DeliveryOptions {
  std::size_t maxEvents = 1'000;
  std::size_t maxBytes = 4u << 20;  ///< of messages read
};

/// A transaction that is being decoded.
struct OpenTransaction {
  Lsn commit = 0;
  std::int64_t commitMicros = 0;
  std::uint32_t xid = 0;
};

/// @thread The stream's.
class Delivery {
 public:
  /// @param breathe called between two offers of a batch that the handler declined: keeps the connection alive and
  ///                waits a moment. May throw, e.g. StreamStopped.
  Delivery(const ChangeHandler& handler, Feedback& feedback, std::function<void()> breathe, DeliveryOptions options)
      : handler_(handler), feedback_(feedback), breathe_(std::move(breathe)), options_(options) {}

  /// Forgets what is in hand. The stream goes on behind what was last taken, or behind `from` where nothing was.
  void restart(const Position& from, StreamInterleave* interleave);
  /// Where to go on: the position of the last event taken.
  const Position& taken() const noexcept { return taken_; }

  /// `begin`, `add` and `commit` throw Error{parseError} where a server sends them out of order.
  void begin(const OpenTransaction& transaction);
  bool inTransaction() const noexcept { return open_; }
  const OpenTransaction& transaction() const noexcept { return transaction_; }
  /// Counts a row of the transaction, a wanted one or not: each has three ordinals, for a change of its table's schema
  /// before it, for the erase of a key change, and for itself. So ordinals are the same whenever the log is read again.
  void countRow() noexcept { ++rows_; }
  enum class Part : std::uint64_t { schema = 2, erase = 1, row = 0 };
  /// Whether that part of the row counted last is still to be delivered.
  bool wants(Part part) const noexcept { return Place{transaction_.commit, ordinalOf(part)} > from_; }
  /// A new event for it, with position, time and borders set. May offer what is in hand first.
  ChangeEvent& add(ChangeOp op, const Shape& shape, Part part, std::size_t bytes);
  /// Once an event is filled in.
  void added();
  void commit(Lsn commit, Lsn end);

  /// Offers all that is in hand, but for the last event of a transaction that is still open: its end is not known.
  void flush();
  bool inHand() const noexcept { return open_ || !batch_.empty(); }
  bool full() const noexcept { return batch_.size() >= options_.maxEvents; }
  /// Of the last event in hand or taken.
  const Place& lastPlace() const noexcept { return last_; }
  /// Lets the interleave append rows. Only between transactions.
  /// @param onSchemaChange told of each schema change that it appends. @return whether it wants to be asked again soon.
  bool interleave(Lsn received, const std::function<void(const ChangeEvent&)>& onSchemaChange);
  /// Tells of a schema change that no row has followed. Only if `canAnnounce`, else once the log has gone on.
  bool canAnnounce(Lsn received) const noexcept;
  void announce(Lsn received, const Shape& shape, std::shared_ptr<const SchemaChange> change);
  /// Says that nothing happened up to `lsn`. Only with nothing in hand.
  void progress(Lsn lsn);

  std::uint64_t eventsTaken() const noexcept { return eventsTaken_; }
  /// Of the last event taken; Unix microseconds.
  std::int64_t lastCommitMicros() const noexcept { return lastCommitMicros_; }

 private:
  std::uint64_t ordinalOf(Part part) const noexcept { return rows_ * 3 - static_cast<std::uint64_t>(part); }
  bool tailIsOpen() const noexcept { return open_ && begun_ && !batch_.empty(); }
  Place placeBefore(Lsn received) const noexcept;
  enum class Counts { no, yes };
  /// @param counts whether what is taken has to become durable somewhere.
  void offer(Counts counts = Counts::yes);
  Taken ask();
  std::string_view progressNow() const;

  const ChangeHandler& handler_;
  Feedback& feedback_;
  std::function<void()> breathe_;
  DeliveryOptions options_;
  StreamInterleave* interleave_ = nullptr;

  ChangeBatch batch_;
  std::size_t bytes_ = 0;
  Place from_;  ///< events at or before it were taken
  Place last_;  ///< of the last event in hand, or of `taken_`
  Position taken_;
  Position offered_;  ///< of the last event offered
  OpenTransaction transaction_;
  bool open_ = false;
  bool begun_ = false;  ///< an event of the open transaction was added
  std::uint64_t rows_ = 0;
  std::uint64_t eventsTaken_ = 0;
  std::int64_t lastCommitMicros_ = 0;
};

}  // namespace tidegate::postgres::detail
