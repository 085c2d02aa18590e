/// From changes to the handler: batches, positions, the borders of transactions, and a handler that says `full`.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <string>

#include "mysql/detail/binlog_position.h"
#include "mysql/detail/chunked_baseline.h"
#include "tidegate/source/sync_source.h"

namespace tidegate::mysql::detail {

/// Thrown to unwind out of a delivery when the stream was stopped.
struct StreamStopped {};
/// Carries what a handler threw past everything that retries.
struct HandlerFailed {
  std::exception_ptr cause;
};

/// A transaction that is being read.
struct OpenGroup {
  Place place{};  ///< its border, its GTID, what has to be read again for prepared XA transactions
  std::int64_t commitMicros = 0;
  std::uint64_t id = 0;
};

/// @thread The stream's.
class BinlogDelivery {
 public:
  /// @param breathe called between two offers of a batch that the handler declined; may throw.
  BinlogDelivery(const ChangeHandler& handler, std::function<void()> breathe, std::size_t maxEvents)
      : handler_(handler), breathe_(std::move(breathe)), maxEvents_(maxEvents) {}

  /// Forgets what is in hand. The stream goes on behind `from`.
  /// @param chunks of a baseline that is read beside the stream, begun at `from` too; null: none.
  void restart(const Position& from, ChunkedBaseline* chunks = nullptr);
  /// The position of the last event taken.
  const Position& taken() const noexcept { return taken_; }

  void begin(OpenGroup group);
  bool inGroup() const noexcept { return open_; }
  /// The next row event of the group, a wanted one or not: ordinals are the same whenever the log is read again.
  void nextEvent() noexcept { ++event_, row_ = 0; }
  void nextRow() noexcept { ++row_; }
  /// Each row has three ordinals: for a change of its table's schema before it, for the erase of a key change, and for
  /// itself.
  enum class Part : std::uint8_t { schema = 1, erase = 2, row = 3 };
  bool wants(Part part) const noexcept { return ordinalOf(part) > from_; }
  /// A new event, with position, time and borders set. May offer what is in hand first. `after` keeps what its slot's
  /// last use left in it.
  ChangeEvent& add(ChangeOp op, const Shape& shape, Part part, std::size_t bytes);
  /// Octets of the event added last, as far as `add` was not told.
  void addBytes(std::size_t bytes) noexcept { bytes_ += bytes; }
  /// Once an event is filled in.
  void added();
  /// @param after the border behind the group, and what is pending there. @param end the same in the server's files.
  void commit(const Place& after, const TransactionName& end = {});
  /// The group did not happen. @throws Error{positionLost} where the handler has taken part of it.
  void rollBack();

  /// Offers all that is in hand, but for the last event of a group that is still open: its end is not known.
  void flush();
  /// Lets the baseline append rows that are ripe. Only between groups.
  /// @param now the border. @param received the same in the server's files.
  /// @param onSchemaChange told of each schema change that is appended. @return whether anything was.
  bool interleave(const Place& now, const TransactionName& received,
                  const std::function<void(const ChangeEvent&)>& onSchemaChange);
  bool inHand() const noexcept { return open_ || !batch_.empty(); }
  /// Says that nothing happened up to `at`. Only with nothing in hand.
  void progress(const Place& at);

  std::uint64_t eventsTaken() const noexcept { return eventsTaken_; }
  std::int64_t lastCommitMicros() const noexcept { return lastCommitMicros_; }

 private:
  std::uint64_t ordinalOf(Part part) const noexcept {
    return event_ << 32 | (row_ * 3 + static_cast<std::uint64_t>(part));
  }
  void offer();

  bool watched() const noexcept { return chunks_ != nullptr && chunks_->pending(); }

  const ChangeHandler& handler_;
  ChunkedBaseline* chunks_ = nullptr;
  std::function<void()> breathe_;
  std::size_t maxEvents_;

  ChangeBatch batch_;
  std::size_t bytes_ = 0;
  Position taken_;
  Position last_;           ///< of the last event in hand, or of `taken_`
  Place resumed_;           ///< what `restart` was given
  std::uint64_t from_ = 0;  ///< ordinals of the open group that were taken before
  OpenGroup group_;
  PositionWriter positions_;
  bool open_ = false;
  bool begun_ = false;       ///< an event of the open group was added
  std::size_t groupAt_ = 0;  ///< in the batch
  bool partTaken_ = false;   ///< the handler has events of the open group
  std::uint64_t event_ = 0, row_ = 0;
  std::uint64_t ordinal_ = 0;  ///< of the event added last
  std::uint64_t eventsTaken_ = 0;
  std::atomic<std::int64_t> lastCommitMicros_{0};
};

}  // namespace tidegate::mysql::detail
