// Chaos for the SQLite source: programs that write, an engine that follows, both killed at any moment, and an operator
// who alters and rebuilds tables and throws the change table away. Run it through tests/chaos/sqlite_source.sh.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <memory>
#include <string_view>

#include "chaos/child.h"
#include "chaos/sqlite_source/children.h"
#include "sqlite/source_workload.h"
#include "sqlite/temp_database.h"
#include "tidegate/core/clock.h"
#include "tidegate/sqlite/query_fn.h"
#include "tidegate/sqlite/source.h"

namespace tidegate::chaos {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::PlainDb;

enum class ShopFault {
  killEngine,
  stopEngine,
  killWriter,
  freezeEngine,
  lock,
  addColumn,
  renameColumn,
  rebuild,
  dropTrigger,
  dropLog,
  checkpoint
};
constexpr std::array<std::string_view, 11> kFaultNames{"killEngine",  "stopEngine", "killWriter",   "freezeEngine",
                                                       "lock",        "addColumn",  "renameColumn", "rebuild",
                                                       "dropTrigger", "dropLog",    "checkpoint"};

void rest(milliseconds time) { systemScheduler().waitFor(time, {}); }

/// A baseline replaces rows by key: where the sink has the key 1 and the source 1.0, one number, it keeps its own.
std::string kindWord(const Value& value) {
  const bool number = value.kind() == ValueKind::int64 || value.kind() == ValueKind::real;
  return number ? "number" : std::string(toString(value.kind()));
}

std::vector<std::string> rowsIn(const std::string& file, const std::string& sql) {
  const QueryFn query = sqlite::queryFn({.path = file});
  ResultSet result = query({.sql = sql});
  std::vector<std::string> lines;
  for (std::vector<Value> row; result.next(row);) {
    std::string line;
    for (const Value& value : row) line += kindWord(value) + ":" + describe(value, 1u << 16) + "|";
    lines.push_back(std::move(line));
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

class ShopRound {
 public:
  ShopRound(std::string program, std::string folder, std::uint64_t seed)
      : program_(std::move(program)), folder_(std::move(folder)), seed_(seed), random_(seed * 91 + 3) {}

  /// @return an empty text, or what is wrong.
  std::string run() {
    startEngine();
    for (std::size_t n = 1 + random_.index(3); n > 0; --n) writers_.push_back(makeWriter());
    fmt::print("round {}: {} writers;", seed_, writers_.size());
    // The first of each seed in turn is another one.
    inflictAfter(static_cast<std::size_t>(seed_ % kFaultNames.size()));
    for (std::size_t n = random_.index(5); n > 0; --n) inflictAfter(random_.index(kFaultNames.size()));
    rest(milliseconds(random_.between(100, 600)));
    fmt::print("\n");
    std::fflush(stdout);
    for (auto& writer : writers_) {
      if (writer->stop(seconds(40)) != 0) return "a writer did not end in order";
    }
    if (std::string wrong = settle(); !wrong.empty()) return wrong;
    if (std::string wrong = compare(); !wrong.empty()) return "verify() found nothing, but " + wrong;
    if (engine_->stop(seconds(30)) != 0) return "the engine did not stop in order";
    return {};
  }

 private:
  std::unique_ptr<Child> child(const char* role, std::uint64_t seed) {
    return std::make_unique<Child>(std::vector<std::string>{program_, role, std::to_string(seed), folder_},
                                   folder_ + "/log");
  }
  void startEngine() { engine_ = child("--engine", seed_); }
  std::unique_ptr<Child> makeWriter() { return child("--writer", random_.bits()); }

  void inflictAfter(std::size_t fault) {
    rest(milliseconds(random_.between(50, 700)));
    fmt::print(" {}", kFaultNames[fault]);
    std::fflush(stdout);
    try {
      inflict(static_cast<ShopFault>(fault));
    } catch (const std::runtime_error& error) {
      fmt::print(" ({})", error.what());  // e.g. a column of that name is there
    }
  }
  void inflict(ShopFault fault) {
    auto& writer = writers_[random_.index(writers_.size())];
    switch (fault) {
      case ShopFault::killEngine:
        engine_->kill9();
        return startEngine();
      case ShopFault::stopEngine:
        engine_->stop(seconds(30));
        return startEngine();
      case ShopFault::killWriter:
        writer->kill9();
        writer = makeWriter();
        return;
      case ShopFault::freezeEngine:
        ::kill(engine_->pid(), SIGSTOP);
        rest(milliseconds(300));
        ::kill(engine_->pid(), SIGCONT);
        return;
      default:
        return operate(fault);
    }
  }
  /// What an operator does, or a program of hers, over a connection of her own.
  void operate(ShopFault fault) {
    PlainDb db(sourceFile(folder_));
    sqlite3_busy_timeout(db.handle(), 30'000);
    const std::string number = std::to_string(random_.below(4)), other = std::to_string(4 + random_.below(4));
    switch (fault) {
      case ShopFault::lock:
        db.exec("BEGIN IMMEDIATE");
        rest(milliseconds(400));
        return db.exec("COMMIT");
      case ShopFault::addColumn:
        return db.exec("ALTER TABLE orders ADD COLUMN c" + number + (random_.chance(50) ? " DEFAULT 5" : ""));
      case ShopFault::renameColumn:
        return db.exec("ALTER TABLE orders RENAME COLUMN c" + number + " TO c" + other);
      case ShopFault::rebuild:
        return db.exec(
            "BEGIN IMMEDIATE; CREATE TABLE new_pairs(region TEXT, n INT, v, PRIMARY KEY(n, region)) WITHOUT "
            "ROWID; INSERT INTO new_pairs SELECT region, n, v FROM pairs; DROP TABLE pairs; ALTER TABLE "
            "new_pairs RENAME TO pairs; DELETE FROM pairs WHERE n = 1; COMMIT");
      case ShopFault::dropTrigger:
        return dropOurs(db, "LIMIT 1", false);
      case ShopFault::dropLog:
        return dropOurs(db, "", true);
      default:
        return db.exec("PRAGMA wal_checkpoint(TRUNCATE); VACUUM");
    }
  }
  static void dropOurs(PlainDb& db, const std::string& which, bool log) {
    db.exec("BEGIN IMMEDIATE");
    for (const std::string& name : db.texts(
             "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name LIKE '\\_tidegate\\_on%' ESCAPE '\\' " +
             which)) {
      db.exec("DROP TRIGGER \"" + name + "\"");
    }
    if (log) db.exec("DROP TABLE IF EXISTS _tidegate_log_tidegate");
    db.exec("DELETE FROM orders WHERE id = 3; COMMIT");
  }

  std::string settle() {
    auto answer = engine_->ask("ready", seconds(90));
    if (answer != "ready") return answer.value_or(engine_->alive() ? "not ready in time" : "the engine's process died");
    const auto began = systemClock().steadyNow();
    while (systemClock().steadyNow() - began < seconds(90)) {
      answer = engine_->ask("verify", seconds(60));
      if (answer == "ok") return {};
      if (!answer) return "the engine's process died";
      rest(milliseconds(50));
    }
    return *answer + "\n" + engine_->ask("status", seconds(10)).value_or("");
  }
  /// Without any code of the engine's.
  std::string compare() const {
    static const std::array<std::pair<const char*, const char*>, 4> kColumns{{{"orders", "id, code, a, b, note, twice"},
                                                                              {"pairs", "region, n, v"},
                                                                              {"words", "word, v"},
                                                                              {"loose", "k, v"}}};
    for (const auto& [table, columns] : kColumns) {
      const std::string sql = fmt::format("SELECT {} FROM {}", columns, table);
      const auto wanted = rowsIn(sourceFile(folder_), sql);
      for (const int n : {1, 2}) {
        const auto held = rowsIn(replicaFile(folder_, n), sql);
        if (held == wanted) continue;
        const auto at = std::mismatch(wanted.begin(), wanted.end(), held.begin(), held.end());
        return fmt::format("{}: replica {} holds {} rows, the source {}: {} / {}", table, n, held.size(), wanted.size(),
                           at.second == held.end() ? "(none)" : *at.second,
                           at.first == wanted.end() ? "(none)" : *at.first);
      }
    }
    return {};
  }

  const std::string program_, folder_;
  const std::uint64_t seed_;
  test::Random random_;
  std::unique_ptr<Child> engine_;
  std::vector<std::unique_ptr<Child>> writers_;
};

int runShop(const std::string& program, std::uint64_t first, std::uint64_t rounds, const std::string& folder) {
  {
    PlainDb db(sourceFile(folder));
    db.exec("PRAGMA journal_mode = WAL");
    db.exec(testing::workloadSchema());
  }
  for (std::uint64_t seed = first; seed - first < rounds; ++seed) {
    const std::string wrong = ShopRound(program, folder, seed).run();
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
  using namespace tidegate::chaos;
  std::signal(SIGPIPE, SIG_IGN);
  const std::string_view role = argc > 1 ? argv[1] : "";
  if (argc == 4 && role == "--engine") return runSqliteEngine(std::strtoull(argv[2], nullptr, 10), argv[3]);
  if (argc == 4 && role == "--writer") return runSqliteWriter(std::strtoull(argv[2], nullptr, 10), argv[3]);
  if (argc != 4) {
    fmt::print(stderr, "usage: {} FIRST-SEED ROUNDS FOLDER (see tests/chaos/sqlite_source.sh --help)\n", argv[0]);
    return 2;
  }
  std::array<char, 4096> path{};
  const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
  return runShop({path.data(), length > 0 ? static_cast<std::size_t>(length) : 0}, std::strtoull(argv[1], nullptr, 10),
                 std::strtoull(argv[2], nullptr, 10), argv[3]);
}
