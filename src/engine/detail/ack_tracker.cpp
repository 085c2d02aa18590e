#include "engine/detail/ack_tracker.h"

#include <algorithm>

namespace tidegate::detail {
namespace {

/// Lag is told at each acknowledgement, and so often where there is none.
std::chrono::microseconds lagInterval(std::chrono::microseconds ackInterval) {
  return std::max<std::chrono::microseconds>(ackInterval * 10, std::chrono::seconds(1));
}

}  // namespace

AckTracker::AckTracker(SyncSource& source, const Clock& clock, EngineObserver& observer, Options options)
    : source_(source),
      clock_(clock),
      observer_(observer),
      options_(std::move(options)),
      entries_(options_.pipelines),
      lastAck_(clock.steadyNow() - options_.interval),
      lastLag_(clock.steadyNow()) {}

void AckTracker::durable(std::size_t pipeline, const Position& durable) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[pipeline];
  if (entry.suspended && !durable.empty()) return;
  const bool capped = !entry.most.empty() && !durable.empty();
  Position counted = capped ? source_.meet(durable, entry.most) : durable;
  if (entry.counts && !entry.suspended && entry.durable == counted) return;
  entry = {.durable = std::move(counted), .most = std::move(entry.most)};
  dirty_ = true;
}

void AckTracker::goesOnFrom(std::size_t pipeline) {
  const std::lock_guard lock(mutex_);
  entries_[pipeline].most = {};
}

void AckTracker::received(const Position& position) {
  const std::lock_guard lock(mutex_);
  if (position == received_) return;
  received_ = position;
  dirty_ = true;
}

void AckTracker::restartAt(const Position& from) {
  const std::lock_guard lock(mutex_);
  for (Entry& entry : entries_) {
    if (!entry.durable.empty()) entry.durable = source_.meet(entry.durable, from);
    entry.most = from;
  }
}

void AckTracker::suspend() {
  const std::lock_guard lock(mutex_);
  for (Entry& entry : entries_) {
    entry.durable = entry.most = {};
    entry.suspended = true;
  }
  acked_ = {};
  received_ = {};
}

void AckTracker::exclude(std::size_t pipeline) {
  const std::lock_guard lock(mutex_);
  entries_[pipeline].counts = false;
  dirty_ = true;
}

std::optional<Position> AckTracker::next() const {
  std::optional<Position> all;

  for (const Entry& entry : entries_) {
    if (!entry.counts) continue;
    if (entry.durable.empty()) return std::nullopt;
    all = all ? source_.meet(*all, entry.durable) : entry.durable;
  }
  return all && !received_.empty() ? source_.meet(*all, received_) : all;
}

void AckTracker::tick(bool force) {
  const auto now = clock_.steadyNow();
  std::optional<Position> ack;
  bool lag = false;
  {
    const std::lock_guard lock(mutex_);
    if (dirty_ && (force || now - lastAck_ >= options_.interval)) {
      dirty_ = false;
      ack = next();
      if (ack && !acked_.empty() && !(source_.comparePositions(*ack, acked_) > 0)) ack.reset();
      if (ack) {
        acked_ = *ack;
        lastAck_ = now;
      }
    }
    lag = ack || now - lastLag_ >= lagInterval(options_.interval);
    if (lag) lastLag_ = now;
  }
  if (ack) {
    source_.ack(*ack);
    observer_.onAck(options_.name, source_.positionToText(*ack));
  }
  if (lag) observer_.onLag(options_.name, source_.lag());
}

std::optional<std::chrono::microseconds> AckTracker::due() const {
  const std::lock_guard lock(mutex_);
  const auto lag = lastLag_ + lagInterval(options_.interval);
  return dirty_ ? std::min(lag, lastAck_ + options_.interval) : lag;
}

Position AckTracker::acked() const {
  const std::lock_guard lock(mutex_);
  return acked_;
}

}  // namespace tidegate::detail
