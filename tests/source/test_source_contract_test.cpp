#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <string>

#include "contract/sync_source_contract.h"
#include "tidegate/source/test_source.h"

namespace tidegate::contract {
namespace {

using namespace std::chrono_literals;

/// The defect that this process's sources have; see broken_sources.sh.
TestDefect defectOfProcess() {
  const char* given = std::getenv("TIDEGATE_SOURCE_DEFECT");
  return given == nullptr ? TestDefect::none : static_cast<TestDefect>(std::atoi(given));
}

class TestSourceDatabase final : public SourceDatabase {
 public:
  explicit TestSourceDatabase(TestSourceOptions options) : options_(std::move(options)) {
    for (const std::string& name : tables()) db_->createTable(schema(name, {"id"}));
  }
  std::vector<std::string> tables() const override { return {"first", "second"}; }
  void commit(const std::vector<SourceChange>& changes) override {
    db_->commit([&](TestTransaction& t) {
      for (const SourceChange& change : changes) {
        const std::string table = tables()[change.table];
        const Value amount = change.row.amount ? Value(*change.row.amount) : Value();
        switch (change.op) {
          case SourceChange::Op::insert:
            t.insert(table, {change.id, change.row.name, amount});
            break;
          case SourceChange::Op::update:
            t.update(table, {change.id, change.row.name, amount});
            break;
          case SourceChange::Op::erase:
            t.erase(table, {change.id});
            break;
          case SourceChange::Op::truncate:
            t.truncate(table);
            break;
        }
      }
    });
  }
  std::unique_ptr<SyncSource> source() override {
    auto made = std::make_unique<TestSource>(db_, options_);
    current_ = made.get();
    return made;
  }
  bool disconnect() override {
    current_->disconnect();
    return true;
  }
  bool forgetHistory() override {
    db_->loseLog();
    return true;
  }
  std::vector<std::pair<std::string, ErrorCode>> makeFaultyTables() override {
    db_->createTable(schema("keyless", {}));
    db_->createTable(schema("secret", {"id"}));
    db_->setIssue("keyless", ErrorCode::noReplicaIdentity, true);
    db_->setIssue("secret", ErrorCode::permissionDenied, true);
    return {{"keyless", ErrorCode::noReplicaIdentity}, {"secret", ErrorCode::permissionDenied}};
  }

 private:
  static TableSchema schema(const std::string& name, std::vector<std::string> key) {
    return {.table = name,
            .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                        {.name = "name"},
                        {.name = "amount", .kind = ValueKind::int64}},
            .primaryKey = std::move(key)};
  }

  const TestSourceOptions options_;
  std::shared_ptr<TestDatabase> db_ = std::make_shared<TestDatabase>();
  TestSource* current_ = nullptr;
};

SourceCase testSource(const std::string& name, TestSourceOptions options) {
  options.backoff = {.firstDelay = 1ms, .maxDelay = 2ms};
  options.defect = defectOfProcess();
  return {.name = name, .make = [options] { return std::make_unique<TestSourceDatabase>(options); }};
}

const auto kSources =
    ::testing::Values(testSource("TestSource", {}), testSource("TestSourceEventByEvent", {.batchEvents = 1}),
                      testSource("TestSourceInThrees", {.batchEvents = 3}));

INSTANTIATE_TEST_SUITE_P(Source, SyncSourceContract, kSources, sourceCaseName);
INSTANTIATE_TEST_SUITE_P(Source, SourceHistories, kSources, sourceCaseName);
INSTANTIATE_TEST_SUITE_P(Source, SourcePositions, kSources, sourceCaseName);
INSTANTIATE_TEST_SUITE_P(Source, SourceFailures, kSources, sourceCaseName);

}  // namespace
}  // namespace tidegate::contract
