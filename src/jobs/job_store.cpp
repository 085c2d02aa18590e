#include "tidegate/jobs/job_store.h"

namespace tidegate {

std::vector<StoredJob> MemoryJobStore::list() {
  const std::lock_guard lock(mutex_);
  std::vector<StoredJob> out;
  for (const auto& [name, entry] : entries_) out.push_back(entry.job);
  return out;
}

std::optional<StoredJob> MemoryJobStore::get(std::string_view name) {
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(name);
  if (at == entries_.end()) return std::nullopt;
  return at->second.job;
}

std::optional<std::uint64_t> MemoryJobStore::put(std::string_view name, std::uint64_t expected, std::string_view record,
                                                 const StoredRun* run, std::size_t keepRuns) {
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(name);
  const std::uint64_t there = at == entries_.end() ? 0 : at->second.job.version;
  if (there != expected) return std::nullopt;
  Entry& entry = at == entries_.end() ? entries_[std::string(name)] : at->second;
  entry.job = {std::string(name), ++lastVersion_, std::string(record)};
  if (run != nullptr) entry.runs[run->id] = run->record;
  while (entry.runs.size() > keepRuns) entry.runs.erase(entry.runs.begin());
  return lastVersion_;
}

bool MemoryJobStore::remove(std::string_view name, std::uint64_t expected) {
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(name);
  if (at == entries_.end() || at->second.job.version != expected) return false;
  entries_.erase(at);
  return true;
}

std::vector<StoredRun> MemoryJobStore::runs(std::string_view name, std::uint64_t before, std::size_t limit) {
  const std::lock_guard lock(mutex_);
  std::vector<StoredRun> out;
  const auto at = entries_.find(name);
  if (at == entries_.end()) return out;
  const auto& runs = at->second.runs;
  for (auto run = before == 0 ? runs.end() : runs.lower_bound(before); run != runs.begin() && out.size() < limit;) {
    --run;
    out.push_back({run->first, run->second});
  }
  return out;
}

}  // namespace tidegate
