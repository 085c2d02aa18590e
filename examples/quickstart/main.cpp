// From a changing database to a following client:
//
//   shop (SQLite, PostgreSQL or MySQL)  --SourcePoller-->  Gateway  --sync rules-->  client with a SQLite replica
//
// A second thread keeps changing the shop. In the end the replica is compared with the shop, row by row.
#include <fmt/core.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <exception>
#include <memory>
#include <thread>

#include "check.h"
#include "options.h"
#include "progress.h"
#include "replica.h"
#include "shop.h"
#include "source_database.h"
#include "tidegate/source/source_poller.h"
#include "view.h"
#include "workload.h"

using namespace std::chrono_literals;
using namespace quickstart;
using namespace tidegate;

namespace {

constexpr int kInterrupted = 130;  // what a shell reports for a program ended by Ctrl-C

std::atomic<bool> interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free, "set from a signal handler");

IngestSourceConfig ingestOf(const Shop& shop, QueryFn reader) {
  return {.name = "shop",
          .query = std::move(reader),
          .tables = {{.table = "users",
                      .query = "SELECT id, name, region, points, deleted, updated_at FROM " + shop.users(),
                      .strategy = CursorStrategy{.cursorColumn = "updated_at"}},
                     {.table = "audit_log",
                      .query = "SELECT id, user_id, region, action, severity FROM " + shop.auditLog(),
                      .strategy = DiffStrategy{}}},
          .interval = 250ms};
}

/// Lets the client follow for `duration`, or until `done`, or until Ctrl-C.
template <class Client, class Condition>
void follow(Client pull, std::chrono::seconds duration, Condition done) {
  const auto end = std::chrono::steady_clock::now() + duration;
  do {
    pull();
    std::this_thread::sleep_for(50ms);
  } while (!done() && !interrupted && std::chrono::steady_clock::now() < end);
}

/// @return the exit code.
int check(const Options& options, const Shop& shop, const QueryFn& source) {
  fmt::print("Checking the replica against the source\n");
  const QueryFn replica = openReplica(options);
  Comparison total;
  for (const TableCheck& table : checksOf(shop)) {
    const Comparison one = compare(source, replica, table);
    fmt::print("  {}: {} rows compared, {} differences\n", table.name, one.rows, one.differences);
    total.rows += one.rows;
    total.differences += one.differences;
  }
  fmt::print("rows compared: {}, differences: {}\n", total.rows, total.differences);
  return total.rows > 0 && total.differences == 0 ? 0 : 1;
}

/// @return the exit code.
int run(const Options& options) {
  const SourceDatabase database = openSource(options);
  Shop shop(database.writer, database.tablePrefix);
  fmt::print("Filling {} with {} users and {} audit entries\n", database.description, options.rows, options.rows);
  shop.create(options.rows, interrupted);
  if (interrupted) return kInterrupted;

  Gateway gateway({.rules = SyncRules::parse(kRules)});
  const auto progress = std::make_shared<Progress>();
  SourcePoller poller(ingestOf(shop, database.reader), gateway, {.observer = progress});
  Replica replica(makeReplica(options), "laptop", claims());

  poller.start();
  Workload workload(shop);
  std::size_t pulled = 0;
  const auto pull = [&] {
    pulled += replica.catchUp(gateway);
    progress->print(workload.changes(), pulled);
  };
  follow(pull, options.duration, [] { return false; });
  workload.stop();

  // The poll that is running may have begun before the last change; the one after it sees everything.
  const std::uint64_t settled = progress->polls() + 2;
  follow(pull, 30s, [&] { return progress->polls() >= settled; });
  poller.stop();
  if (interrupted) {
    fmt::print("Stopped. {} rows were changed, {} deltas pulled.\n", workload.changes(), pulled);
    return kInterrupted;
  }
  replica.catchUp(gateway);
  return check(options, shop, database.reader);
}

}  // namespace

int main(int argc, char** argv) {
  int exitCode = 0;
  const auto options = parseOptions(argc, argv, exitCode);
  if (!options) return exitCode;
  std::signal(SIGINT, [](int) { interrupted = true; });
  std::signal(SIGTERM, [](int) { interrupted = true; });
  try {
    return run(*options);
  } catch (const std::exception& e) {
    fmt::print(stderr, "quickstart: {}\n", e.what());
    return 1;
  }
}
