#include "contract/sync_source_contract.h"
#include "electric/detail/source_make.h"
#include "electric/source_server.h"

namespace tidegate::electric::test {
namespace {

using contract::SourceAbilities;
using contract::SourceCase;
using contract::sourceCaseName;
using contract::SourceChange;
using contract::SourceDatabase;
using contract::SourceFailures;
using contract::SourceHistories;
using contract::SourcePositions;
using contract::SyncSourceContract;

ServedTable contractTable(const std::string& name) {
  return {.name = name,
          .schema = R"({"amount":{"type":"int8"},"id":{"type":"int8","pk_index":0,"not_null":true},)"
                    R"("name":{"type":"text"}})",
          .key = {"id"}};
}

struct RigOptions {
  LiveMode live = LiveMode::longPoll;
  MergeOrder order = MergeOrder::commit;
  ReplicaMode replica = ReplicaMode::changed;
  FakeOptions server{.snapshotChunk = 20, .logChunk = 7};
  bool rotates = false;  ///< logs end whenever something is written
};

/// What the contract needs to know of Electric.
class ElectricDatabase final : public SourceDatabase {
 public:
  explicit ElectricDatabase(RigOptions options)
      : options_(options), server_({contractTable("first"), contractTable("second")}, options.server) {}

  std::vector<std::string> tables() const override { return {"first", "second"}; }
  void commit(const std::vector<SourceChange>& changes) override {
    std::vector<TableChange> made;
    for (const SourceChange& change : changes) {
      const std::string table = tables()[change.table];
      if (change.op == SourceChange::Op::truncate) {
        if (!made.empty()) server_.commit(made);
        made.clear();
        server_.truncate(table);
        continue;
      }
      TextRow row{{"id", std::to_string(change.id)}, {"name", change.row.name}, {"amount", std::nullopt}};
      if (change.row.amount) row["amount"] = std::to_string(*change.row.amount);
      made.push_back({.op = change.op == SourceChange::Op::erase ? TableChange::Op::erase : TableChange::Op::update,
                      .table = table,
                      .row = row});
    }
    if (!made.empty()) server_.commit(made);
    if (options_.rotates && ++commits_ % 7 == 0) server_.rotate(tables()[commits_ % 2]);
  }
  std::unique_ptr<SyncSource> source() override {
    const auto shape = [&](const std::string& table) {
      return SourceShape{.table = table, .replica = options_.replica};
    };
    return reading::makeSource(
        {.url = server_.url(),
         .shapes = {shape("second"), shape("first"), shape("not_served")},
         .live = options_.live,
         .mergeWait = std::chrono::milliseconds(60'000),
         .batchEvents = 7,
         .backoff = {.firstDelay = std::chrono::milliseconds(1), .maxDelay = std::chrono::milliseconds(5)}});
  }
  std::vector<std::pair<std::string, ErrorCode>> makeFaultyTables() override {
    return {{"not_served", ErrorCode::tableNotFound}};
  }
  bool disconnect() override { return server_.cut(); }

 private:
  const RigOptions options_;
  FakeElectric server_;
  std::size_t commits_ = 0;
};

SourceCase caseOf(const std::string& name, RigOptions options, SourceAbilities can) {
  return {.name = name, .make = [options] { return std::make_unique<ElectricDatabase>(options); }, .can = can};
}

/// Logs that last: everything the contract asks of the best sources. A truncate ends a log, so it is left to the
/// others.
constexpr SourceAbilities kExact{.seesTruncates = false};
/// Logs that end again and again: what was changed is read with its table, and what vanished is erased. One that ends
/// while no process reads it is a lost place.
constexpr SourceAbilities kRotating{.everyChange = false,
                                    .transactions = false,
                                    .exactResume = false,
                                    .meetsExactly = false,
                                    .exactBaselines = false,
                                    .resumes = false};

/// What is committed together comes apart, and after a restart tables stand in another order to each other.
constexpr SourceAbilities kPerTable{.transactions = false, .exactResume = false, .seesTruncates = false};

const auto kLasting = ::testing::Values(
    caseOf("LongPolls", {}, kExact), caseOf("WholeRows", {.replica = ReplicaMode::full}, kExact),
    caseOf("Events", {.live = LiveMode::events, .server = {.snapshotChunk = 20, .logChunk = 7, .splitEvents = true}},
           kExact),
    // A server that says neither where a transaction ends nor how far it has come.
    caseOf("LittleTold", {.server = {.snapshotChunk = 20, .logChunk = 7, .tellLast = false, .tellSeen = false}},
           kExact),
    caseOf("PlacesUntold", {.server = {.snapshotChunk = 20, .logChunk = 7, .tellPlaces = false}}, kPerTable),
    caseOf("AsTheyArrive", {.order = MergeOrder::arrival}, kPerTable));
const auto kEnding =
    ::testing::Values(caseOf("LogsThatEnd", {.rotates = true}, kRotating),
                      caseOf("LogsThatEndUnderEvents", {.live = LiveMode::events, .rotates = true}, kRotating));

INSTANTIATE_TEST_SUITE_P(ElectricSource, SyncSourceContract, kLasting, sourceCaseName);
INSTANTIATE_TEST_SUITE_P(ElectricSource, SourceHistories, kLasting, sourceCaseName);
INSTANTIATE_TEST_SUITE_P(ElectricSource, SourcePositions, kLasting, sourceCaseName);
INSTANTIATE_TEST_SUITE_P(ElectricSource, SourceFailures, kLasting, sourceCaseName);

// Positions need changes that come as such, and here there may be none.
INSTANTIATE_TEST_SUITE_P(ElectricSourceRefetching, SyncSourceContract, kEnding, sourceCaseName);
INSTANTIATE_TEST_SUITE_P(ElectricSourceRefetching, SourceHistories, kEnding, sourceCaseName);
INSTANTIATE_TEST_SUITE_P(ElectricSourceRefetching, SourceFailures, kEnding, sourceCaseName);

}  // namespace
}  // namespace tidegate::electric::test
