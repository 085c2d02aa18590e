/// The process that an engine runs in, which may die at any call that leaves it.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "simulation/engine_plan.h"
#include "simulation/sim_clock.h"
#include "simulation/trace.h"
#include "tidegate/core/error.h"

namespace tidegate::sim {

/// Thrown through the engine when its process dies: no std::exception, so that nothing in the engine handles it.
struct ProcessDied {};

/// What outlives processes.
struct EngineWorld {
  const EnginePlan& plan;
  SimClock& clock;
  Trace& trace;
  SimRandom& random;  ///< of faults
  EngineMutation mutation = EngineMutation::none;
  bool faults = true;
  bool aside = false;  ///< the engine compares, repairs and replays: nothing is refused, and no change is of the stream
  std::function<void()> tick{};  ///< everybody else does something
};

class EngineProcess {
 public:
  explicit EngineProcess(EngineWorld& world) : world_(world) {}

  /// A call of the engine's arrives. It may be the one at which the process dies.
  /// @throws ProcessDied; Error if it is dead already, so that an engine being destroyed comes to its end.
  void enter(std::string_view who, std::string_view what) {
    if (dead_) throw Error(ErrorCode::connectionFailed, Retry::later, "the process is dead");
    if (over_) fail("nothing is called after stop returned", std::string(who) + ": " + std::string(what));
    if (++calls_ > kMostCalls) fail("the engine comes to rest", "too many calls, the last by " + std::string(who));
    maybeDie(who, what);
  }
  /// It has been done, and the answer is on its way.
  void leave(std::string_view who, std::string_view what) { maybeDie(who, what); }
  /// For calls that may not throw. @return whether they count.
  bool enterQuietly(std::string_view who, std::string_view what) noexcept {
    if (dead_) return false;
    if (!over_) return true;
    note("nothing is called after stop returned", std::string(who) + ": " + std::string(what));
    return false;
  }

  /// Notes the failed check, and ends the run.
  [[noreturn]] void fail(std::string_view check, const std::string& detail) {
    note(check, detail);
    dead_ = true;
    throw ProcessDied{};
  }
  void note(std::string_view check, const std::string& detail) noexcept {
    try {
      world_.trace.fail(check, detail);
    } catch (const std::exception&) {
      // the trace keeps it
    }
  }

  void kill() noexcept { dead_ = true; }
  void end() noexcept { over_ = true; }
  bool dead() const noexcept { return dead_; }
  bool over() const noexcept { return over_; }
  EngineWorld& world() noexcept { return world_; }

 private:
  void maybeDie(std::string_view who, std::string_view what) {
    if (world_.trace.failure()) dead_ = true;
    if (!dead_ && world_.faults && world_.plan.crashes && world_.random.permille(5)) {
      world_.trace.line("process", "dies at {} of {}", what, who);
      dead_ = true;
    }
    if (dead_) throw ProcessDied{};
  }

  static constexpr std::uint64_t kMostCalls = 2'000'000;
  EngineWorld& world_;
  bool dead_ = false;  ///< killed: what its objects still do reaches nobody
  bool over_ = false;  ///< stopped in good order
  std::uint64_t calls_ = 0;
};

}  // namespace tidegate::sim
