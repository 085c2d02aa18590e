#include "engine/detail/pipeline_link.h"

#include <algorithm>
#include <utility>

namespace tidegate::detail {

void PipelineLink::tableCount(std::size_t tables) {
  const std::lock_guard lock(mutex_);
  tables_ = tables;
}

void PipelineLink::publish(PipelineProgress progress) {
  const std::lock_guard lock(mutex_);
  progress_ = std::move(progress);
}

void PipelineLink::offer() {
  const std::lock_guard lock(mutex_);
  offered_ = true;
}

void PipelineLink::leave() {
  const std::lock_guard lock(mutex_);
  offered_ = joined_ = false;
  forgetStarted();
  queue.refuse();
}

void PipelineLink::forgetStarted() {
  for (const auto& [table, round] : started_) forced_.insert(table);
  started_.clear();
  allStarted_ = false;
  ends_.clear();
}

void PipelineLink::baselineArrived(const std::vector<std::string>& tables, std::uint64_t round) {
  const std::lock_guard lock(mutex_);
  for (const std::string& table : tables) {
    // A later call may be reading it again by now: that one is still to come.
    const auto at = started_.find(table);
    if (at != started_.end() && at->second == round) started_.erase(at);
  }
  allStarted_ = false;
  ends_.erase(ends_.begin(), ends_.upper_bound(round));
}

bool PipelineLink::join() {
  const std::lock_guard lock(mutex_);
  if (joined_) return true;
  if (!offered_) return false;
  joined_ = true;
  queue.accept();
  return true;
}

bool PipelineLink::joined() const {
  const std::lock_guard lock(mutex_);
  return joined_;
}

std::vector<std::string> PipelineLink::beginBaseline() {
  QueueItem item;
  item.kind = QueueItem::Kind::baselineBegins;
  {
    const std::lock_guard lock(mutex_);
    if (!joined_) return {};
    for (const std::string& table : progress_.missing) {
      // One that was handed over is only missing because the pipeline is not that far.
      if (!started_.contains(table)) forced_.insert(table);
    }
    if (forced_.empty()) return {};
    item.tables.assign(forced_.begin(), forced_.end());
    forced_.clear();
    ++round_;
    for (const std::string& table : item.tables) started_[table] = round_;
    // A position from which no table goes on is not needed, and may be one that the source has lost.
    std::erase_if(ends_, [&](const auto& end) {
      return std::none_of(started_.begin(), started_.end(), [&](const auto& s) { return s.second == end.first; });
    });
    allStarted_ = started_.size() == tables_;
    queue.push(item);
  }
  waker.wake();
  return item.tables;
}

void PipelineLink::endBaseline(const std::vector<std::string>& tables, const Position& from) {
  {
    const std::lock_guard lock(mutex_);
    if (!joined_) return;
    ends_[round_] = from;
    QueueItem item;
    item.kind = QueueItem::Kind::baselineEnds;
    item.tables = tables;
    item.round = round_;
    item.position = from;
    queue.push(std::move(item));
  }
  waker.wake();
}

void PipelineLink::abandonBaseline() {
  const std::lock_guard lock(mutex_);
  // What a call brought to its end is on its way, and need not be read twice.
  if (ends_.contains(round_)) return;
  for (auto at = started_.begin(); at != started_.end();) {
    if (at->second != round_) {
      ++at;
      continue;
    }
    forced_.insert(at->first);
    at = started_.erase(at);
    allStarted_ = false;
  }
}

std::vector<Position> PipelineLink::resumeFrom() const {
  const std::lock_guard lock(mutex_);
  std::vector<Position> all;
  for (const auto& [round, from] : ends_) all.push_back(from);
  if (allStarted_ && !all.empty()) return all;
  if (progress_.durable.empty()) return all;
  all.push_back(progress_.durable);
  all.insert(all.end(), progress_.froms.begin(), progress_.froms.end());
  return all;
}

void PipelineLink::post(PipelineCommand command) {
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    commands_.push_back(std::move(command));
  }
  waker.wake();
}

std::optional<PipelineCommand> PipelineLink::nextCommand(bool sinkWorks) {
  const std::lock_guard lock(mutex_);
  for (auto at = commands_.begin(); at != commands_.end(); ++at) {
    if (at->needsSink && !sinkWorks) continue;
    PipelineCommand command = std::move(*at);
    commands_.erase(at);
    return command;
  }
  return std::nullopt;
}

bool PipelineLink::hasCommands() const {
  const std::lock_guard lock(mutex_);
  return !commands_.empty();
}

void PipelineLink::end() {
  std::deque<PipelineCommand> dropped;
  const std::lock_guard lock(mutex_);
  ended_ = true;
  dropped.swap(commands_);
}

void PipelineLink::force(const std::vector<std::string>& tables) {
  const std::lock_guard lock(mutex_);
  forced_.insert(tables.begin(), tables.end());
}

bool PipelineLink::whole() const {
  const std::lock_guard lock(mutex_);
  return progress_.whole && started_.empty() && forced_.empty() && progress_.missing.empty();
}

}  // namespace tidegate::detail
