// How commits reach those that follow the log: each entry is looked at once, and put to whom it may concern.
#include <algorithm>
#include <utility>

#include "gateway/detail/gateway_core.h"
#include "gateway/detail/log_judge.h"

namespace tidegate::detail {
namespace {

constexpr std::size_t kRouteOctets = 128u << 10;

}  // namespace

void GatewayCore::addListener(std::shared_ptr<CommitListener> listener) {
  {
    const std::lock_guard lock(fanOutMutex_);
    if (fanOut_.empty()) {  // nobody has looked for a while
      const std::shared_lock stateLock(mutex);
      fanOut_.begin(state.rulesGeneration, state.resyncBefore);
      fanOut_.routed(state.head);
    }
    fanOut_.add(listener);
  }
  const std::lock_guard lock(listenersMutex_);
  listeners_.push_back(std::move(listener));
}

void GatewayCore::removeListener(const CommitListener* listener) noexcept {
  std::shared_ptr<CommitListener> last;  // destroyed outside the locks
  {
    const std::lock_guard lock(listenersMutex_);
    const auto found =
        std::find_if(listeners_.begin(), listeners_.end(), [&](const auto& held) { return held.get() == listener; });
    if (found == listeners_.end()) return;
    last = std::move(*found);
    listeners_.erase(found);
  }
  const std::lock_guard lock(fanOutMutex_);
  fanOut_.remove(listener);
}

/// Puts everything published to whom it may concern. @pre fanOutMutex_.
void GatewayCore::routeNew() {
  if (fanOut_.empty()) return;
  RecordView record;
  std::uint64_t scanned = 0;
  for (;;) {
    LogSlice slice;
    {
      const std::shared_lock lock(mutex);
      const bool trimmed = fanOut_.routedTo() < state.trimmedTo;
      if (fanOut_.epoch() != state.rulesGeneration || fanOut_.floor() != state.resyncBefore || trimmed) {
        // Records may be of other rules, or gone: everyone looks for itself, and is told what is the matter there.
        fanOut_.begin(state.rulesGeneration, state.resyncBefore);
        fanOut_.routed(state.head);
        break;
      }
      slice = state.log.slice(fanOut_.routedTo(), kRouteOctets);
      if (slice.empty()) {
        fanOut_.routed(std::max(fanOut_.routedTo(), state.head));
        break;
      }
    }
    for (const char* at = slice.begin; at != slice.end; at += recordSize(at)) {
      record.read({at, recordSize(at)});
      fanOut_.route(record, state.names.at(record.table));
      ++scanned;
    }
  }
  counters.entriesScanned.fetch_add(scanned, std::memory_order_relaxed);
}

void GatewayCore::notify() noexcept {
  std::vector<std::shared_ptr<CommitListener>> listeners;
  {
    const std::lock_guard lock(fanOutMutex_);
    routeNew();
    listeners = fanOut_.toTell();
  }
  for (const auto& listener : listeners) listener->onCommit();
}

Mail GatewayCore::takeMail(const CommitListener* who) {
  const std::lock_guard lock(fanOutMutex_);
  // A commit that is published, but not yet told of. Others' mail is told when its committer comes to it.
  routeNew();
  return fanOut_.take(who);
}

void GatewayCore::giveBackMail(const CommitListener* who, std::vector<std::uint64_t> stamps, bool scan) {
  const std::lock_guard lock(fanOutMutex_);
  fanOut_.giveBack(who, std::move(stamps), scan);
}

bool GatewayCore::fileView(const CommitListener* who, const CompiledView& view) {
  const std::lock_guard lock(fanOutMutex_);
  if (fanOut_.filed(who, view.generation)) return false;
  fanOut_.file(who, view);
  return true;
}

LogReading GatewayCore::readStamps(std::vector<std::uint64_t>& stamps, const CompiledView& view, std::size_t maxDeltas,
                                   std::vector<RowDelta>& out) {
  LogReading reading;
  LogJudge judge(view.view, state.names);
  RecordView record;
  std::vector<PurgedTable> purged;
  std::size_t done = 0;
  for (bool full = false; done < stamps.size() && !full && !reading.resync; ++done) {
    reading.position = stamps[done] - 1;
    const LogSlice slice = nextSlice(reading, view, purged);
    if (reading.more) break;  // other rules by now: the next look says so
    reading.position = stamps[done];
    if (reading.resync || slice.empty() || recordServerHlc(slice.begin) != stamps[done]) continue;
    record.read({slice.begin, recordSize(slice.begin)});
    const bool hidden = std::any_of(purged.begin(), purged.end(), [&](const PurgedTable& p) {
      return p.table == record.table && record.serverHlc <= p.at;
    });
    if (!hidden) judge.append(record, out);
    full = out.size() >= maxDeltas && !record.pairedWithNext;
  }
  counters.entriesScanned.fetch_add(done, std::memory_order_relaxed);
  stamps.erase(stamps.begin(), stamps.begin() + static_cast<std::ptrdiff_t>(done));
  return reading;
}

}  // namespace tidegate::detail
