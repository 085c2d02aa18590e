/// What a simulated host sees of its engine, and how it waits.
#pragma once

#include "simulation/engine_simulation.h"

namespace tidegate::sim {

class EngineSimulation::Observer final : public EngineObserver {
 public:
  Observer(EngineSimulation& simulation, std::shared_ptr<EngineProcess> process)
      : simulation_(simulation), process_(std::move(process)) {}

  void onPositionLost(std::string_view source, const Error&) override { tell(source, "has lost its place"); }
  void onPipelineState(std::string_view pipeline, PipelineState from, PipelineState to,
                       std::string_view reason) override {
    if (from == PipelineState::isolated) simulation_.isolated_.erase(std::string(pipeline));
    tell(pipeline, fmt::format("{} -> {}: {}", toString(from), toString(to), reason));
  }
  void onIsolated(std::string_view pipeline, const Error&) override {
    simulation_.isolated_.insert(std::string(pipeline));
    simulation_.mayBePassed(pipeline);
    ++simulation_.result_.isolations;
  }
  void onDropped(std::string_view pipeline, std::uint64_t events) override {
    simulation_.dropped_.insert(std::string(pipeline));
    tell(pipeline, fmt::format("drops {} events", events));
  }
  void onDeadLetter(std::string_view pipeline, const DeadLetter& letter) override {
    if (letter.event.find("poison") == std::string::npos) {
      process_->fail("only changes that are refused become dead letters",
                     std::string(pipeline) + " at " + letter.positionText);
    }
  }
  void onBaselineEnd(std::string_view pipeline, std::string_view table, std::uint64_t rows) override {
    tell(pipeline, fmt::format("has {} rows of {}", rows, table));
  }

 private:
  void tell(std::string_view who, const std::string& what) {
    if (process_->dead()) return;
    if (process_->over()) process_->note("nothing is told after stop returned", what);
    simulation_.trace_.line(who, "{}", what);
  }

  EngineSimulation& simulation_;
  std::shared_ptr<EngineProcess> process_;
};

/// Waiting moves the clock, and lets everybody else do something.
class EngineSimulation::Waiter final : public Scheduler {
 public:
  Waiter(EngineSimulation& simulation, std::shared_ptr<EngineProcess> process)
      : simulation_(simulation), process_(std::move(process)) {}

  bool waitFor(Micros duration, std::stop_token stop) override {
    if (stop.stop_requested()) return false;
    // An engine that is destroyed with its process still waits for its deadline, in steps as small as it likes.
    simulation_.clock_.advance(process_->dead() ? std::max(duration, Micros(1'000'000)) : duration);
    if (!process_->dead()) simulation_.tick();
    return !stop.stop_requested();
  }

 private:
  EngineSimulation& simulation_;
  std::shared_ptr<EngineProcess> process_;
};

}  // namespace tidegate::sim
