#include "engine/detail/event_json.h"

#include <gtest/gtest.h>

#include "engine/detail/checkpoint.h"
#include "support/property.h"
#include "support/random_value.h"
#include "tidegate/core/error.h"
#include "tidegate/source/test_source.h"

namespace tidegate {
namespace {

class EventJson : public ::testing::Test {
 protected:
  std::shared_ptr<TestDatabase> db = std::make_shared<TestDatabase>();
  TestSource source{db};
  Position place() const { return source.positionFromText("3:1"); }
};

TEST_F(EventJson, ReadsBackExactlyWhatItWrote) {
  test::forEachSeed(1000, [&](std::uint64_t seed) {
    test::Random random(seed);
    TableSchema schema{.table = test::randomText(random) + "t"};
    const std::size_t columns = 1 + random.index(6);
    ChangeEvent event;
    event.op = random.chance(50) ? ChangeOp::update : ChangeOp::insert;
    for (std::size_t i = 0; i < columns; ++i) {
      schema.columns.push_back({.name = "c" + std::to_string(i),
                                .kind = static_cast<ValueKind>(random.below(13)),
                                .nullable = random.chance(50),
                                .sourceType = test::randomText(random)});
      event.after.push_back(test::randomValue(random));
      if (random.chance(20)) event.unchanged.push_back(static_cast<std::uint32_t>(i));
    }
    schema.primaryKey = {"c0"};
    if (random.chance(50)) event.before = event.after;
    event.shape = makeShape(schema);
    event.position = place();
    event.commitMicros = random.between(-1'000'000, 1'000'000);
    event.transactionId = random.bits() >> 1;
    const ChangeEvent read = detail::eventFromJson(detail::eventJson(event, source), source);
    EXPECT_EQ(read.op, event.op);
    EXPECT_TRUE(read.before == event.before);
    EXPECT_TRUE(read.after == event.after);
    EXPECT_EQ(read.unchanged, event.unchanged);
    EXPECT_EQ(read.beforeAbsent, event.beforeAbsent);
    EXPECT_EQ(read.position, event.position);
    EXPECT_EQ(read.commitMicros, event.commitMicros);
    EXPECT_EQ(read.transactionId, event.transactionId);
    EXPECT_TRUE(read.shape->schema == event.shape->schema);
  });
}

TEST_F(EventJson, RefusesWhatIsNoChange) {
  for (const char* text : {"", "{}", "[]", "{\"op\":\"dance\"}", "{\"op\":\"insert\",\"position\":\"3:1\"}"}) {
    EXPECT_THROW(detail::eventFromJson(text, source), Error) << text;
  }
}

TEST_F(EventJson, ACheckpointReadsBackAsItWas) {
  detail::Checkpoint made{.source = "shop \"x\"", .number = 7, .position = place()};
  made.tables["public.users"] = {
      .phase = detail::TablePhase::carried,
      .from = source.positionFromText("2:0"),
      .shape = makeShape(
          {.table = "public.users", .columns = {{.name = "id", .kind = ValueKind::int64}}, .primaryKey = {"id"}})};
  made.tables["wanted"] = {};
  made.hole = detail::Hole{.before = source.positionFromText("1:0"), .tables = {"a", "b"}};
  const auto read =
      detail::readCheckpoint(detail::checkpointJson(made, detail::checkpointTablesJson(made, source), source), source);
  EXPECT_EQ(read.source, made.source);
  EXPECT_EQ(read.number, made.number);
  EXPECT_EQ(read.position, made.position);
  ASSERT_EQ(read.tables.size(), 2u);
  const auto& users = read.tables.find("public.users")->second;
  EXPECT_EQ(users.phase, detail::TablePhase::carried);
  EXPECT_EQ(users.from, made.tables["public.users"].from);
  EXPECT_TRUE(users.shape->schema == made.tables["public.users"].shape->schema);
  EXPECT_EQ(read.tables.find("wanted")->second.phase, detail::TablePhase::wanted);
  EXPECT_EQ(read.hole, made.hole);
}

TEST_F(EventJson, ACheckpointOfManyTablesStaysWithinItsBound) {
  detail::Checkpoint made{.source = "shop"};
  for (int t = 0; t < 500; ++t) {
    TableSchema schema{.table = "table " + std::to_string(t)};
    for (int c = 0; c < 100; ++c) schema.columns.push_back({.name = "a column with a long name " + std::to_string(c)});
    made.tables[schema.table] = {.phase = detail::TablePhase::ready, .shape = makeShape(schema)};
  }
  const auto text = detail::checkpointJson(made, detail::checkpointTablesJson(made, source), source);
  EXPECT_LE(text.size(), 1u << 20);
  EXPECT_EQ(detail::readCheckpoint(text, source).tables.size(), 500u);
}

TEST_F(EventJson, ACheckpointOfALaterVersionIsRefused) {
  EXPECT_THROW(detail::readCheckpoint("{\"v\":2}", source), Error);
  EXPECT_THROW(detail::readCheckpoint("nonsense", source), Error);
}

}  // namespace
}  // namespace tidegate
