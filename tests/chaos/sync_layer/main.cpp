/// The sync layer under faults: writers on both sides, processes killed, connections cut; then both sides must be
/// equal, by key and by offset. Started by tests/chaos/sync_layer.sh.
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include "chaos/child.h"
#include "chaos/sync_layer/check.h"
#include "chaos/sync_layer/writers.h"
#include "servers/support.h"
#include "support/property.h"
#include "support/tcp_proxy.h"

namespace tidegate::chaos {
namespace {

using namespace std::chrono_literals;
using tidegate::test::Random;
using tidegate::test::TcpProxy;

constexpr auto kPatience = 90s;

/// "postgresql://user:password@127.0.0.1:PORT/database?sslmode=disable" of the server's own URL.
std::string throughRelay(std::uint16_t port) {
  const std::string url = servers::environment("TIDEGATE_POSTGRES_URL");
  const std::string account = url.substr(0, url.find('@') + 1);
  std::string database = url.substr(url.rfind('/'));
  database = database.substr(0, database.find('?'));
  return fmt::format("{}127.0.0.1:{}{}?sslmode=disable", account, port, database);
}

std::uint16_t freePort(Random& random) { return static_cast<std::uint16_t>(random.between(20'000, 31'999)); }

/// All that runs, and how it is broken.
class World {
 public:
  World(Random& random, std::string folder, std::string server, std::string bridge)
      : random_(random),
        folder_(std::move(folder)),
        server_(std::move(server)),
        bridge_(std::move(bridge)),
        streamPort_(freePort(random)),
        postgresRelay_(static_cast<std::uint16_t>(std::stoi(servers::environment("TIDEGATE_POSTGRES_PORT")))),
        streamRelay_(streamPort_) {
    setenv("POSTGRES_URL", throughRelay(postgresRelay_.port()).c_str(), 1);
    setenv("DS_SERVER_URL", fmt::format("http://127.0.0.1:{}", streamRelay_.port()).c_str(), 1);
    startStreams();
    startBridge();
  }

  /// Streams as writers and checks reach them: not through the relay.
  std::string streamUrl() const { return fmt::format("http://127.0.0.1:{}/v1/stream", streamPort_); }

  std::string breakSomething() {
    switch (random_.below(6)) {
      case 0:
        bridgeProcess_->kill9();
        startBridge();
        return "killBridge";
      case 1:
        streamProcess_->kill9();
        std::this_thread::sleep_for(std::chrono::milliseconds(random_.below(300)));
        startStreams();
        return "killStreams";
      case 2:
        servers::control("postgres", "kill9");
        servers::control("postgres", "start");
        return "killPostgres";
      case 3:
        postgresRelay_.cut();
        return "cutPostgres";
      case 4:
        streamRelay_.cut();
        return "cutStreams";
      default:
        bridgeProcess_->kill9();
        streamProcess_->kill9();
        startStreams();
        startBridge();
        return "killBoth";
    }
  }
  void mend() {
    if (!streamProcess_->alive()) startStreams();
    if (!bridgeProcess_->alive()) startBridge();
  }

 private:
  /// Its output goes to a file: nobody here reads a pipe, and a full one would stop the program.
  std::unique_ptr<Child> start(const std::string& command, const std::string& name) const {
    const std::string log = folder_ + "/" + name + ".log";
    return std::make_unique<Child>(std::vector<std::string>{"/bin/sh", "-c", "exec " + command + " >>" + log + " 2>&1"},
                                   log);
  }
  void startStreams() {
    streamProcess_ = start(fmt::format("{} --dir {}/streams --port {}", server_, folder_, streamPort_), "streams");
  }
  void startBridge() { bridgeProcess_ = start(bridge_ + " --port 0", "bridge"); }

  Random& random_;
  std::string folder_, server_, bridge_;
  std::uint16_t streamPort_;
  TcpProxy postgresRelay_, streamRelay_;
  std::unique_ptr<Child> streamProcess_, bridgeProcess_;
};

/// Writers, faults meanwhile, and the check. @return what differs; empty if nothing.
std::string runRound(std::uint64_t seed, World& world, Random& random) {
  std::string schedule;
  SyncWriters writers(world.streamUrl(), seed);
  writers.start();
  const std::uint64_t faults = 1 + random.below(4);
  for (std::uint64_t i = 0; i < faults; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200 + random.below(800)));
    schedule += " " + world.breakSomething();
  }
  std::this_thread::sleep_for(300ms);
  writers.stop();
  world.mend();
  fmt::print("round {}:{}; {} commits, {} posts\n", seed, schedule, writers.commits(), writers.posts());
  std::fflush(stdout);
  std::string difference = "nothing was compared";
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < deadline) {
    // A bridge that could not start because the other side was still down ends; whoever runs it starts it again.
    world.mend();
    difference = differenceOf(world.streamUrl());
    if (difference.empty()) return "";
    if (difference.starts_with("never:")) return difference;
    std::this_thread::sleep_for(100ms);
  }
  return difference;
}

int runAll(std::uint64_t first, std::uint64_t rounds, const std::string& folder, const char* server,
           const char* bridge) {
  prepareItems();
  Random random(first);
  World world(random, folder, server, bridge);
  for (std::uint64_t seed = first; seed < first + rounds; ++seed) {
    const std::string difference = runRound(seed, world, random);
    if (difference.empty()) continue;
    fmt::print("round {} FAILED: {}\n", seed, difference);
    return 1;
  }
  fmt::print("{} rounds passed: {}\n", rounds, countsOf(world.streamUrl()));
  return 0;
}

}  // namespace
}  // namespace tidegate::chaos

int main(int argc, char** argv) {
  if (argc != 6) {
    fmt::print(stderr, "started by tests/chaos/sync_layer.sh\n");
    return 2;
  }
  try {
    return tidegate::chaos::runAll(std::stoull(argv[1]), std::stoull(argv[2]), argv[3], argv[4], argv[5]);
  } catch (const std::exception& e) {
    fmt::print(stderr, "sync_layer chaos: {}\n", e.what());
    return 1;
  }
}
