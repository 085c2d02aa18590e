/// What a source may be told: the meet of what every pipeline that shares it has made durable.
#pragma once

#include <chrono>
#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tidegate/core/clock.h"
#include "tidegate/engine/observer.h"
#include "tidegate/source/sync_source.h"

namespace tidegate::detail {

/// @thread Any. The source and the observer are called under no lock.
class AckTracker {
 public:
  struct Options {
    std::string name{};  ///< the source's
    std::chrono::microseconds interval{0};
    std::size_t pipelines = 0;
  };
  AckTracker(SyncSource& source, const Clock& clock, EngineObserver& observer, Options options);

  /// A pipeline has a checkpoint for everything up to `durable`; empty: for nothing, which holds all back.
  void durable(std::size_t pipeline, const Position& durable);
  /// The stream under way has come to here. Pipelines may have more from the one before; the source is not told of it
  /// until it has brought it again, since that is where it would resume.
  void received(const Position& position);
  /// A source without a total order delivers again from `from` on, and those that had more go back with it: whatever
  /// they say is durable, the source is told no more than `from` for them until each `goesOnFrom` there.
  void restartAt(const Position& from);
  /// The pipeline has met the stream's begin: what it says from here on counts.
  void goesOnFrom(std::size_t pipeline);
  /// The source lost its place: what is durable says nothing, until each pipeline has said that it has nothing.
  void suspend();
  /// The pipeline no longer counts, until its next `durable`.
  void exclude(std::size_t pipeline);

  /// Tells the source, if there is something to tell and the interval is over, or `now` if forced.
  void tick(bool force = false);
  /// When the next `tick` is due, in steady time; nullopt: not before something becomes durable.
  std::optional<std::chrono::microseconds> due() const;
  Position acked() const;

 private:
  struct Entry {
    Position durable{};
    Position most{};  ///< no more than this counts; empty: all of it
    bool counts = true;
    bool suspended = false;
  };
  std::optional<Position> next() const;

  SyncSource& source_;
  const Clock& clock_;
  EngineObserver& observer_;
  const Options options_;
  mutable std::mutex mutex_;
  // guarded by mutex_
  std::vector<Entry> entries_;
  bool dirty_ = false;
  std::chrono::microseconds lastAck_, lastLag_;
  Position received_{};
  Position acked_{};
};

}  // namespace tidegate::detail
