#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>

#include "contract/sync_source_contract.h"
#include "mysql/binlog_link.h"
#include "mysql/detail/make_source.h"
#include "tidegate/core/query.h"

namespace tidegate::contract {
namespace {

using mysql::SourceOptions;

/// A database with the suite's two tables.
class BinlogDatabase final : public SourceDatabase {
 public:
  explicit BinlogDatabase(SourceOptions options) : options_(std::move(options)) {
    servers::execute(db_, {"DROP DATABASE IF EXISTS " + name_, "CREATE DATABASE " + name_ + " CHARACTER SET utf8mb4",
                           "CREATE TABLE " + tables()[0] + " (id bigint PRIMARY KEY, name text, amount bigint)",
                           "CREATE TABLE " + tables()[1] + " (id bigint PRIMARY KEY, name text, amount bigint)"});
  }
  ~BinlogDatabase() override { servers::execute(db_, {"DROP DATABASE " + name_}); }

  std::vector<std::string> tables() const override { return {name_ + ".first", name_ + ".second"}; }
  void commit(const std::vector<SourceChange>& changes) override {
    servers::execute(db_, {"BEGIN"});
    for (const SourceChange& change : changes) run(change);
    servers::execute(db_, {"COMMIT"});
  }
  std::unique_ptr<SyncSource> source() override { return mysql::detail::makeSource(options_); }
  bool disconnect() override {
    const std::lock_guard lock(operatorMutex_);
    bool broken = false;
    for (const auto& row : servers::readAll(
             operator_, "SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'")) {
      try {
        servers::execute(operator_, {"KILL " + describe(row[0])});
        broken = true;
      } catch (const Error&) {  // it has ended by itself
      }
    }
    return broken;
  }
  bool forgetHistory() override {
    disconnect();
    const std::lock_guard lock(operatorMutex_);
    servers::execute(operator_, {"FLUSH BINARY LOGS"});
    const auto files = servers::readAll(operator_, "SHOW BINARY LOGS");
    const std::string last = *files.back()[0].getIf<std::string>();
    // A file that a connection still reads is kept: that of the reader before may take a moment to end.
    return servers::eventually([&] {
      servers::execute(operator_, {"PURGE BINARY LOGS TO '" + last + "'"});
      return servers::readAll(operator_, "SHOW BINARY LOGS").size() == 1;
    });
  }
  std::vector<std::pair<std::string, ErrorCode>> makeFaultyTables() override {
    servers::execute(
        db_, {"CREATE TABLE " + name_ + ".keyless (id int)", "CREATE VIEW " + name_ + ".view AS SELECT 1 AS id"});
    return {{name_ + ".keyless", ErrorCode::noReplicaIdentity}, {name_ + ".view", ErrorCode::typeUnsupported}};
  }

 private:
  void run(const SourceChange& change) {
    const std::string table = tables()[change.table];
    const Value amount = change.row.amount ? Value(*change.row.amount) : Value();
    switch (change.op) {
      case SourceChange::Op::insert:
        servers::readAll(db_, Query{.sql = "INSERT INTO " + table + " VALUES (?, ?, ?)",
                                    .params = {change.id, change.row.name, amount}});
        break;
      case SourceChange::Op::update:
        servers::readAll(db_, Query{.sql = "INSERT INTO " + table +
                                           " VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE name = VALUES(name), amount = "
                                           "VALUES(amount)",
                                    .params = {change.id, change.row.name, amount}});
        break;
      case SourceChange::Op::erase:
        servers::readAll(db_, Query{.sql = "DELETE FROM " + table + " WHERE id = ?", .params = {change.id}});
        break;
      case SourceChange::Op::truncate:
        throw std::logic_error("these servers cannot truncate within a transaction");
    }
  }
  static std::string nextName() {
    static std::atomic<int> count{0};
    return "binlog_contract_" + std::to_string(++count);
  }

  const std::string name_ = nextName();
  SourceOptions options_;
  QueryFn db_ = mysql::queryFn(mysql::testConnect());  ///< the writer's
  std::mutex operatorMutex_;
  QueryFn operator_ = mysql::queryFn(mysql::testConnect());  ///< whoever breaks things; guarded by operatorMutex_
};

SourceCase binlogSource(const std::string& name, SourceOptions options, SourceAbilities can = {}) {
  can.seeds = std::min<std::uint64_t>(can.seeds, 2);
  can.seesTruncates = false;  // a TRUNCATE is no part of a transaction: source_changes_test.cpp has it alone
  return {.name = name,
          .make =
              [options]() mutable {
                SourceOptions quick = mysql::quickOptions();
                quick.positions = options.positions;
                quick.batchEvents = options.batchEvents;
                quick.baseline = options.baseline;
                // On a server where nothing else happens, a heartbeat tells that a chunk's place was reached.
                if (options.baseline.chunkedFromRows == 0) quick.heartbeatInterval = std::chrono::milliseconds(15);
                return std::make_unique<BinlogDatabase>(quick);
              },
          .can = can};
}

const auto kSources =
    ::testing::Values(binlogSource("ByGtid", {}), binlogSource("ByGtidEventByEvent", {.batchEvents = 1}, {.seeds = 1}),
                      binlogSource("InChunks", {.baseline = {.chunkedFromRows = 0, .chunkRows = 7}, .batchEvents = 3},
                                   {.baselineInStream = true, .exactBaselines = false, .seeds = 1}),
                      binlogSource("ByFile", {.positions = mysql::PositionBy::file}, {.seeds = 1}));

INSTANTIATE_TEST_SUITE_P(Binlog, SyncSourceContract, kSources, sourceCaseName);
INSTANTIATE_TEST_SUITE_P(Binlog, SourceHistories, kSources, sourceCaseName);
INSTANTIATE_TEST_SUITE_P(Binlog, SourcePositions, kSources, sourceCaseName);
INSTANTIATE_TEST_SUITE_P(Binlog, SourceFailures, kSources, sourceCaseName);

}  // namespace
}  // namespace tidegate::contract
