/// The engine on the host's own thread.
#include <algorithm>
#include <utility>

#include "engine/detail/engine_impl.h"

namespace tidegate {
namespace {

/// A source's turn ends after so many batches where others wait for theirs.
constexpr std::size_t kBatchesPerTurn = 16;

}  // namespace

/// Lets every pipeline do what it can do now. @return whether one did something.
bool Engine::Impl::pump() {
  if (std::exchange(pumping, true)) return false;
  bool any = false;
  for (bool worked = true; worked;) {
    worked = false;
    for (std::size_t i = 0; i < pipelines.size(); ++i) {
      const auto step = pipelines[i]->step();
      dues[i] = step.due;
      worked = worked || step.worked;
    }
    any = any || worked;
  }
  pumping = false;
  return any;
}

std::optional<Engine::Impl::Micros> Engine::Impl::nextDue() const {
  std::optional<Micros> next;
  for (const auto& due : dues) {
    if (due) next = next ? std::min(*next, *due) : *due;
  }
  return next;
}

bool Engine::Impl::allDrained() const {
  return std::all_of(pipelines.begin(), pipelines.end(), [](const auto& one) { return one->drained(); });
}

/// Waits, and ends early where a pipeline did something.
void Engine::Impl::waitOrWork(Micros atMost, const std::stop_token& stop) {
  if (pump()) return;
  const Micros now = clock.steadyNow();
  const Micros left = std::max(Micros(1), nextDue().value_or(now + atMost) - now);
  scheduler.waitFor(std::min(atMost, left), stop);
  pump();
}

/// A source's wait: pipelines work meanwhile, and other sources come to their turn.
bool Engine::Impl::waitInline(Micros duration, const std::stop_token& stop) {
  if (pumping) return scheduler.waitFor(duration, stop);
  const Micros end = clock.steadyNow() + duration;
  for (Micros now = clock.steadyNow(); now < end && !stop.stop_requested(); now = clock.steadyNow()) {
    waitOrWork(end - now, stop);
  }
  if (sources.size() > 1) {
    for (SourceSlot& slot : sources) slot.runner->endTurn();
  }
  return !stop.stop_requested();
}

void Engine::Impl::beginInline() {
  if (threaded) throw Error(ErrorCode::invalidArgument, Retry::never, "this engine has threads; runInline is without");
  if (stopped) throw Error(ErrorCode::stopped, Retry::never, "this engine was stopped; make a new one");
  inlineScheduler.hook([this](Micros duration, const std::stop_token& token) { return waitInline(duration, token); });
  for (SourceSlot& slot : sources) {
    slot.runner->runsInline({.wait = [this](Micros atMost) { waitOrWork(atMost, {}); },
                             .delivered = [this] { pump(); },
                             .batchesPerTurn = sources.size() > 1 ? kBatchesPerTurn : SIZE_MAX});
    slot.runner->again();
  }
  if (!opened) openAll();
}

void Engine::Impl::runInline(std::stop_token stop) {
  using Turn = detail::SourceRunner::Turn;
  const std::lock_guard lock(lifeMutex);
  beginInline();
  running = true;
  while (!stop.stop_requested()) {
    bool worked = false;
    bool finished = true;
    std::optional<Micros> due;
    for (SourceSlot& slot : sources) {
      const auto result = slot.runner->turn(stop);
      worked = worked || result.turn == Turn::worked;
      finished = finished && (result.turn == Turn::finished || (result.turn == Turn::waiting && !result.due));
      if (result.due) due = due ? std::min(*due, *result.due) : *result.due;
    }
    worked = pump() || worked;
    if (worked) continue;
    if (finished && allDrained()) break;
    if (const auto next = nextDue()) due = due ? std::min(*due, *next) : *next;
    if (!due) break;
    scheduler.waitFor(std::max(Micros(1), *due - clock.steadyNow()), stop);
  }
  running = false;
}

}  // namespace tidegate
