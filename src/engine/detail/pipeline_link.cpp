#include "engine/detail/pipeline_link.h"

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
  offered_ = joined_ = allStarted_ = false;
  forced_.merge(started_);
  started_.clear();
  baseline_ = {};
  queue.refuse();
}

void PipelineLink::baselineArrived(const std::vector<std::string>& tables) {
  const std::lock_guard lock(mutex_);
  for (const std::string& table : tables) started_.erase(table);
  allStarted_ = false;
  baseline_ = {};
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
    std::set<std::string> tables = progress_.missing;
    tables.merge(forced_);
    forced_.clear();
    for (const std::string& table : tables) {
      if (started_.insert(table).second) item.tables.push_back(table);
    }
    if (item.tables.empty()) return {};
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
    baseline_ = from;
    QueueItem item;
    item.kind = QueueItem::Kind::baselineEnds;
    item.tables = tables;
    item.position = from;
    queue.push(std::move(item));
  }
  waker.wake();
}

void PipelineLink::abandonBaseline() {
  const std::lock_guard lock(mutex_);
  forced_.merge(started_);
  started_.clear();
  allStarted_ = false;
  baseline_ = {};
}

std::vector<Position> PipelineLink::resumeFrom(const SyncSource& source) const {
  const std::lock_guard lock(mutex_);
  std::vector<Position> all;
  if (!baseline_.empty()) all.push_back(baseline_);
  if (allStarted_ && !all.empty()) return all;
  if (progress_.durable.empty()) return all;
  if (!all.empty() && source.comparePositions(baseline_, progress_.durable) <= 0) all.clear();
  all.push_back(progress_.durable);
  all.insert(all.end(), progress_.froms.begin(), progress_.froms.end());
  return all;
}

void PipelineLink::post(PipelineCommand command) {
  {
    const std::lock_guard lock(mutex_);
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

void PipelineLink::dropCommands() {
  std::deque<PipelineCommand> dropped;
  const std::lock_guard lock(mutex_);
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
