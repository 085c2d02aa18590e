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
#include <filesystem>
#include <memory>
#include <thread>

#include "check.h"
#include "options.h"
#include "replica.h"
#include "shop.h"
#include "source_database.h"
#include "tidegate/source/source_poller.h"
#include "workload.h"

using namespace std::chrono_literals;
using namespace quickstart;
using namespace tidegate;
using SteadyClock = std::chrono::steady_clock;

namespace {

std::atomic<bool> interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free, "set from a signal handler");

// The client sees the users of its region that are not deleted, and the graver half of its region's audit log.
constexpr const char* kRules = R"({"version": 1, "buckets": [
  {"name": "users of my region", "tables": ["users"], "filters": [
    {"column": "region", "op": "eq", "value": "jwt:region"},
    {"column": "deleted", "op": "eq", "value": 0}]},
  {"name": "what matters in my region", "tables": ["audit_log"], "filters": [
    {"column": "region", "op": "eq", "value": "jwt:region"},
    {"column": "severity", "op": "gte", "value": 2}]}]})";

// The same view in SQL.
std::vector<TableCheck> checksOf(const Shop& shop) {
  return {{"users",
           "SELECT id, name, region, points, deleted, updated_at FROM " + shop.users() +
               " WHERE region = 'eu' AND deleted = 0",
           "SELECT id, name, region, points, deleted, updated_at FROM users"},
          {"audit_log",
           "SELECT id, user_id, region, action, severity FROM " + shop.auditLog() +
               " WHERE region = 'eu' AND severity >= 2",
           "SELECT id, user_id, region, action, severity FROM audit_log"}};
}

/// Adds up what the poller reports.
class Progress final : public PollObserver {
 public:
  void onPoll(const std::string&, const PollReport& report) override {
    for (const TableReport& table : report.tables) {
      rowsRead += table.rowsRead;
      applied += table.applied;
      if (table.error) fmt::print("  {}: {}\n", table.table, table.error->what());
    }
    if (report.ok()) ++polls;
  }
  void onWarning(const std::string&, const std::string& message) override { fmt::print("  warning: {}\n", message); }

  std::atomic<std::uint64_t> polls = 0;  ///< polls without an error
  std::atomic<std::uint64_t> rowsRead = 0;
  std::atomic<std::uint64_t> applied = 0;
};

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

/// Lets the client follow while `goOn()`, with a line of progress every second.
template <class Condition>
void follow(Replica& replica, Gateway& gateway, const Progress& progress, const Workload& workload, Condition goOn) {
  static std::size_t pulled = 0;
  static SteadyClock::time_point start = SteadyClock::now(), nextLine = start;
  for (bool more = true; more;) {
    more = goOn() && !interrupted;
    pulled += replica.catchUp(gateway);
    if (SteadyClock::now() >= nextLine) {
      nextLine += 1s;
      fmt::print(
          "{:4.0f} s | shop: {:6} rows changed | poller: {:3} polls, {:7} rows read, {:6} changes | client: {:6} "
          "deltas\n",
          std::chrono::duration<double>(SteadyClock::now() - start).count(), workload.changes(), progress.polls.load(),
          progress.rowsRead.load(), progress.applied.load(), pulled);
      std::fflush(stdout);
    }
    if (more) std::this_thread::sleep_for(50ms);
  }
}

/// @return the exit code.
int run(const Options& options) {
  const SourceDatabase database = openSource(options);
  Shop shop(database.writer, database.tablePrefix);
  fmt::print("Filling {} with {} users and {} audit entries\n", database.description, options.rows, options.rows);
  shop.create(options.rows, interrupted);
  if (interrupted) return 130;

  Gateway gateway({.rules = SyncRules::parse(kRules)});
  const auto progress = std::make_shared<Progress>();
  SourcePoller poller(ingestOf(shop, database.reader), gateway, {.observer = progress});
  Replica replica(makeReplica(options), "laptop", {{"region", {"eu"}}});

  Workload workload(shop);
  poller.start();
  const auto end = SteadyClock::now() + options.duration;
  follow(replica, gateway, *progress, workload, [&] { return SteadyClock::now() < end; });
  workload.stop();

  // The poll that may be running began before the last change; the one after it sees everything.
  const std::uint64_t settled = progress->polls + 2;
  const auto deadline = SteadyClock::now() + 30s;
  follow(replica, gateway, *progress, workload,
         [&] { return progress->polls < settled && SteadyClock::now() < deadline; });
  poller.stop();
  if (interrupted) {
    fmt::print("Stopped. {} rows were changed; the replica holds what the client had pulled.\n", workload.changes());
    return 130;
  }
  replica.catchUp(gateway);

  fmt::print("Checking the replica against the source\n");
  Comparison total;
  for (const TableCheck& check : checksOf(shop)) {
    const Comparison one = compare(database.reader, openReplica(options), check);
    fmt::print("  {}: {} rows compared, {} differences\n", check.name, one.rows, one.differences);
    total.rows += one.rows;
    total.differences += one.differences;
  }
  fmt::print("rows compared: {}, differences: {}\n", total.rows, total.differences);
  return total.rows > 0 && total.differences == 0 ? 0 : 1;
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
