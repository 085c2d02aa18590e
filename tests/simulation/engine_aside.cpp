/// What an engine does beside its stream: dead letters are applied again, targets are compared and repaired.
#include "simulation/engine_simulation.h"

namespace tidegate::sim {

void EngineSimulation::checkAside(std::size_t pipeline) {
  const std::string& name = plan_.pipelines[pipeline].name;
  if (const std::uint64_t waiting = letters_->count(name); waiting > 0) {
    trace_.line("host", "replays {} letters of {}", waiting, name);
    const std::uint64_t done = engine_->replayDeadLetters(name);
    if (done != waiting || letters_->count(name) > 0) {
      trace_.fail("a dead letter whose reason is gone is applied, and is one no more",
                  fmt::format("{}: {} of {}, {} are left", name, done, waiting, letters_->count(name)));
    }
  }
  for (auto times = plan_.tampers ? random_.below(4) : 0; times > 0; --times) {
    if (const std::string what = targets_[pipeline].tamper(random_); !what.empty()) trace_.line(name, "{}", what);
  }
  if (random_.chance(50)) compare(pipeline, false);
  compare(pipeline, true);
  letters_->repaired(name);
  if (const auto left = oracle(pipeline).differences(false); !left.empty()) {
    trace_.fail("after a repair a sink is its filtered source", name + ": " + left.front());
  }
}

/// Verification finds every row that differs, and no other.
void EngineSimulation::compare(std::size_t pipeline, bool repair) {
  const std::string& name = plan_.pipelines[pipeline].name;
  const auto differing = oracle(pipeline).differences(false);
  const VerifyReport report = engine_->verify({.pipelines = {name},
                                               .chunks = 1 + static_cast<std::size_t>(random_.below(20)),
                                               .rechecks = static_cast<std::uint32_t>(random_.below(3)),
                                               .recheckDelay = std::chrono::milliseconds(10),
                                               .repair = repair});
  trace_.line("host", "compares {}: {} differences", name, report.differences());
  if (report.differences() != differing.size()) {
    trace_.fail("verify finds the rows that differ",
                fmt::format("{}: {} instead of {}{}{}", name, report.differences(), differing.size(),
                            differing.empty() ? "" : ", among them ", differing.empty() ? "" : differing.front()));
  }
  if (!repair) return;
  for (const TableVerification& table : report.tables) {
    for (const Difference& difference : table.differences) {
      if (!difference.repaired) trace_.fail("verify repairs what it finds", table.target + " " + difference.key);
    }
  }
}

}  // namespace tidegate::sim
