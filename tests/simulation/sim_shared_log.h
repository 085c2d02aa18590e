/// The replicated log in the simulation: one truth, and each gateway's end of it, which loses calls and answers, lets
/// entries arrive late, and dies with its gateway at any call.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "simulation/plan.h"
#include "simulation/sim_faults.h"
#include "simulation/sim_random.h"
#include "simulation/trace.h"
#include "tidegate/core/error.h"
#include "tidegate/gateway/shared_log.h"

namespace tidegate::sim {

/// What the quorum holds, and what is under way to it.
struct SimQuorum {
  struct Late {
    std::uint64_t last = 0;
    std::string octets;
    std::function<void()> landed;  ///< what the world must know if it arrives after all
  };
  MemorySharedLog log;
  std::optional<Late> late;
  std::size_t appended = 0;  ///< entries written since the call under way began
  bool sentLate = false;     ///< the call under way left an entry behind

  void beginCall() { appended = 0, sentLate = false; }
  /// The late entry arrives, if its place is still free. @return whether it did.
  bool land();
};

/// @thread One.
class SimSharedLog final : public SharedLog {
 public:
  SimSharedLog(const Plan& plan, SimRandom random, Mortal& owner, Trace& trace, SimQuorum& quorum, Mutation mutation,
               std::string name);

  std::optional<std::uint64_t> append(std::uint64_t last, std::string_view octets) override;
  std::uint64_t read(std::uint64_t after, const Visitor& visit) override;
  void onEntries(std::function<void()> wake) override { wake_ = std::move(wake); }
  void putSnapshot(std::uint64_t sequence, const std::function<bool(std::string& chunk)>& next) override;
  std::optional<std::uint64_t> readSnapshot(const std::function<void(std::string_view chunk)>& chunk) override;
  void trim(std::uint64_t sequence) override;

  void wake() {
    if (wake_) wake_();
  }

 private:
  void die(const char* when);
  [[noreturn]] void fails(Retry retry, const char* what);

  const Plan& plan_;
  SimRandom random_;
  Mortal& owner_;
  Trace& trace_;
  SimQuorum& quorum_;
  const std::shared_ptr<MemorySharedLog> end_;
  const Mutation mutation_;
  const std::string name_;
  bool hidden_ = false;
  std::function<void()> wake_;
};

}  // namespace tidegate::sim
