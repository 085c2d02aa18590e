#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "contract/sync_source_contract.h"
#include "postgres/detail/make_source.h"
#include "postgres/link.h"
#include "tidegate/core/query.h"

namespace tidegate::contract {
namespace {

using namespace std::chrono_literals;
using postgres::SlotMode;
using postgres::SourceOptions;
using postgres::detail::TestLink;

/// A schema with the suite's two tables, a slot and a publication of its own.
class PostgresDatabase final : public SourceDatabase {
 public:
  explicit PostgresDatabase(SourceOptions options) : options_(std::move(options)) {
    options_.slot = options_.publication.name = options_.connect.applicationName = name_;
    db_.execute({"CREATE SCHEMA " + name_,
                 "CREATE TABLE " + tables()[0] + " (id bigint PRIMARY KEY, name text, amount bigint)",
                 "CREATE TABLE " + tables()[1] + " (id bigint PRIMARY KEY, name text, amount bigint)"});
  }
  ~PostgresDatabase() override {
    dropSlot();
    db_.execute({"DROP PUBLICATION IF EXISTS " + name_, "DROP SCHEMA " + name_ + " CASCADE"});
  }

  std::vector<std::string> tables() const override { return {name_ + ".first", name_ + ".second"}; }
  void commit(const std::vector<SourceChange>& changes) override {
    db_.run("BEGIN");
    for (const SourceChange& change : changes) run(change);
    db_.run("COMMIT");
  }
  std::unique_ptr<SyncSource> source() override { return postgres::detail::makeSource(options_); }
  bool disconnect() override {
    if (options_.mode == SlotMode::ephemeral) return false;
    const std::lock_guard lock(operatorMutex_);
    return operator_.ask(
               "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1 AND "
               "backend_type = 'walsender'",
               {name_}) != "0";
  }
  bool forgetHistory() override {
    if (options_.mode == SlotMode::ephemeral) return false;
    dropSlot();
    return true;
  }
  std::vector<std::pair<std::string, ErrorCode>> makeFaultyTables() override {
    db_.execute({"CREATE TABLE " + name_ + ".keyless (id int)", "CREATE VIEW " + name_ + ".view AS SELECT 1 AS id"});
    return {{name_ + ".keyless", ErrorCode::noReplicaIdentity}, {name_ + ".view", ErrorCode::typeUnsupported}};
  }

 private:
  void run(const SourceChange& change) {
    const std::string table = tables()[change.table], id = std::to_string(change.id);
    const auto amount = change.row.amount ? std::optional(std::to_string(*change.row.amount)) : std::nullopt;
    switch (change.op) {
      case SourceChange::Op::insert:
        db_.run("INSERT INTO " + table + " VALUES ($1, $2, $3)", {id, change.row.name, amount});
        break;
      case SourceChange::Op::update:
        // A row that is not there is made: the suite's histories leave that open.
        db_.run(
            "INSERT INTO " + table +
                " VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET name = excluded.name, amount = excluded.amount",
            {id, change.row.name, amount});
        break;
      case SourceChange::Op::erase:
        db_.run("DELETE FROM " + table + " WHERE id = $1", {id});
        break;
      case SourceChange::Op::truncate:
        return truncate(table);
    }
  }
  /// A TRUNCATE waits for a baseline's lock, and the suite's baselines wait for commits: then rows are deleted.
  void truncate(const std::string& table) {
    db_.execute({"SAVEPOINT before", "SET LOCAL lock_timeout = '100ms'"});
    try {
      db_.run("TRUNCATE " + table);
    } catch (const Error&) {
      db_.execute({"ROLLBACK TO before", "DELETE FROM " + table});
    }
  }
  void dropSlot() {
    const std::lock_guard lock(operatorMutex_);
    servers::eventually([&] {
      return operator_.ask("SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE $1 AND active",
                           {name_ + "%"}) == "0";
    });
    operator_.run("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1", {name_});
  }
  static std::string nextName() {
    static std::atomic<int> count{0};
    return "tidegate_contract_" + std::to_string(++count);
  }

  const std::string name_ = nextName();
  SourceOptions options_;
  TestLink db_;  ///< the writer's
  std::mutex operatorMutex_;
  TestLink operator_;  ///< whoever breaks things, on any thread; guarded by operatorMutex_
};

SourceCase postgresSource(const std::string& name, SourceOptions options, SourceAbilities can = {}) {
  can.seeds = std::min<std::uint64_t>(can.seeds, 5);
  return {.name = name,
          .make =
              [options]() mutable {
                options.connect = postgres::detail::testOptions();
                options.statusInterval = 100ms;
                options.monitorInterval = 20ms;
                options.backoff = {.firstDelay = 1ms, .maxDelay = 20ms, .maxRetries = 1'000};
                return std::make_unique<PostgresDatabase>(options);
              },
          .can = can};
}

const auto kSources = ::testing::Values(
    postgresSource("Stateful", {}), postgresSource("StatefulEventByEvent", {.batchEvents = 1}),
    postgresSource("StatefulInChunks", {.baseline = {.chunkedFromRows = 0, .chunkRows = 7}, .batchEvents = 3},
                   {.exactBaselines = false, .seeds = 3}),
    postgresSource("Ephemeral", {.mode = SlotMode::ephemeral}, {.resumes = false}));

INSTANTIATE_TEST_SUITE_P(Postgres, SyncSourceContract, kSources, sourceCaseName);
INSTANTIATE_TEST_SUITE_P(Postgres, SourceHistories, kSources, sourceCaseName);
INSTANTIATE_TEST_SUITE_P(Postgres, SourcePositions, kSources, sourceCaseName);
INSTANTIATE_TEST_SUITE_P(Postgres, SourceFailures, kSources, sourceCaseName);

}  // namespace
}  // namespace tidegate::contract
