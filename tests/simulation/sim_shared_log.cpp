#include "simulation/sim_shared_log.h"

#include <utility>

#include "support/entry_rewriting.h"
#include "tidegate/core/error.h"

namespace tidegate::sim {

bool SimQuorum::land() {
  if (!late) return false;
  const Late entry = *std::exchange(late, std::nullopt);
  if (!log.append(entry.last, entry.octets)) return false;
  if (entry.landed) entry.landed();
  return true;
}

SimSharedLog::SimSharedLog(const Plan& plan, SimRandom random, Mortal& owner, Trace& trace, SimQuorum& quorum,
                           Mutation mutation, std::string name)
    : plan_(plan),
      random_(random),
      owner_(owner),
      trace_(trace),
      quorum_(quorum),
      end_(quorum.log.another()),
      mutation_(mutation),
      name_(std::move(name)) {}

void SimSharedLog::fails(Retry retry, const char* what) { throw Error(ErrorCode::storeUnavailable, retry, what); }

void SimSharedLog::die(const char* when) {
  owner_.dead = true;
  trace_.line(name_, "dies {}", when);
}

std::optional<std::uint64_t> SimSharedLog::append(std::uint64_t last, std::string_view octets) {
  if (owner_.dead) fails(Retry::outcomeUnknown, "simulated: this process is dead");
  const auto dice = owner_.faultsOn ? random_.below(100) : 99;
  if (plan_.gatewayCrashes && dice < 3) {
    die("before its append");
    fails(Retry::outcomeUnknown, "simulated: crash before an append");
  }
  if (plan_.storeFaults && dice >= 3 && dice < 7) {
    trace_.line(name_, "append is refused");
    fails(Retry::later, "simulated: no quorum");
  }
  if (plan_.storeFaults && dice >= 7 && dice < 10) {
    trace_.line(name_, "append is lost");
    fails(Retry::outcomeUnknown, "simulated: no answer");
  }
  if (plan_.storeFaults && dice >= 10 && dice < 16) {
    trace_.line(name_, "append is late");
    quorum_.late = SimQuorum::Late{last, std::string(octets), {}};
    quorum_.sentLate = true;
    fails(Retry::outcomeUnknown, "simulated: no answer yet");
  }
  const auto sequence = end_->append(last, octets);
  if (sequence) ++quorum_.appended;
  trace_.line(name_, "append after {}: {}", last, sequence ? "written" : "others were first");
  if (plan_.gatewayCrashes && dice >= 16 && dice < 19) {
    die("after its append");
    fails(Retry::outcomeUnknown, "simulated: crash after an append");
  }
  if (plan_.storeFaults && dice >= 19 && dice < 24) {
    trace_.line(name_, "append gets no answer");
    fails(Retry::outcomeUnknown, "simulated: the answer is lost");
  }
  return sequence;
}

std::uint64_t SimSharedLog::read(std::uint64_t after, const Visitor& visit) {
  if (owner_.dead) fails(Retry::later, "simulated: this process is dead");
  if (plan_.storeFaults && owner_.faultsOn && random_.chance(3)) {
    trace_.line(name_, "read fails");
    fails(Retry::later, "simulated: no quorum to read from");
  }
  return end_->read(after, [&](std::uint64_t sequence, std::string_view octets) {
    if (mutation_ == Mutation::hideEntry && !hidden_ && random_.chance(5)) {
      hidden_ = true;
      return;
    }
    if (mutation_ == Mutation::otherEntry && !hidden_ && random_.chance(5)) {
      hidden_ = true;
      return visit(sequence, test::ofAnotherWriter(octets));
    }
    visit(sequence, octets);
  });
}

void SimSharedLog::putSnapshot(std::uint64_t sequence, const std::function<bool(std::string& chunk)>& next) {
  if (owner_.dead) fails(Retry::later, "simulated: this process is dead");
  if (plan_.storeFaults && owner_.faultsOn && random_.chance(15)) {
    trace_.line(name_, "snapshot fails");
    fails(Retry::later, "simulated: no room for a snapshot");
  }
  end_->putSnapshot(sequence, next);
}

std::optional<std::uint64_t> SimSharedLog::readSnapshot(const std::function<void(std::string_view chunk)>& chunk) {
  if (plan_.storeFaults && owner_.faultsOn && random_.chance(10)) {
    fails(Retry::later, "simulated: no snapshot to be had now");
  }
  return end_->readSnapshot(chunk);
}

void SimSharedLog::trim(std::uint64_t sequence) {
  if (owner_.dead) fails(Retry::later, "simulated: this process is dead");
  trace_.line(name_, "trims to {}", sequence);
  end_->trim(sequence);
}

}  // namespace tidegate::sim
