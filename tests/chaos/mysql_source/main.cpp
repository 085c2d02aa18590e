// Chaos for the MySQL source: writers on a MariaDB, an engine in a process of its own that follows its binlog into two
// SQL sinks, and faults. Run it through tests/chaos/mysql_source.sh.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "chaos/child.h"
#include "chaos/disk.h"
#include "chaos/mysql_source/engine.h"
#include "chaos/mysql_source/shop.h"
#include "servers/support.h"
#include "support/tcp_proxy.h"
#include "tidegate/core/clock.h"
#include "tidegate/mysql/query_fn.h"
#include "tidegate/postgres/query_fn.h"
#include "tidegate/sqlite/query_fn.h"

namespace tidegate::chaos {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

enum class ShopFault {
  killEngine,
  killSource,
  cut,
  killSink,
  restartSource,
  freeze,
  stopEngine,
  fillDisk,
  killDump,
  purge,
  slow
};
constexpr std::array<std::string_view, 11> kFaultNames{"killEngine",    "killSource", "cut",        "killSink",
                                                       "restartSource", "freeze",     "stopEngine", "fillDisk",
                                                       "killDump",      "purge",      "slow"};
/// How long a connection hangs and a disk is full: longer than the engine's first retries, shorter than any timeout.
constexpr milliseconds kHalt{1'200};

void rest(milliseconds time) { systemScheduler().waitFor(time, {}); }

mysql::ConnectOptions sourceConnect(bool readOnly = true) {
  return {.url = servers::environment("TIDEGATE_MYSQL_URL"), .readOnly = readOnly};
}

std::vector<std::string> linesOf(const QueryFn& query, const std::string& sql) {
  std::vector<std::string> lines;
  for (const auto& row : servers::readAll(query, sql)) {
    std::string line;
    for (const Value& value : row) line += describe(value, 1u << 20) + "|";
    lines.push_back(std::move(line));
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

/// What all rounds share.
struct ShopArena {
  std::string program, folder, log;
  Disk disk;
  test::TcpProxy proxy;
};

class ShopRound {
 public:
  ShopRound(ShopArena& arena, std::uint64_t seed) : arena_(arena), seed_(seed), random_(seed * 83 + 7) {}

  /// @return an empty text, or what is wrong.
  std::string run() {
    startEngine();
    ShopWriters writers(servers::environment("TIDEGATE_MYSQL_URL"), seed_, 1 + random_.index(3));
    fmt::print("round {}:", seed_);
    // The first of each seed in turn is another one.
    inflictAfter(static_cast<std::size_t>(seed_ % kFaultNames.size()));
    for (std::size_t n = random_.index(4); n > 0; --n) inflictAfter(random_.index(kFaultNames.size()));
    rest(milliseconds(random_.between(100, 900)));
    writers.stop();
    const ShopCounts& counts = writers.counts();
    fmt::print("; {} transactions committed, {} rolled back, {} XA, {} failed, {} schema changes\n",
               counts.committed.load(), counts.rolledBack.load(), counts.xa.load(), counts.failed.load(),
               counts.schemaChanges.load());
    std::fflush(stdout);
    decideXa();
    if (std::string wrong = settle(); !wrong.empty()) return wrong;
    if (std::string wrong = compare(); !wrong.empty()) return "verify() found nothing, but " + wrong;
    if (engine_->stop(seconds(30)) != 0) return "the engine did not stop in order";
    return {};
  }

 private:
  void startEngine() {
    engine_ = std::make_unique<Child>(std::vector<std::string>{arena_.program, "--engine", std::to_string(seed_),
                                                               arena_.folder, std::to_string(arena_.proxy.port())},
                                      arena_.log);
  }
  void inflictAfter(std::size_t fault) {
    rest(milliseconds(random_.between(50, 1'200)));
    fmt::print(" {}", kFaultNames[fault]);
    std::fflush(stdout);
    inflict(static_cast<ShopFault>(fault));
  }
  void inflict(ShopFault fault) {
    switch (fault) {
      case ShopFault::killEngine:
        engine_->kill9();
        return startEngine();
      case ShopFault::stopEngine:
        engine_->stop(seconds(30));
        return startEngine();
      case ShopFault::killSource:
      case ShopFault::restartSource:
        servers::control("mysql", fault == ShopFault::killSource ? "kill9" : "stop");
        return servers::control("mysql", "start");
      case ShopFault::killSink:
        servers::control("postgres", "kill9");
        return servers::control("postgres", "start");
      case ShopFault::cut:
        return arena_.proxy.cut();
      case ShopFault::freeze:
        arena_.proxy.freeze(true);
        rest(kHalt);
        return arena_.proxy.freeze(false);
      case ShopFault::slow:
        return arena_.proxy.delay(milliseconds(20));
      case ShopFault::fillDisk:
        arena_.disk.fill(engine_->pid());
        rest(kHalt);
        return arena_.disk.free(engine_->pid());
      case ShopFault::killDump:
        return killDump();
      case ShopFault::purge:
        return purge();
    }
  }
  static void killDump() {
    const QueryFn admin = mysql::queryFn(sourceConnect(false));
    for (const auto& row :
         servers::readAll(admin, "SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'")) {
      try {
        servers::execute(admin, {"KILL " + describe(row[0])});
      } catch (const Error&) {  // it has ended by itself
      }
    }
  }
  /// The operator throws away all but the newest of the binlog, with the engine down: its place may be lost.
  void purge() {
    engine_->kill9();
    const QueryFn admin = mysql::queryFn(sourceConnect(false));
    servers::execute(admin, {"FLUSH BINARY LOGS"});
    rest(milliseconds(300));
    killDump();
    servers::execute(admin, {"FLUSH BINARY LOGS"});
    const std::string last = describe(servers::readAll(admin, "SHOW BINARY LOGS").back()[0]);
    servers::execute(admin, {"PURGE BINARY LOGS TO " + last});
    startEngine();
  }
  /// What a killed writer or server left prepared.
  static void decideXa() {
    const QueryFn admin = mysql::queryFn(sourceConnect(false));
    for (const auto& row : servers::readAll(admin, "XA RECOVER")) {
      const std::string id = describe(row.back());
      try {
        servers::execute(admin, {"XA COMMIT '" + id.substr(1, id.size() - 2) + "'"});
      } catch (const Error&) {  // its session still has it, and decides
      }
    }
  }
  std::string ask(const std::string& command) {
    const auto answer = engine_->ask(command, seconds(120));
    if (answer) return *answer;
    return engine_->alive() ? "no answer to " + command : "the engine's process died";
  }
  std::string settle() {
    arena_.proxy.delay(milliseconds(0));
    std::string answer = ask("ready");
    if (answer != "ready") return answer;
    // Verification looks again at what differs, but the backlog of a round may take longer than its patience.
    const auto began = systemClock().steadyNow();
    while (systemClock().steadyNow() - began < std::chrono::minutes(2)) {
      answer = ask("verify");
      if (answer == "ok") return {};
      if (!engine_->alive()) return answer;
      rest(milliseconds(100));
    }
    return answer + "\n" + ask("status");
  }
  /// Compares source and sinks without any code of the engine's.
  std::string compare() const {
    const QueryFn source = mysql::queryFn(sourceConnect());
    const std::vector<std::pair<std::string, QueryFn>> sinks{
        {"sqlite", sqlite::queryFn({.path = arena_.folder + "/replica.db"})},
        {"postgres", postgres::queryFn({.url = servers::environment("TIDEGATE_POSTGRES_URL")})}};
    for (const ShopTable& table : shopTables()) {
      const auto wanted = linesOf(source, fmt::format("SELECT {} FROM shop.{}", table.columns, table.name));
      for (const auto& [name, query] : sinks) {
        const auto held = linesOf(query, fmt::format("SELECT {} FROM {}", table.columns, table.name));
        if (held == wanted) continue;
        const auto at = std::mismatch(wanted.begin(), wanted.end(), held.begin(), held.end());
        return fmt::format("{}: {} holds {} rows, the source {}: source {}, sink {}", table.name, name, held.size(),
                           wanted.size(), at.first == wanted.end() ? "(none)" : at.first->substr(0, 200),
                           at.second == held.end() ? "(none)" : at.second->substr(0, 200));
      }
    }
    return {};
  }

  ShopArena& arena_;
  const std::uint64_t seed_;
  test::Random random_;
  std::unique_ptr<Child> engine_;
};

int runShopRounds(std::uint64_t first, std::uint64_t rounds, const std::string& folder, bool ownFileSystem) {
  std::array<char, 4096> path{};
  const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
  ShopArena arena{
      .program = {path.data(), length > 0 ? static_cast<std::size_t>(length) : 0},
      .folder = folder,
      .log = servers::environment("TIDEGATE_CHAOS_LOG"),
      .disk = Disk(folder, ownFileSystem),
      .proxy = test::TcpProxy(static_cast<std::uint16_t>(std::stoi(servers::environment("TIDEGATE_MYSQL_PORT"))))};
  createShop(mysql::queryFn(sourceConnect(false)));
  for (std::uint64_t seed = first; seed - first < rounds; ++seed) {
    const std::string wrong = ShopRound(arena, seed).run();
    if (wrong.empty()) continue;
    fmt::print("FAILED in the round of seed {}: {}\nEarlier rounds are part of it: run from seed {} again.\n", seed,
               wrong, first);
    return 1;
  }
  fmt::print("{} rounds, no difference\n", rounds);
  return 0;
}

}  // namespace
}  // namespace tidegate::chaos

int main(int argc, char** argv) {
  using namespace tidegate;
  std::signal(SIGPIPE, SIG_IGN);
  if (argc == 5 && std::string_view(argv[1]) == "--engine") {
    const std::string url = servers::environment("TIDEGATE_MYSQL_URL");  // over TCP to the proxy's port
    return chaos::runShopEngine({.seed = std::strtoull(argv[2], nullptr, 10),
                                 .sourceUrl = url.substr(0, url.find('@') + 1) + "127.0.0.1:" + argv[4] + "/shop",
                                 .sqlitePath = std::string(argv[3]) + "/replica.db",
                                 .postgresUrl = servers::environment("TIDEGATE_POSTGRES_URL")});
  }
  if (argc != 5) {
    fmt::print(stderr, "usage: {} FIRST-SEED ROUNDS FOLDER own|shared (see tests/chaos/mysql_source.sh --help)\n",
               argv[0]);
    return 2;
  }
  return chaos::runShopRounds(std::strtoull(argv[1], nullptr, 10), std::strtoull(argv[2], nullptr, 10), argv[3],
                              std::string_view(argv[4]) == "own");
}
