#include "tidegate/gateway/shared_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

#include "tidegate/core/error.h"

namespace tidegate {

struct MemorySharedLog::Entries {
  struct Entry {
    std::uint64_t sequence = 0;
    std::shared_ptr<const std::string> octets;
  };
  struct End {
    std::function<void()> wake;
    std::size_t running = 0;  ///< calls of `wake` under way
  };

  mutable std::mutex mutex;
  std::condition_variable idle;
  std::deque<Entry> entries;                                                  ///< guarded by mutex
  std::uint64_t last = 0;                                                     ///< guarded by mutex
  std::uint64_t trimmedTo = 0;                                                ///< guarded by mutex
  std::size_t entryBytes = 0;                                                 ///< guarded by mutex
  std::size_t snapshotBytes = 0;                                              ///< guarded by mutex
  std::uint64_t snapshotAt = 0;                                               ///< guarded by mutex
  std::shared_ptr<const std::vector<std::string>> snapshot;                   ///< guarded by mutex
  std::vector<std::pair<const MemorySharedLog*, std::shared_ptr<End>>> ends;  ///< guarded by mutex
};

MemorySharedLog::MemorySharedLog() : entries_(std::make_shared<Entries>()) {}
MemorySharedLog::MemorySharedLog(std::shared_ptr<Entries> entries) : entries_(std::move(entries)) {}
MemorySharedLog::~MemorySharedLog() { onEntries({}); }

std::shared_ptr<MemorySharedLog> MemorySharedLog::another() const {
  return std::shared_ptr<MemorySharedLog>(new MemorySharedLog(entries_));  // the constructor is private
}

std::optional<std::uint64_t> MemorySharedLog::append(std::uint64_t last, std::string_view octets) {
  auto kept = std::make_shared<const std::string>(octets);
  const std::lock_guard lock(entries_->mutex);
  if (last != entries_->last) return std::nullopt;
  entries_->entries.push_back({last + 1, std::move(kept)});
  entries_->entryBytes += octets.size();
  return ++entries_->last;
}

std::uint64_t MemorySharedLog::read(std::uint64_t after, const Visitor& visit) {
  std::vector<Entries::Entry> found;
  {
    const std::lock_guard lock(entries_->mutex);
    if (after < entries_->trimmedTo) {
      throw Error(ErrorCode::positionLost, Retry::never,
                  fmt::format("the shared log begins after entry {}, and entries after {} were asked for; start from a "
                              "snapshot",
                              entries_->trimmedTo, after));
    }
    const auto first = std::upper_bound(entries_->entries.begin(), entries_->entries.end(), after,
                                        [](std::uint64_t at, const Entries::Entry& e) { return at < e.sequence; });
    found.assign(first, entries_->entries.end());
  }
  for (const Entries::Entry& entry : found) visit(entry.sequence, *entry.octets);
  return found.empty() ? after : found.back().sequence;
}

void MemorySharedLog::onEntries(std::function<void()> wake) {
  std::shared_ptr<Entries::End> old;  // destroyed outside the lock
  std::unique_lock lock(entries_->mutex);
  const auto own =
      std::find_if(entries_->ends.begin(), entries_->ends.end(), [this](const auto& end) { return end.first == this; });
  if (own != entries_->ends.end()) {
    old = std::move(own->second);
    entries_->ends.erase(own);
  }
  if (wake) {
    auto end = std::make_shared<Entries::End>();
    end->wake = std::move(wake);
    entries_->ends.emplace_back(this, std::move(end));
  }
  if (old) entries_->idle.wait(lock, [&] { return old->running == 0; });
}

void MemorySharedLog::appended() {
  std::vector<std::shared_ptr<Entries::End>> others;
  {
    const std::lock_guard lock(entries_->mutex);
    for (const auto& [owner, end] : entries_->ends) {
      if (owner == this) continue;
      ++end->running;
      others.push_back(end);
    }
  }
  for (const auto& end : others) {
    end->wake();
    {
      const std::lock_guard lock(entries_->mutex);
      --end->running;
    }
    entries_->idle.notify_all();
  }
}

void MemorySharedLog::putSnapshot(std::uint64_t sequence, const std::function<bool(std::string& chunk)>& next) {
  auto chunks = std::make_shared<std::vector<std::string>>();
  std::size_t bytes = 0;
  for (std::string chunk; next(chunk); chunk.clear()) bytes += chunks->emplace_back(chunk).size();
  const std::lock_guard lock(entries_->mutex);
  if (entries_->snapshot && entries_->snapshotAt > sequence) return;
  entries_->snapshot = std::move(chunks);
  entries_->snapshotAt = sequence;
  entries_->snapshotBytes = bytes;
}

std::optional<std::uint64_t> MemorySharedLog::readSnapshot(const std::function<void(std::string_view chunk)>& chunk) {
  std::shared_ptr<const std::vector<std::string>> chunks;
  std::uint64_t sequence = 0;
  {
    const std::lock_guard lock(entries_->mutex);
    chunks = entries_->snapshot;
    sequence = entries_->snapshotAt;
  }
  if (!chunks) return std::nullopt;
  for (const std::string& octets : *chunks) chunk(octets);
  return sequence;
}

void MemorySharedLog::trim(std::uint64_t sequence) {
  const std::lock_guard lock(entries_->mutex);
  while (!entries_->entries.empty() && entries_->entries.front().sequence <= sequence) {
    entries_->trimmedTo = entries_->entries.front().sequence;
    entries_->entryBytes -= entries_->entries.front().octets->size();
    entries_->entries.pop_front();
  }
}

std::size_t MemorySharedLog::bytes() const {
  const std::lock_guard lock(entries_->mutex);
  return entries_->entryBytes + entries_->snapshotBytes;
}

}  // namespace tidegate
