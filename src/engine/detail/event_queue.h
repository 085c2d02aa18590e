/// A pipeline's bounded queue, between its source's thread and its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/detail/shared_batch.h"
#include "tidegate/core/position.h"

namespace tidegate::detail {

struct QueueItem {
  enum class Kind : std::uint8_t {
    events,
    baselineBegins,  ///< the rows of `tables` follow
    baselineEnds,    ///< `SyncSource::baseline` returned `position`
    streamBegins,    ///< at or before what the pipeline has
    hole             ///< changes of `tables` were thrown away here
  };
  Kind kind = Kind::events;
  BatchRef batch{};
  std::size_t first = 0, last = 0;  ///< events `[first, last)` of it
  std::size_t bytes = 0;
  bool baseline = false;  ///< events out of `baseline`
  std::vector<std::string> tables{};
  Position position{};
  std::uint64_t round = 0;  ///< of a baseline that ends: which call it was

  std::size_t events() const noexcept { return last - first; }
};

/// Bounded by events and octets, but one batch always fits an empty queue, so that any transaction passes in pieces.
/// What was popped counts until `done`.
/// @thread Any; one pushes and one pops.
class EventQueue {
 public:
  EventQueue(std::size_t maxEvents, std::size_t maxBytes) : maxEvents_(maxEvents), maxBytes_(maxBytes) {}

  /// Takes items from here on.
  void accept();
  /// Throws away what is queued and takes nothing more.
  void refuse();
  bool accepting() const;

  bool hasRoom(std::size_t events, std::size_t bytes) const;
  /// Adds it at the end, full or not; nothing happens while it refuses.
  void push(QueueItem item);
  bool pop(QueueItem& item);
  /// Only what holds events.
  bool popEvents(QueueItem& item);
  /// The popped item needs no room any more.
  void done();
  /// Gives a part of the popped item back, to be popped next.
  void putBack(QueueItem item);

  /// Throws the oldest whole transactions of plain changes away until there is room.
  /// @return how many events; 0 where nothing could go, since no whole transaction is queued.
  std::size_t dropOldest(std::size_t events, std::size_t bytes);

  std::size_t events() const;
  std::size_t bytes() const;
  bool empty() const;

 private:
  struct Range;
  bool fits(std::size_t events, std::size_t bytes) const noexcept;
  std::optional<Range> oldestTransactions() const;
  std::size_t cut(const Range& range);
  QueueItem holeOf(const Range& range, std::size_t& dropped) const;
  void insert(std::size_t at, QueueItem item);
  void take(QueueItem& item);

  const std::size_t maxEvents_, maxBytes_;
  mutable std::mutex mutex_;
  // guarded by mutex_
  bool accepting_ = false;
  std::deque<QueueItem> items_;
  std::size_t events_ = 0, bytes_ = 0;
  std::size_t inHandEvents_ = 0, inHandBytes_ = 0;
  bool midTransaction_ = false;  ///< what was popped last ended within a transaction
};

}  // namespace tidegate::detail
