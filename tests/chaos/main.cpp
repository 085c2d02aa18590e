// Chaos: random writers and real faults, round by round. Run it through tests/chaos/run.sh.
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>

#include "chaos/engine_process.h"
#include "chaos/round.h"
#include "chaos/workload.h"
#include "servers/servers.h"
#include "tidegate/postgres/query_fn.h"

namespace {

using namespace tidegate;
using namespace tidegate::chaos;

std::string ownPath() {
  std::array<char, 4096> path{};
  const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
  return {path.data(), length > 0 ? static_cast<std::size_t>(length) : 0};
}

/// The source's URL, over TCP to the proxy's port.
std::string throughProxy(const std::string& port) {
  const std::string url = servers::environment("TIDEGATE_POSTGRES_URL");
  const std::string account = url.substr(0, url.find('@') + 1);
  return account + "127.0.0.1:" + port + url.substr(url.rfind('/'));
}

int runEngine(char** argv) {
  return runEngineProcess({.seed = std::strtoull(argv[2], nullptr, 10),
                           .sourceUrl = throughProxy(argv[4]),
                           .sqlitePath = std::string(argv[3]) + "/replica.db",
                           .replicaUrl = servers::environment("TIDEGATE_REPLICA_URL"),
                           .mysqlUrl = servers::environment("TIDEGATE_MYSQL_URL")});
}

int runRounds(std::uint64_t first, std::uint64_t rounds, const std::string& folder, bool ownFileSystem) {
  Arena arena{
      .program = ownPath(),
      .folder = folder,
      .disk = Disk(folder, ownFileSystem),
      .proxy = test::TcpProxy(static_cast<std::uint16_t>(std::stoi(servers::environment("TIDEGATE_POSTGRES_PORT")))),
      .engineLog = servers::environment("TIDEGATE_CHAOS_LOG")};
  createTables(postgres::queryFn({.url = servers::environment("TIDEGATE_POSTGRES_URL"), .readOnly = false}));
  fmt::print("the SQLite sink's disk is {}; the engine's log is {}\n", arena.disk.describe(), arena.engineLog);
  for (std::uint64_t seed = first; seed - first < rounds; ++seed) {
    const RoundPlan plan = planRound(seed);
    fmt::print("round {}\n", toText(plan));
    std::fflush(stdout);
    const std::string wrong = Round(arena, plan).run();
    if (wrong.empty()) continue;
    fmt::print(
        "FAILED in the round of seed {}: {}\nTables and sinks of earlier rounds are part of it: run from seed {} "
        "again.\n",
        seed, wrong, first);
    return 1;
  }
  fmt::print("{} rounds, no difference\n", rounds);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  if (argc == 5 && std::string_view(argv[1]) == "--engine") return runEngine(argv);
  if (argc != 5) {
    fmt::print(stderr, "usage: {} FIRST-SEED ROUNDS FOLDER own|shared (see tests/chaos/run.sh --help)\n", argv[0]);
    return 2;
  }
  return runRounds(std::strtoull(argv[1], nullptr, 10), std::strtoull(argv[2], nullptr, 10), argv[3],
                   std::string_view(argv[4]) == "own");
}
