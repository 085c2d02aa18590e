/// What stands behind `Engine`: runners, and the threads that drive them.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/detail/inline_scheduler.h"
#include "engine/detail/pipeline_runner.h"
#include "engine/detail/shared_batch.h"
#include "engine/detail/source_runner.h"
#include "tidegate/engine/engine.h"

namespace tidegate {

struct Engine::Impl {
  using Micros = std::chrono::microseconds;
  struct SourceSlot {
    std::unique_ptr<detail::AckTracker> acks;
    std::unique_ptr<detail::SourceRunner> runner;
  };

  explicit Impl(EngineOptions given);

  // engine.cpp
  detail::PipelineRunner& pipeline(std::string_view name);
  /// Sources that a failure stopped go on.
  void mendSources();
  detail::SourceRunner& sourceOf(const detail::PipelineRunner& pipeline);
  /// @throws Error{stopped}
  void requireRunning() const;
  /// Has `run` called on the pipeline's thread, with a sink that works and no open unit, and waits for it.
  void onPipeline(detail::PipelineRunner& pipeline, std::function<void()> run);
  // engine_verify.cpp
  TableVerification verifyTable(detail::PipelineRunner& pipeline, const std::string& table,
                                const VerifyOptions& verifyOptions);
  // engine_start.cpp
  void openAll();
  void startThreads();
  // engine_stop.cpp
  StopOutcome stop(std::chrono::milliseconds deadline);
  // engine_inline.cpp
  void runInline(std::stop_token stop);
  void beginInline();
  void waitOrWork(Micros atMost, const std::stop_token& stop);
  bool waitInline(Micros duration, const std::stop_token& stop);
  bool pump();
  std::optional<Micros> nextDue() const;
  bool allDrained() const;

  const EngineOptions options;
  const Clock& clock;
  Scheduler& scheduler;
  detail::InlineScheduler inlineScheduler;  ///< what sources wait with
  const std::shared_ptr<EngineObserver> observer;

  detail::BatchPool pool;
  std::vector<SourceSlot> sources;
  std::vector<std::unique_ptr<detail::PipelineRunner>> pipelines;

  std::mutex lifeMutex;  ///< start, stop
  std::atomic<bool> opened{false}, running{false}, stopped{false}, paused{false}, threaded{false};
  std::atomic<bool> draining{false}, hardStop{false};
  StopOutcome outcome = StopOutcome::drained;
  std::atomic<bool> allWhole{true};  ///< of the pipelines that ended
  std::atomic<std::size_t> pipelinesRunning{0};
  std::stop_source pipelinesEnded;

  // Inline.
  bool pumping = false;
  std::vector<std::optional<Micros>> dues;  ///< beside the pipelines

  std::vector<std::jthread> sourceThreads, pipelineThreads;  ///< last: they end first
};

}  // namespace tidegate
