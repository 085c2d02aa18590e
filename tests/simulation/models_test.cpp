#include <gtest/gtest.h>

#include "simulation/history.h"
#include "simulation/model_gateway.h"
#include "simulation/model_rules.h"
#include "tidegate/core/conflict.h"

namespace tidegate::sim {
namespace {

const Key kRow{"t", "1"};

SyncPush pushOf(const std::string& client, std::uint64_t hlc, DeltaOp op, std::vector<ColumnValue> columns) {
  RowDelta delta{op, kRow.table, kRow.rowId, client, std::move(columns), Hlc{hlc}, {}};
  return {client, {delta}, {}};
}

constexpr PushContext kIngest{.trusted = true, .ingest = true};

TEST(ModelGateway, KeepsTheLaterWriteOfEachColumn) {
  ModelGateway model;
  model.apply(pushOf("a", 10, DeltaOp::insert, {{"x", 1}, {"y", 1}}), {});
  EXPECT_EQ(model.apply(pushOf("b", 9, DeltaOp::update, {{"x", 2}}), {}), 0u);
  EXPECT_EQ(model.apply(pushOf("b", 11, DeltaOp::update, {{"y", 2}}), {}), 1u);
  EXPECT_EQ(model.row(kRow), (ModelRow{{"x", 1}, {"y", 2}}));
}

TEST(ModelGateway, BringsBackOnlyWhatWasWrittenAfterAnErase) {
  ModelGateway model;
  model.apply(pushOf("a", 10, DeltaOp::insert, {{"x", 1}, {"y", 1}}), {});
  model.apply(pushOf("b", 12, DeltaOp::erase, {}), {});
  EXPECT_EQ(model.row(kRow), std::nullopt);
  model.apply(pushOf("a", 13, DeltaOp::update, {{"y", 3}}), {});
  EXPECT_EQ(model.row(kRow), (ModelRow{{"y", 3}}));
}

TEST(ModelGateway, LetsARepetitionOfTheSourceChangeNothing) {
  ModelGateway model;
  model.apply(pushOf("ingest:s", 10, DeltaOp::insert, {{"x", 1}}), kIngest);
  model.apply(pushOf("phone", 20, DeltaOp::update, {{"x", 5}}), {});
  EXPECT_EQ(model.apply(pushOf("ingest:s", 30, DeltaOp::insert, {{"x", 1}}), kIngest), 0u);
  EXPECT_EQ(model.row(kRow), (ModelRow{{"x", 5}}));
  EXPECT_EQ(model.apply(pushOf("ingest:s", 40, DeltaOp::insert, {{"x", 2}}), kIngest), 1u);
  EXPECT_EQ(model.brought(kRow, "ingest:s"), (ModelRow{{"x", 2}}));
}

RowDelta drawDelta(SimRandom& random) {
  static const std::vector<std::string> clients{"a", "b"};
  RowDelta delta{static_cast<DeltaOp>(random.below(3)), kRow.table, kRow.rowId, random.pick(clients), {}, {}, {}};
  delta.hlc = Hlc{random.below(12) * 2 + (delta.clientId == "a" ? 1 : 2)};
  if (delta.op == DeltaOp::erase) return delta;
  for (const char* column : {"x", "y", "z"}) {
    // One value per stamp and column: a client never stamps two contents alike.
    if (random.chance(50)) delta.columns.push_back({column, Value(static_cast<std::int64_t>(delta.hlc.raw * 3))});
  }
  return delta;
}

TEST(ModelGateway, AgreesWithTheLibrarysMergeDeltaByDelta) {
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    SCOPED_TRACE(seed);
    SimRandom random(seed);
    ModelGateway model;
    RowState state;
    for (int i = 0; i < 15; ++i) {
      const RowDelta delta = drawDelta(random);
      const MergeEffect effect = merge(state, delta);
      ASSERT_EQ(model.apply({delta.clientId, {delta}, {}}, {}), effect.steps.empty() ? 0u : 1u);
      ModelRow row;
      for (const auto& [column, cell] : state.columns) row[column] = cell.value;
      ASSERT_EQ(model.row(kRow), state.visible() ? std::optional(row) : std::nullopt);
    }
  }
}

TEST(ModelRules, ComparesByTypeAndMatchesNothingWithoutTheClaim) {
  const ModelRules more{{{{"t"}, {{"qty", "gt", {"9"}, ""}}}}};
  EXPECT_TRUE(more.sees({}, "t", {{"qty", 10}}));
  EXPECT_FALSE(more.sees({}, "u", {{"qty", 10}}));
  EXPECT_FALSE(more.sees({}, "t", {{"qty", Value()}}));
  const ModelRules mine{{{{}, {{"owner", "neq", {}, "sub"}}}}};
  EXPECT_FALSE(mine.sees({}, "t", {{"owner", "u1"}}));
  EXPECT_TRUE(mine.sees({{"sub", {"u2"}}}, "t", {{"owner", "u1"}}));
}

/// Any row of the kinds that the simulation's rules can meet.
ModelRow drawRow(SimRandom& random) {
  static const std::vector<std::string> texts{"u1", "u2", "U1", "", "eu", "us", "asia", "9", "10", "it's; -- \"x\""};
  ModelRow row;
  for (const char* column : {"owner", "region", "qty", "price"}) {
    switch (random.below(5)) {
      case 0:
        break;
      case 1:
        row[column] = Value();
        break;
      case 2:
        row[column] = Value(random.pick(texts));
        break;
      case 3:
        row[column] = Value(random.between(-2, 12));
        break;
      default:
        row[column] = Value(static_cast<double>(random.below(40)) / 4);
    }
  }
  return row;
}

TEST(ModelRules, AgreeWithTheCompiledRules) {
  Plan plan;
  plan.tables = {{.name = "orders", .keys = {"id"}}, {.name = "stock", .keys = {"id"}}};
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    SCOPED_TRACE(seed);
    SimRandom random(seed);
    const ModelRules rules = drawRules(plan, random);
    const Claims claims = drawClaims(random);
    const ClientView view = SyncRules::parse(rules.json()).compile(claims);
    for (int i = 0; i < 20; ++i) {
      const std::string& table = random.pick(plan.tables).name;
      const ModelRow row = drawRow(random);
      const auto find = [&](std::string_view column) {
        const auto cell = row.find(std::string(column));
        return cell == row.end() ? nullptr : &cell->second;
      };
      ASSERT_EQ(view.matches(table, find), rules.sees(claims, table, row))
          << table << " " << show(&row) << rules.json();
    }
  }
}

TEST(History, FindsAReplicaThatIsBehindOrAhead) {
  History history;
  history.record(10, kRow, ModelRow{{"x", 1}}, 1);
  history.record(20, kRow, ModelRow{{"x", 2}}, 1);
  const ModelState old{{kRow, {{"x", 1}}}};
  EXPECT_EQ(history.difference(old, 10, {}, {}), std::nullopt);
  EXPECT_NE(history.difference(old, 20, {}, {}), std::nullopt);
  EXPECT_NE(history.difference({}, 10, {}, {}), std::nullopt);
  EXPECT_EQ(history.difference(old, 15, {}, {}), std::nullopt);
}

}  // namespace
}  // namespace tidegate::sim
