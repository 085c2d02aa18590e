/// The cluster of examples/cluster under faults: writers and clients go on while servers and gateways are killed, cut
/// off and frozen; then all gateways must be one, and every client equal to its view. Started by
/// tests/chaos/cluster.sh.
#include <fmt/format.h>

#include <chrono>
#include <string_view>
#include <thread>

#include "chaos/cluster/audit.h"
#include "chaos/cluster/world.h"
#include "chaos/cluster/writers.h"

namespace tidegate::chaos {
namespace {

using namespace std::chrono_literals;
using test::Random;
using Steady = std::chrono::steady_clock;

constexpr auto kPatience = 120s;
constexpr std::size_t kClients = 6;

/// What is wrong now; empty: nothing.
std::string faultNow(const Clients& clients, const Truth& truth, Audit& audit) {
  std::string wrong = audit.readOn();
  if (wrong.empty()) wrong = audit.compare(truth);
  for (const auto& client : clients) {
    if (!wrong.empty()) return wrong;
    if (!client->pull({})) return client->name() + ": " + client->lastFailure();
    wrong = faultOf(*client, truth);
    if (!wrong.empty()) wrong = client->name() + ": " + wrong;
  }
  return wrong;
}

/// Waits until everything is as it has to be. @return what is not, at the end of our patience.
std::string settle(World& world, const Writers& writers, Audit& audit) {
  const Truth truth = truthOf(ordersDatabase(), writers.clients());
  for (const auto deadline = Steady::now() + kPatience;;) {
    const std::string wrong = faultNow(writers.clients(), truth, audit);
    if (wrong.empty() || wrong.starts_with("never:") || Steady::now() > deadline) return wrong;
    world.revive();
    std::this_thread::sleep_for(50ms);
  }
}

std::string runRound(std::uint64_t seed, World& world, Writers& writers, Audit& audit) {
  Random random(seed);
  const auto begin = Steady::now();
  writers.start(seed);
  std::string schedule;
  const std::uint64_t faults = 1 + random.below(3);
  for (std::uint64_t i = 0; i < faults; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(random.between(200, 1'000)));
    schedule += " " + world.breakSomething(i == 0 ? seed % world.faultKinds() : random.index(world.faultKinds()));
  }
  std::this_thread::sleep_for(300ms);
  writers.stop();
  world.mend();
  const auto mended = Steady::now();
  const std::string wrong = settle(world, writers, audit);
  const auto seconds = [](auto time) { return std::chrono::duration<double>(time).count(); };
  fmt::print("round {}:{}; {:.1f} s, equal {:.1f} s later; so far {} commits, {} pushes, {} changes, {} kills\n", seed,
             schedule, seconds(mended - begin), seconds(Steady::now() - mended), writers.commits(), writers.pushes(),
             audit.changes(), world.kills());
  std::fflush(stdout);
  return wrong;
}

int runAll(std::uint64_t first, std::uint64_t rounds, const std::string& folder, const char* gateway,
           const char* natsServer, bool everything) {
  prepareOrders();
  Random random(first);
  World world(random, gateway, natsServer, folder, everything);
  Writers writers(world.gatewayUrls(), kClients, first);
  Audit audit(world.gatewayUrls(), folder);
  std::string wrong = settle(world, writers, audit);
  for (std::uint64_t seed = first; wrong.empty() && seed < first + rounds; ++seed) {
    wrong = runRound(seed, world, writers, audit);
    // What was read once must read the same ever after.
    if (wrong.empty() && (seed % 10 == 0 || seed + 1 == first + rounds)) {
      audit.rewind();
      wrong = settle(world, writers, audit);
    }
  }
  if (!wrong.empty()) {
    fmt::print("FAILED: {}\n", wrong);
    return 1;
  }
  fmt::print(
      "{} rounds passed: {} commits in PostgreSQL and {} acknowledged pushes are {} changes, the same on {} "
      "gateways and on {} clients, each once\n",
      rounds, writers.commits(), writers.pushes(), audit.changes(), World::kGateways, kClients);
  return 0;
}

}  // namespace
}  // namespace tidegate::chaos

int main(int argc, char** argv) {
  if (argc != 7) {
    fmt::print(stderr, "started by tests/chaos/cluster.sh\n");
    return 2;
  }
  try {
    return tidegate::chaos::runAll(std::stoull(argv[1]), std::stoull(argv[2]), argv[3], argv[4], argv[5],
                                   std::string_view(argv[6]) == "all");
  } catch (const std::exception& failure) {
    fmt::print(stderr, "cluster chaos: {}\n", failure.what());
    return 1;
  }
}
