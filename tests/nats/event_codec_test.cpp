#include <gtest/gtest.h>

#include "nats/detail/control_record.h"
#include "support/property.h"
#include "support/random_value.h"

namespace tidegate::nats::detail {
namespace {

Shape itemShape() {
  return makeShape({.table = "public.items",
                    .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                                {.name = "na\"me", .kind = ValueKind::null},
                                {.name = "more", .kind = ValueKind::json, .sourceType = "jsonb"}},
                    .primaryKey = {"id"}});
}

ChangeEvent readBack(const ChangeEvent& event, Body form, const Shape& shape) {
  std::string body;
  appendEventBody(event, form, event.schemaChange && event.schemaChange->before ? "before" : "", body);
  const std::string op(toString(event.op)), hlc = std::to_string(hlcOf(event.commitMicros)),
                                            transaction = transactionText(event);
  return eventFrom({.op = op, .hlc = hlc, .shape = "now", .transaction = transaction}, body,
                   [&](std::string_view) { return shape; });
}

void expectSame(const ChangeEvent& a, const ChangeEvent& b) {
  EXPECT_EQ(a.op, b.op);
  EXPECT_TRUE(a.before == b.before && a.after == b.after);
  EXPECT_EQ(a.unchanged, b.unchanged);
  EXPECT_EQ(a.beforeAbsent, b.beforeAbsent);
  EXPECT_EQ(a.transactionBegin, b.transactionBegin);
  EXPECT_EQ(a.transactionEnd, b.transactionEnd);
  EXPECT_EQ(a.transactionId, b.transactionId);
  EXPECT_EQ(a.commitMicros, b.commitMicros);
}

TEST(NatsEvents, ComeBackAsTheyWereInEitherForm) {
  const Shape shape = itemShape();
  test::forEachSeed(1'000, [&](std::uint64_t seed) {
    test::Random random(seed);
    ChangeEvent event{
        .op = random.pick(std::vector{ChangeOp::insert, ChangeOp::update, ChangeOp::erase, ChangeOp::read}),
        .transactionBegin = random.chance(50),
        .transactionEnd = random.chance(50),
        .shape = shape,
        .commitMicros = random.chance(10) ? 0 : static_cast<std::int64_t>(random.bits() >> 14),
        .transactionId = random.bits()};
    const auto row = [&] {
      return std::vector<Value>{static_cast<std::int64_t>(random.bits()), test::randomValue(random),
                                test::randomValue(random)};
    };
    if (event.op != ChangeOp::erase) event.after = row();
    if (event.op == ChangeOp::erase || random.chance(40)) event.before = row();
    if (event.op == ChangeOp::update && random.chance(50)) {
      event.unchanged = {2};
      event.after[2] = Value();
    }
    if (!event.before.empty() && random.chance(50)) {
      event.beforeAbsent = {1, 2};
      event.before[1] = event.before[2] = Value();
    }
    for (const Body form : {Body::json, Body::packed}) expectSame(readBack(event, form, shape), event);
  });
}

TEST(NatsEvents, SchemaChangesComeBackAsTheyWere) {
  auto change = std::make_shared<SchemaChange>();
  change->before = itemShape();
  change->renamed = {{"a", "b\"c"}, {"d", "e"}};
  change->rowsChanged = true;
  const ChangeEvent event{.op = ChangeOp::schemaChange, .shape = itemShape(), .schemaChange = change};
  const ChangeEvent back = readBack(event, Body::packed, itemShape());
  EXPECT_EQ(back.schemaChange->renamed, change->renamed);
  EXPECT_TRUE(back.schemaChange->rowsChanged);
  EXPECT_TRUE(back.schemaChange->before);
}

TEST(NatsEvents, ShapesComeBackAsTheyWereAndHaveNamesOfTheirOwn) {
  const Shape shape = itemShape();
  EXPECT_TRUE(shapeFromJson(shapeJson(*shape))->schema == shape->schema);
  ShapeNames names;
  TableSchema other = shape->schema;
  other.columns[2].nullable = false;
  EXPECT_EQ(names.nameOf(shape), names.nameOf(itemShape()));
  EXPECT_NE(names.nameOf(shape), names.nameOf(makeShape(other)));
}

TEST(NatsEvents, AStampKeepsItsMicroseconds) {
  EXPECT_EQ(hlcOf(1'700'000'000'123'456), (std::uint64_t{1'700'000'000'123} << 16) + 456);
  EXPECT_EQ(microsOf(hlcOf(1'700'000'000'123'456)), 1'700'000'000'123'456);
  EXPECT_EQ(hlcOf(-5), 0u);
}

TEST(NatsEvents, WhatNoSinkWritesIsRefused) {
  const Shape shape = itemShape();
  const auto refused = [&](std::string_view op, std::string_view transaction, std::string_view body) {
    try {
      eventFrom({.op = op, .hlc = "", .shape = "x", .transaction = transaction}, body,
                [&](std::string_view) { return shape; });
    } catch (const Error& e) {
      return e.code() == ErrorCode::parseError;
    }
    return false;
  };
  EXPECT_FALSE(refused("insert", "7be", R"({"after":{"id":1,"na\"me":null,"more":null}})"));
  EXPECT_TRUE(refused("progress", "7be", ""));
  EXPECT_TRUE(refused("insert", "be7", R"({"after":{"id":1,"na\"me":null,"more":null}})"));
  EXPECT_TRUE(refused("insert", "7be", R"({"after":{"id":1}})"));
  EXPECT_TRUE(refused("update", "7be", R"({"after":{"more":null}})"));
  EXPECT_TRUE(refused("insert", "7be", R"({"after":{"id":1,"na\"me":{"$what":"1"},"more":null}})"));
  EXPECT_TRUE(refused("insert", "7be", R"({"after":{"id":1,"other":2}})"));
  EXPECT_TRUE(refused("erase", "7be", ""));
  EXPECT_TRUE(refused("truncate", "7be", "{}"));
  EXPECT_TRUE(refused("insert", "7be", std::string("\1\2\2", 3)));
}

TEST(NatsControlRecord, ComesBackAsItWas) {
  const Shape shape = itemShape();
  const ControlRecord record{.epoch = 3,
                             .unit = 17,
                             .runs = {{5, 9}, {12, 12}},
                             .checkpoint = "a \"checkpoint\"\n",
                             .shapes = {{"n", shape}},
                             .tables = {{"public.items", "n"}}};
  const ControlRecord back = controlFrom(controlJson(record));
  EXPECT_FALSE(back.claim);
  EXPECT_EQ(back.epoch, 3u);
  EXPECT_EQ(back.unit, 17u);
  EXPECT_EQ(back.runs, record.runs);
  EXPECT_EQ(back.checkpoint, record.checkpoint);
  EXPECT_EQ(back.tables, record.tables);
  EXPECT_TRUE(back.shapes.at("n")->schema == shape->schema);
  EXPECT_THROW(controlFrom(R"({"v":1,"kind":"commit","epoch":1,"unit":1,"runs":[[5,4]],"shapesAt":1})"), Error);
  EXPECT_THROW(controlFrom(R"({"v":2,"kind":"commit","epoch":1,"unit":1,"runs":[],"shapesAt":1})"), Error);
}

TEST(NatsControlRecord, RunsGrowTogether) {
  std::vector<detail::Run> runs;
  for (const std::uint64_t at : {3u, 4u, 5u, 9u}) addToRuns(runs, at);
  EXPECT_EQ(runs, (std::vector<detail::Run>{{3, 5}, {9, 9}}));
  EXPECT_TRUE(inRuns(runs, 4) && inRuns(runs, 9));
  EXPECT_FALSE(inRuns(runs, 6) || inRuns(runs, 2) || inRuns(runs, 10));
}

TEST(NatsNames, AreOneTokenWhateverThePipelineIsCalled) {
  EXPECT_EQ(namesFor("", "", "my shop").stream, "TIDEGATE_my%20shop");
  EXPECT_EQ(namesFor("", "", "p").table("public.items"), "tidegate.p.t.public%2Eitems");
  EXPECT_EQ(namesFor("S", "a.b", "p").control(), "a.b.c");
  EXPECT_LT(namesFor("", "", std::string(5'000, 'x')).stream.size(), 250u);
  EXPECT_NE(namesFor("", "", std::string(5'000, 'x')).stream, namesFor("", "", std::string(5'001, 'x')).stream);
}

}  // namespace
}  // namespace tidegate::nats::detail
