#include "tidegate/source/gateway_source.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "contract/sync_source_contract.h"
#include "support/manual_clock.h"

namespace tidegate {
namespace {

using namespace std::chrono_literals;

TableSchema rowSchema(const std::string& table) {
  return {.table = table,
          .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                      {.name = "name", .kind = ValueKind::text},
                      {.name = "amount", .kind = ValueKind::int64}},
          .primaryKey = {"id"}};
}

/// A gateway that an app writes to.
class Hub {
 public:
  Hub() : gateway({.clock = &clock}) {}

  void push(std::vector<RowDelta> deltas) {
    for (RowDelta& delta : deltas) {
      delta.clientId = "app";
      delta.hlc = gateway.clock().now();
    }
    const PushResult result = gateway.handlePush({.clientId = "app", .deltas = std::move(deltas)}, {.trusted = true});
    ASSERT_EQ(result.status, PushStatus::accepted) << result.message;
  }
  void put(const std::string& table, const std::string& id, std::vector<ColumnValue> columns,
           DeltaOp op = DeltaOp::insert) {
    push({{.op = op, .table = table, .rowId = id, .columns = std::move(columns)}});
  }

  test::ManualClock clock;
  Gateway gateway;
};

}  // namespace

namespace contract {
namespace {

class GatewayDatabase final : public SourceDatabase {
 public:
  std::vector<std::string> tables() const override { return {"first", "second"}; }
  void commit(const std::vector<SourceChange>& changes) override {
    std::vector<RowDelta> deltas;
    for (const SourceChange& change : changes) {
      const bool erase = change.op == SourceChange::Op::erase;
      RowDelta& delta = deltas.emplace_back();
      delta.op = erase ? DeltaOp::erase : change.op == SourceChange::Op::insert ? DeltaOp::insert : DeltaOp::update;
      delta.table = tables()[change.table];
      delta.rowId = std::to_string(change.id);
      if (erase) continue;
      delta.columns = {{"name", change.row.name}, {"amount", change.row.amount ? Value(*change.row.amount) : Value()}};
    }
    hub_.push(std::move(deltas));
  }
  std::unique_ptr<SyncSource> source() override {
    return std::make_unique<GatewaySource>(
        hub_.gateway,
        GatewaySourceOptions{.schemas = {rowSchema("first"), rowSchema("second"), odd()}, .batchEvents = 7});
  }
  bool forgetHistory() override {
    hub_.clock.advance(std::chrono::hours(24 * 8));
    return hub_.gateway.enforceRetention() > 0;
  }
  std::vector<std::pair<std::string, ErrorCode>> makeFaultyTables() override {
    return {{"odd", ErrorCode::typeUnsupported}};
  }

 private:
  static TableSchema odd() {
    return {.table = "odd", .columns = {{.name = "hash", .kind = ValueKind::bytes}}, .primaryKey = {"hash"}};
  }
  Hub hub_;
};

const auto kGateway = ::testing::Values(
    SourceCase{.name = "GatewaySource",
               .make = [] { return std::make_unique<GatewayDatabase>(); },
               .can = {.transactions = false, .seesTruncates = false, .lagBytes = false, .seeds = 20}});

INSTANTIATE_TEST_SUITE_P(Gateway, SyncSourceContract, kGateway, sourceCaseName);
INSTANTIATE_TEST_SUITE_P(Gateway, SourceHistories, kGateway, sourceCaseName);
INSTANTIATE_TEST_SUITE_P(Gateway, SourcePositions, kGateway, sourceCaseName);
INSTANTIATE_TEST_SUITE_P(Gateway, SourceFailures, kGateway, sourceCaseName);

}  // namespace
}  // namespace contract

namespace {

/// Reads what the gateway holds and then what it says, without threads.
class GatewaySourceTest : public ::testing::Test {
 protected:
  void make(GatewaySourceOptions options = {}) {
    source = std::make_unique<GatewaySource>(hub.gateway, std::move(options));
    source->init({});
  }
  ChangeHandler collect(std::size_t stopAfter = SIZE_MAX) {
    return [this, stopAfter](ChangeBatch& batch) {
      for (const ChangeEvent& event : batch) got.push_back(event);
      if (got.size() >= stopAfter) stop.request_stop();
      return Taken::yes;
    };
  }
  Position baseline() {
    const Position at = source->baseline({"t"}, collect(), {});
    got.clear();
    return at;
  }
  /// Streams until this many events came.
  void stream(const Position& from, std::size_t events) {
    stop = std::stop_source();
    source->stream({"t"}, from, collect(got.size() + events), stop.get_token());
  }

  Hub hub;
  std::unique_ptr<GatewaySource> source;
  std::stop_source stop;
  std::vector<ChangeEvent> got;
};

TEST_F(GatewaySourceTest, LearnsTheColumnsOfATableWithoutASchemaBeforeItsBaseline) {
  hub.put("t", "a", {{"name", "Ada"}});
  hub.put("t", "b", {{"age", 7}});
  make();
  source->baseline({"t"}, collect(), {});
  ASSERT_EQ(got.size(), 4u);
  for (const ChangeEvent& event : got) {
    EXPECT_NE(event.op, ChangeOp::schemaChange);
    EXPECT_EQ(event.shape->schema.primaryKey, std::vector<std::string>{"row_id"});
    EXPECT_EQ(event.shape->columns->size(), 3u);
  }
  EXPECT_EQ(got[1].after[0].as<std::string>(), "a");
}

TEST_F(GatewaySourceTest, ANewColumnArrivesAsASchemaChangeBeforeItsRow) {
  hub.put("t", "a", {{"name", "Ada"}});
  make();
  const Position at = baseline();
  hub.put("t", "a", {{"age", 7}}, DeltaOp::update);
  stream(at, 2);
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[0].op, ChangeOp::schemaChange);
  EXPECT_FALSE(got[0].schemaChange->rowsChanged);
  EXPECT_EQ(got[1].op, ChangeOp::update);
  EXPECT_EQ(got[1].shape->columns->names(), (std::vector<std::string>{"row_id", "name", "age"}));
  EXPECT_EQ(got[1].unchanged, std::vector<std::uint32_t>{1}) << "what the push left out is as it was";
  EXPECT_EQ(source->comparePositions(got[0].position, got[1].position), std::partial_ordering::less);
  EXPECT_EQ(source->comparePositions(at, got[0].position), std::partial_ordering::less);
  // Between the two one may stop, too.
  got.clear();
  stream(source->positionFromText(source->positionToText(at)), 1);
  EXPECT_EQ(got[0].op, ChangeOp::update) << "it knows the column now";
}

TEST_F(GatewaySourceTest, AColumnOfSeveralKindsBecomesAColumnOfAnyKind) {
  hub.put("t", "a", {{"x", Value()}});
  make();
  const Position at = baseline();
  hub.put("t", "b", {{"x", 7}});
  hub.put("t", "c", {{"x", "text"}});
  stream(at, 4);
  const auto kindOfX = [](const ChangeEvent& event) { return event.shape->schema.find("x")->kind; };
  EXPECT_EQ(kindOfX(got[1]), ValueKind::int64) << "only nulls were seen before";
  EXPECT_EQ(got[2].op, ChangeOp::schemaChange);
  EXPECT_EQ(kindOfX(got[3]), ValueKind::null);
}

TEST_F(GatewaySourceTest, ReadsCompositeKeysBackFromRowIds) {
  TableSchema schema = rowSchema("t");
  schema.columns.push_back({.name = "region", .kind = ValueKind::text});
  schema.primaryKey = {"region", "id"};
  make({.schemas = {schema}});
  const Position at = baseline();
  hub.put("t", R"(["e\"u",7])", {{"name", "Ada"}});
  stream(at, 1);
  EXPECT_EQ(got[0].after[3].as<std::string>(), "e\"u");
  EXPECT_EQ(got[0].after[0].as<std::int64_t>(), 7);
  hub.put("t", "no key", {{"name", "Eva"}});
  try {
    stream(got.back().position, 1);
    FAIL() << "that row id is no key of the schema";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::rowIdInvalid);
    EXPECT_NE(e.message().find("no key"), std::string::npos);
  }
}

TEST_F(GatewaySourceTest, AnEraseNamesItsKeyAndSaysThatTheRestIsNotKnown) {
  make({.schemas = {rowSchema("t")}});
  const Position at = baseline();
  hub.put("t", "7", {{"name", "Ada"}, {"amount", 1}});
  hub.put("t", "7", {}, DeltaOp::erase);
  stream(at, 2);
  EXPECT_EQ(got[1].op, ChangeOp::erase);
  EXPECT_EQ(got[1].before[0].as<std::int64_t>(), 7);
  EXPECT_EQ(got[1].beforeAbsent, (std::vector<std::uint32_t>{1, 2}));
}

TEST_F(GatewaySourceTest, APurgedTableIsALostPlace) {
  make({.schemas = {rowSchema("t")}});
  hub.put("t", "7", {{"name", "Ada"}});
  const Position at = baseline();
  hub.gateway.purgeTable("t");
  try {
    stream(at, 1);
    FAIL() << "the purge is in no log entry";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::positionLost);
  }
  EXPECT_EQ(source->state(), SourceState::error);
}

TEST_F(GatewaySourceTest, RefusesSchemasThatItCannotGoBy) {
  TableSchema keyless = rowSchema("t");
  keyless.primaryKey.clear();
  EXPECT_THROW(make({.schemas = {keyless}}), Error);
  EXPECT_THROW(make({.schemas = {rowSchema("t"), rowSchema("t")}}), Error);
}

TEST_F(GatewaySourceTest, AColumnNamedAsTheRowIdIsAnErrorThatSaysWhatToDo) {
  hub.put("t", "a", {{"row_id", "x"}});
  make();
  try {
    baseline();
    FAIL() << "the column would be overwritten";
  } catch (const Error& e) {
    EXPECT_NE(e.message().find("rowIdColumn"), std::string::npos);
  }
  make({.rowIdColumn = "key"});
  baseline();
}

TEST_F(GatewaySourceTest, UnderRulesItReadsItsClaimsViewOnly) {
  hub.gateway.setSyncRules(SyncRules::parse(R"({"version":1,"buckets":[{"name":"mine","tables":["t"],)"
                                            R"("filters":[{"column":"owner","op":"eq","value":"jwt:sub"}]}]})"));
  hub.put("t", "a", {{"owner", "ada"}});
  hub.put("t", "b", {{"owner", "bob"}});
  make({.claims = {{"sub", {"ada"}}}});
  source->baseline({"t"}, collect(), {});
  EXPECT_EQ(got.size(), 3u);
}

}  // namespace
}  // namespace tidegate
