#include "chaos/faults.h"

#include <fmt/format.h>

#include <algorithm>

#include "support/property.h"

namespace tidegate::chaos {

std::string_view toString(Fault fault) noexcept {
  switch (fault) {
    case Fault::killSource:
      return "killSource";
    case Fault::restartSource:
      return "restartSource";
    case Fault::killReplica:
      return "killReplica";
    case Fault::killMySql:
      return "killMySql";
    case Fault::killEngine:
      return "killEngine";
    case Fault::stopEngine:
      return "stopEngine";
    case Fault::cut:
      return "cut";
    case Fault::freeze:
      return "freeze";
    case Fault::slow:
      return "slow";
    case Fault::fillDisk:
      return "fillDisk";
    case Fault::dropSlot:
      return "dropSlot";
  }
  return "?";
}

RoundPlan planRound(std::uint64_t seed) {
  constexpr std::size_t kFaults = static_cast<std::size_t>(Fault::dropSlot) + 1;
  test::Random random(seed * 77 + 5);
  RoundPlan plan{
      .seed = seed, .length = std::chrono::milliseconds(random.between(1'500, 4'000)), .writers = 1 + random.index(3)};
  const std::size_t faults = 1 + random.index(4);
  for (std::size_t i = 0; i < faults; ++i) {
    plan.faults.push_back({std::chrono::milliseconds(random.between(100, plan.length.count())),
                           // Each seed in turn has its own first fault, so that a few rounds meet all kinds.
                           static_cast<Fault>(i == 0 ? seed % kFaults : random.index(kFaults))});
  }
  std::sort(plan.faults.begin(), plan.faults.end(), [](const auto& a, const auto& b) { return a.at < b.at; });
  return plan;
}

std::string toText(const RoundPlan& plan) {
  std::string text = fmt::format("seed {}: {} writers, {} ms", plan.seed, plan.writers, plan.length.count());
  for (const PlannedFault& fault : plan.faults)
    text += fmt::format(", {} at {}", toString(fault.fault), fault.at.count());
  return text;
}

}  // namespace tidegate::chaos
