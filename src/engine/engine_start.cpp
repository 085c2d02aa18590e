#include <utility>

#include "engine/detail/engine_impl.h"

namespace tidegate {

/// Everything or nothing: sinks are closed again where something cannot be opened. Sources stay as they are, since a
/// source that was closed cannot be opened again: the next start goes on with them, and `stop` closes them.
void Engine::Impl::openAll() {
  try {
    for (SourceSlot& slot : sources) slot.runner->open();
    for (auto& one : pipelines) one->open();
  } catch (...) {
    for (auto& one : pipelines) one->spec().sink->close();
    throw;
  }
  opened = true;
}

namespace {

std::optional<std::chrono::microseconds> until(const std::optional<std::chrono::microseconds>& due,
                                               const Clock& clock) {
  if (!due) return std::nullopt;
  const auto left = *due - clock.steadyNow();
  return left.count() > 0 ? left : std::chrono::microseconds(0);
}

void runSource(detail::SourceRunner& source, const Clock& clock, std::stop_token stop) {
  const std::stop_callback wake(stop, [&source] { source.waker().wake(); });
  while (!stop.stop_requested()) {
    const auto result = source.turn(stop);
    if (result.turn == detail::SourceRunner::Turn::worked) continue;
    if (result.turn == detail::SourceRunner::Turn::stopped) return;
    source.waker().wait(until(result.due, clock));
  }
}

}  // namespace

void Engine::Impl::startThreads() {
  running = true;
  threaded = true;
  pipelinesRunning = pipelines.size();
  for (auto& one : pipelines) {
    pipelineThreads.emplace_back([this, &pipeline = *one] {
      while (!hardStop) {
        const auto step = pipeline.step();
        if (step.worked) continue;
        if (draining && pipeline.drained()) break;
        pipeline.link().waker.wait(until(step.due, clock));
      }
      if (!pipeline.finish()) allWhole = false;
      if (--pipelinesRunning == 0) pipelinesEnded.request_stop();
    });
  }
  for (SourceSlot& slot : sources) {
    sourceThreads.emplace_back(
        [this, &source = *slot.runner](std::stop_token stop) { runSource(source, clock, stop); });
  }
}

}  // namespace tidegate
