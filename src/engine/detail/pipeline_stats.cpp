#include "engine/detail/pipeline_stats.h"

#include <algorithm>
#include <utility>

namespace tidegate::detail {
namespace {

std::int64_t secondOf(std::chrono::microseconds time) { return time.count() / 1'000'000; }

}  // namespace

PipelineStats::PipelineStats(const std::string& name, const std::string& source) {
  status_.name = name;
  status_.source = source;
}

PipelineState PipelineStats::state() const {
  const std::lock_guard lock(mutex_);
  return status_.state;
}

PipelineState PipelineStats::setState(PipelineState state) {
  const std::lock_guard lock(mutex_);
  return std::exchange(status_.state, state);
}

void PipelineStats::tables(const std::vector<RouteTable>& tables) {
  const std::lock_guard lock(mutex_);
  status_.tables.resize(tables.size());
  for (std::size_t i = 0; i < tables.size(); ++i) {
    const RouteTable& from = tables[i];
    TableStatus& to = status_.tables[i];
    if (to.table != from.name) {
      to.table = from.name;
      to.target = targetName(*from.route, from.name);
    }
    to.ready = from.durable.phase == TablePhase::ready;
    to.baselineRows = from.baselineRows;
    to.changes = from.changes;
    to.filtered = from.filtered;
  }
}

void PipelineStats::durable(std::string position, std::int64_t commitMicros, bool caughtUp) {
  const std::lock_guard lock(mutex_);
  status_.durablePosition = std::move(position);
  if (commitMicros != 0) lastCommitMicros_ = commitMicros;
  caughtUp_ = caughtUp;
}

void PipelineStats::committed(std::uint64_t events, Micros now) {
  const std::lock_guard lock(mutex_);
  ++status_.commits;
  status_.applied += events;
  const std::int64_t second = secondOf(now);
  Second& slot = seconds_[static_cast<std::size_t>(second) % kSeconds];
  if (slot.second != second) slot = {second, 0};
  slot.events += events;
}

void PipelineStats::caughtUp(bool caughtUp) {
  const std::lock_guard lock(mutex_);
  caughtUp_ = caughtUp;
}

void PipelineStats::retried() {
  const std::lock_guard lock(mutex_);
  ++status_.retries;
}

void PipelineStats::lettered() {
  const std::lock_guard lock(mutex_);
  ++status_.deadLetters;
}

void PipelineStats::dropped(std::uint64_t events) {
  const std::lock_guard lock(mutex_);
  status_.dropped += events;
}

void PipelineStats::error(const Error& error, bool stopped) {
  const std::lock_guard lock(mutex_);
  status_.lastError = error.what();
  if (stopped) stoppedBy_ = error;
}

void PipelineStats::mended() {
  const std::lock_guard lock(mutex_);
  stoppedBy_.reset();
}

std::optional<Error> PipelineStats::stoppedBy() const {
  const std::lock_guard lock(mutex_);
  return stoppedBy_;
}

PipelineStatus PipelineStats::status(Micros steadyNow, Micros wallNow) const {
  const std::lock_guard lock(mutex_);
  PipelineStatus status = status_;
  std::uint64_t events = 0;
  const std::int64_t second = secondOf(steadyNow);
  for (const Second& slot : seconds_) {
    if (slot.second >= 0 && second - slot.second < static_cast<std::int64_t>(kSeconds)) events += slot.events;
  }
  status.eventsPerSecond = static_cast<double>(events) / static_cast<double>(kSeconds);
  using Millis = std::chrono::milliseconds;
  if (caughtUp_)
    status.lag = Millis(0);
  else if (lastCommitMicros_ != 0)
    status.lag = std::max(Millis(0), std::chrono::duration_cast<Millis>(wallNow - Micros(lastCommitMicros_)));
  return status;
}

}  // namespace tidegate::detail
