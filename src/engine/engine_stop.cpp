#include <algorithm>
#include <utility>

#include "engine/detail/engine_impl.h"

namespace tidegate {

StopOutcome Engine::Impl::stop(std::chrono::milliseconds deadline) {
  const std::lock_guard lock(lifeMutex);
  if (stopped.exchange(true)) return outcome;
  if (!opened) {
    for (SourceSlot& slot : sources) slot.runner->close();
    return outcome;
  }
  const auto until = clock.steadyNow() + deadline;
  for (std::jthread& thread : sourceThreads) thread.request_stop();
  sourceThreads.clear();
  draining = true;
  if (threaded) {
    for (auto& one : pipelines) one->link().waker.wake();
    const auto left = until - clock.steadyNow();
    if (left.count() > 0) scheduler.waitFor(left, pipelinesEnded.get_token());
    hardStop = true;
    if (pipelinesRunning > 0) {
      for (auto& one : pipelines) {
        one->giveUp();
        one->link().waker.wake();
      }
    }
    pipelineThreads.clear();
  } else {
    while (!allDrained() && clock.steadyNow() < until) {
      if (pump()) continue;
      if (allDrained()) break;
      const auto now = clock.steadyNow();
      const auto due = nextDue().value_or(until);
      scheduler.waitFor(std::max(Micros(1), std::min<Micros>(due, until) - now), {});
    }
    for (auto& one : pipelines) {
      if (!allDrained()) one->giveUp();
      if (!one->finish()) allWhole = false;
    }
  }
  for (SourceSlot& slot : sources) {
    slot.acks->tick(true);
    slot.runner->close();
  }
  running = false;
  outcome = allWhole ? StopOutcome::drained : StopOutcome::rolledBack;
  return outcome;
}

}  // namespace tidegate
