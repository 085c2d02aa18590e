// `rules`: subscribers with claims of their own over one log. What a change costs must grow with those that it
// concerns.
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bench/harness.h"
#include "tidegate/gateway/gateway.h"

namespace tidegate::bench {
namespace {

constexpr PushContext kTrustedRow{.trusted = true, .ingest = false};
constexpr std::size_t kChanges = 2'000, kMatching = 5;

SyncRules ownRows() { return SyncRules::of(1, {{"mine", {"notes"}, {{"owner", RuleOp::eq, {}, "sub"}}}}); }

/// Subscribers of whom `kMatching` share a claim, and the others have one of their own that nothing matches.
struct Followers {
  Followers(Gateway& gateway, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::string sub = i < kMatching ? "hot" : "u" + std::to_string(i);
      all.push_back(gateway.subscribe(
          {.clientId = "c" + std::to_string(i), .onReady = [this, i] { woken.push_back(i); }}, {{"sub", {sub}}}));
      all.back().next(std::chrono::milliseconds(0));
    }
  }
  std::vector<std::size_t> woken{};
  std::vector<Subscription> all{};
};

SyncPush change(std::uint64_t n) {
  SyncPush push{.clientId = "w"};
  push.deltas.push_back({.op = DeltaOp::insert,
                         .table = "notes",
                         .rowId = std::to_string(n),
                         .clientId = "w",
                         .columns = {{"owner", std::string("hot")}, {"text", std::string("a note of some length")}},
                         .hlc = Hlc{(1'700'000'000'000ull << 16) + n}});
  return push;
}

/// Seconds for one change: committed, told to whom it concerns, and read by them.
double perChange(std::size_t clients) {
  Gateway gateway({.rules = ownRows()});
  Followers followers(gateway, clients);
  std::uint64_t delivered = 0, n = 0;
  const double seconds = secondsOf([&] {
    for (std::size_t i = 0; i < kChanges; ++i) {
      gateway.handlePush(change(++n), kTrustedRow);
      for (const std::size_t c : std::exchange(followers.woken, {})) {
        while (const auto event = followers.all[c].next(std::chrono::milliseconds(0)))
          delivered += event->deltas.size();
      }
    }
  });
  if (delivered != kChanges * kMatching) throw std::runtime_error("a subscriber missed a change");
  return seconds / static_cast<double>(kChanges);
}

void rulesBench() {
  const double few = perChange(100);
  reportFigure("rules_100", few * 1e6, "us/change");
  for (const std::size_t clients : {1'000u, 2'000u, 10'000u}) {
    report({"rules_" + std::to_string(clients), perChange(clients) * 1e6, "us/change", few * 1e6, Better::lower, 2.0});
  }
}

const Registration kFanOut("rules", "a change for 5 of 1,000, 2,000 and 10,000 subscribers / 5 of 100", rulesBench);

}  // namespace
}  // namespace tidegate::bench
