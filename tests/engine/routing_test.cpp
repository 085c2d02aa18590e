/// What a pipeline makes of changes: filters, keys, transforms, unchanged columns, schema changes, time to live.
#include <gtest/gtest.h>

#include "engine/detail/row_router.h"
#include "engine/engine_rig.h"

namespace tidegate {
namespace {

using namespace std::chrono_literals;
using test::Values;

/// Changes of one row through one route, as text: "insert(1 Ada 10)", "erase(1 - -)"; a `*` stands for unchanged.
class RowRouting : public ::testing::Test {
 protected:
  std::string image(const Values& row, const std::vector<std::uint32_t>& missing, const char* mark) const {
    std::string text;
    for (std::uint32_t i = 0; i < row.size(); ++i) {
      const bool known = std::find(missing.begin(), missing.end(), i) == missing.end();
      text += (i == 0 ? "" : " ") + (known ? (row[i].isNull() ? "null" : describe(row[i])) : mark);
    }
    return text;
  }
  std::string route(const ChangeEvent& event) {
    const detail::TablePlan plan(table, shape);
    ChangeBatch out;
    routed = detail::routeRow(plan, event, now, out);
    std::string text;
    for (const ChangeEvent& e : out) {
      if (!text.empty()) text += " ";
      text += std::string(toString(e.op)) + "(";
      text += e.op == ChangeOp::erase ? image(e.before, e.beforeAbsent, "-") : image(e.after, e.unchanged, "*");
      text += ")";
    }
    return text;
  }
  ChangeEvent update(Values before, Values after, std::vector<std::uint32_t> unchanged = {}) const {
    ChangeEvent event;
    event.op = ChangeOp::update;
    event.shape = shape;
    event.before = std::move(before);
    event.after = std::move(after);
    event.unchanged = std::move(unchanged);
    return event;
  }
  ChangeEvent keyOnly(ChangeEvent event) const {
    event.beforeAbsent = {1, 2};
    return event;
  }

  TableRoute table{.table = "people", .filter = Filter::compare("score", Comparison::ge, 50)};
  Shape shape = makeShape(test::peopleSchema());
  std::int64_t now = 0;
  detail::RoutedRow routed;
};

TEST_F(RowRouting, AnUpdateThatStaysInTheFilterIsAnUpdate) {
  EXPECT_EQ(route(update({1, "a", 60}, {1, "b", 70})), "update(1 \"b\" 70)");
}
TEST_F(RowRouting, OneThatLeavesTheFilterIsAnErase) {
  EXPECT_EQ(route(update({1, "a", 60}, {1, "b", 10})), "erase(1 \"a\" 60)");
}
TEST_F(RowRouting, OneThatEntersTheFilterIsAnInsert) {
  EXPECT_EQ(route(update({1, "a", 10}, {1, "b", 60})), "insert(1 \"b\" 60)");
}
TEST_F(RowRouting, OneThatStaysOutsideIsNothing) {
  EXPECT_EQ(route(update({1, "a", 10}, {1, "b", 20})), "");
  EXPECT_TRUE(routed.filtered);
}
TEST_F(RowRouting, WithoutAnOldRowAnUpdateOutsideTheFilterErasesByKey) {
  EXPECT_EQ(route(update({}, {1, "b", 10})), "erase(1 - -)");
  EXPECT_EQ(route(keyOnly(update({1, nullptr, nullptr}, {1, "b", 10}))), "erase(1 - -)");
}
TEST_F(RowRouting, WithoutAnOldRowAnUpdateInsideTheFilterIsAnUpdateThatMayInsert) {
  EXPECT_EQ(route(update({}, {1, "b", 60})), "update(1 \"b\" 60)");
  EXPECT_FALSE(routed.mayBeMissed);
}
TEST_F(RowRouting, AFilterColumnThatDidNotChangeLeavesTheRowWhereItIs) {
  EXPECT_EQ(route(update({}, {1, "b", nullptr}, {2})), "update(1 \"b\" *)");
  EXPECT_TRUE(routed.mayBeMissed);
}
TEST_F(RowRouting, AFullOldRowFillsUnchangedColumnsIn) {
  EXPECT_EQ(route(update({1, "large", 60}, {1, nullptr, 70}, {1})), "update(1 \"large\" 70)");
  EXPECT_EQ(route(update({1, "large", 10}, {1, nullptr, 70}, {1})), "insert(1 \"large\" 70)");
  EXPECT_EQ(route(update({1, "a", 10}, {1, "b", nullptr}, {2})), "") << "the filter's column is known from before";
}
TEST_F(RowRouting, AKeyThatChangedIsEraseAndInsert) {
  EXPECT_EQ(route(update({1, "a", 60}, {2, "a", 70})), "erase(1 \"a\" 60) insert(2 \"a\" 70)");
  EXPECT_EQ(route(keyOnly(update({1, nullptr, nullptr}, {2, "a", 70}))), "erase(1 - -) insert(2 \"a\" 70)");
  EXPECT_EQ(route(update({1, "a", 10}, {2, "a", 70})), "insert(2 \"a\" 70)") << "it was not there";
  EXPECT_EQ(route(update({1, "a", 60}, {2, "a", 10})), "erase(1 \"a\" 60)");
}
TEST_F(RowRouting, AKeyThatChangedBesideUnknownColumnsAsksForANewBaseline) {
  EXPECT_EQ(route(keyOnly(update({1, nullptr, nullptr}, {2, nullptr, 70}, {1}))), "erase(1 - -)");
  EXPECT_TRUE(routed.needsReload);
}
TEST_F(RowRouting, InsertsReadsAndErasesAreFiltered) {
  ChangeEvent event = update({}, {1, "a", 60});
  event.op = ChangeOp::insert;
  EXPECT_EQ(route(event), "insert(1 \"a\" 60)");
  event.op = ChangeOp::read;
  EXPECT_EQ(route(event), "read(1 \"a\" 60)");
  event.after[2] = 1;
  EXPECT_EQ(route(event), "");
  event = update({1, "a", 10}, {});
  event.op = ChangeOp::erase;
  EXPECT_EQ(route(event), "");
  event.before[2] = 60;
  EXPECT_EQ(route(event), "erase(1 \"a\" 60)");
  EXPECT_EQ(route(keyOnly(event)), "erase(1 - -)");
}
TEST_F(RowRouting, ErasesPassTransforms) {
  table.filter = {};
  table.transforms = {Transform::rename("id", "person"), Transform::drop({"name"}), Transform::addTimestamp("at"),
                      Transform::addConstant("origin", "shop")};
  ChangeEvent event = keyOnly(update({1, nullptr, nullptr}, {}));
  event.op = ChangeOp::erase;
  EXPECT_EQ(route(event), "erase(1 - - \"shop\")");
  EXPECT_EQ(route(update({}, {1, "a", 5})), "update(1 5 1970-01-01T00:00:00Z \"shop\")");
}
TEST_F(RowRouting, ARowThatIsTooOldIsOutside) {
  table.filter = {};
  table.ttl = TimeToLive{.column = "score", .age = 100s};
  now = 1'000'000'000;
  EXPECT_EQ(route(update({}, {1, "a", 950})), "update(1 \"a\" 950)");
  EXPECT_EQ(route(update({}, {1, "a", 800})), "erase(1 - -)");
  EXPECT_EQ(route(update({1, "a", 800}, {1, "a", 950})), "update(1 \"a\" 950)");
}

class Routing : public test::EngineRig {
 protected:
  Routing() { db->createTable(test::peopleSchema()); }
};

TEST_F(Routing, AFilteredTargetHoldsTheRowsThatMatch) {
  sinkOptions.everyChange = false;
  for (int i = 0; i < 20; ++i) db->insert("people", {i, "x", i * 10});
  auto spec = pipeline();
  spec.tables[0].filter = Filter::compare("score", Comparison::ge, 100);
  make({spec});
  run();
  EXPECT_EQ(target().rows("people").size(), 10u);
  db->update("people", {0, "enters", 100});
  db->update("people", {10, "leaves", 99});
  db->erase("people", {11});
  db->insert("people", {50, "outside", 1});
  run();
  EXPECT_EQ(target().rows("people").size(), 9u);
  EXPECT_EQ(status().tables[0].filtered, 11u);
}

TEST_F(Routing, TransformsChangeTheTargetsShape) {
  db->insert("people", {1, "Ada", 10});
  auto spec = pipeline();
  spec.tables[0].target = "humans";
  spec.tables[0].transforms = {Transform::rename("id", "human_id"), Transform::drop({"score"}),
                               Transform::map("name", ValueKind::text, [](const Value& v) {
                                 return Value(v.isNull() ? std::string() : v.as<std::string>() + "!");
                               })};
  make({spec});
  run();
  db->insert("people", {2, "Bob", 20});
  run();
  EXPECT_EQ(texts(target().rows("humans")), texts({{1, "Ada!"}, {2, "Bob!"}}));
  db->erase("people", {1});
  run();
  EXPECT_EQ(texts(target().rows("humans")), texts({{2, "Bob!"}}));
}

TEST_F(Routing, AFilterThatDoesNotFitTheTableFailsTheStart) {
  auto spec = pipeline();
  spec.tables[0].filter = Filter::equals("nowhere", 1);
  make({spec});
  try {
    engine->start();
    FAIL() << "it started";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalidConfig);
    EXPECT_NE(e.message().find("nowhere"), std::string::npos);
  }
}

TEST_F(Routing, UnchangedColumnsStayAsTheyWere) {
  db = std::make_shared<TestDatabase>(&clock, BeforeImage::key);
  db->createTable(test::peopleSchema());
  db->insert("people", {1, "a large text", 10});
  make({pipeline()});
  run();
  db->commit([](TestTransaction& t) { t.updateColumns("people", {1}, {{"score", 11}}); });
  run();
  expectSame();
}

TEST_F(Routing, TruncatesAndNewKeysArePassedOn) {
  db->insert("people", {1, "a", 1});
  db->insert("people", {2, "b", 2});
  make({pipeline()});
  run();
  db->commit([](TestTransaction& t) { t.rekey("people", {1}, {7, "a", 1}); });
  run();
  expectSame();
  db->commit([](TestTransaction& t) { t.truncate("people").insert("people", {9, "z", 9}); });
  run();
  expectSame();
}

TestAlter addColumn(Value value = nullptr) {
  TableSchema schema = test::peopleSchema();
  schema.columns.push_back({.name = "city", .kind = ValueKind::text});
  return {.schema = schema, .defaults = {{"city", std::move(value)}}};
}

TEST_F(Routing, AnAddedColumnIsFollowed) {
  db->insert("people", {1, "a", 1});
  make({pipeline()});
  run();
  db->commit([](TestTransaction& t) { t.alter(addColumn()).insert("people", {2, "b", 2, "Rome"}); });
  run();
  expectSame();
  EXPECT_EQ(observer->count("schemaChange replica people"), 1u);
}

TEST_F(Routing, ADefaultThatNoEventBringsIsReadAnew) {
  db->insert("people", {1, "a", 1});
  make({pipeline()});
  run();
  db->commit([](TestTransaction& t) { t.alter(addColumn("Oslo")); });
  run();
  expectSame();
  EXPECT_EQ(observer->count("baselineBegin"), 2u);
}

TEST_F(Routing, ASchemaChangeWhileTheEngineWasAwayIsFollowed) {
  db->insert("people", {1, "a", 1});
  make({pipeline()});
  run();
  crash();
  db->commit([](TestTransaction& t) { t.alter(addColumn("Oslo")); });
  db->insert("people", {2, "b", 2, "Rome"});
  make({pipeline()});
  run();
  expectSame();
}

TEST_F(Routing, ARenamedColumnKeepsItsNameInATransform) {
  db->insert("people", {1, "a", 1});
  auto spec = pipeline();
  spec.tables[0].transforms = {Transform::drop({"score"})};
  make({spec});
  run();
  TableSchema schema = test::peopleSchema();
  schema.columns[1].name = "full_name";
  db->commit([&](TestTransaction& t) { t.alter({.schema = schema, .renamed = {{"name", "full_name"}}}); });
  db->update("people", {1, "b", 2});
  run();
  EXPECT_EQ(texts(target().rows("people")), texts({{1, "b"}}));
  EXPECT_EQ(target().shape("people")->columns->names(), (std::vector<std::string>{"id", "full_name"}));
}

TEST_F(Routing, AShapeThatNoLongerFitsTheFilterIsolatesThePipeline) {
  db->insert("people", {1, "a", 1});
  auto spec = pipeline();
  spec.tables[0].filter = Filter::compare("score", Comparison::ge, 0);
  make({spec});
  run();
  TableSchema schema = test::peopleSchema();
  schema.columns.pop_back();
  db->commit([&](TestTransaction& t) { t.alter({.schema = schema}).insert("people", {2, "b"}); });
  run();
  EXPECT_EQ(status().state, PipelineState::isolated);
  EXPECT_NE(status().lastError->find("score"), std::string::npos);
}

TEST_F(Routing, RowsThatGrowTooOldAreSweptByTheClock) {
  const std::int64_t now = clock.wallNow().count() / 1'000'000;
  db->insert("people", {1, "old already", now - 7200});
  db->insert("people", {2, "young", now - 10});
  auto spec = pipeline();
  spec.tables[0].ttl = TimeToLive{.column = "score", .age = 1h, .sweepInterval = 60s};
  make({spec});
  run();
  EXPECT_EQ(texts(target().rows("people")), texts({{2, "young", now - 10}}));
  clock.advance(2h);
  run();
  db->insert("people", {3, "new", now + 7200});
  run();
  EXPECT_EQ(texts(target().rows("people")), texts({{3, "new", now + 7200}}));
  EXPECT_EQ(observer->count("expired replica people 1"), 1u);
}

}  // namespace
}  // namespace tidegate
