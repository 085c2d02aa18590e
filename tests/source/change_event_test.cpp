#include "tidegate/source/change_event.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/property.h"
#include "tidegate/core/error.h"

namespace tidegate {
namespace {

TableSchema users() {
  return {.table = "public.users",
          .columns = {{.name = "tenant", .kind = ValueKind::text},
                      {.name = "id", .kind = ValueKind::int64, .nullable = false},
                      {.name = "name", .kind = ValueKind::text}},
          .primaryKey = {"id", "tenant"}};
}

TEST(TableShape, ListsColumnsInOrderAndTheKeyInKeyOrder) {
  const Shape shape = makeShape(users());
  EXPECT_EQ(shape->columns->names(), (std::vector<std::string>{"tenant", "id", "name"}));
  EXPECT_EQ(shape->key, (std::vector<std::uint32_t>{1, 0}));
}

TEST(TableShape, MayHaveNoKey) {
  TableSchema schema = users();
  schema.primaryKey.clear();
  EXPECT_TRUE(makeShape(schema)->key.empty());
}

TEST(TableShape, RefusesAKeyColumnThatIsNotThereAndNamesIt) {
  TableSchema schema = users();
  schema.primaryKey = {"uuid"};
  try {
    makeShape(schema);
    FAIL() << "there is no column uuid";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalidArgument);
    EXPECT_NE(e.message().find("public.users"), std::string::npos) << e.message();
    EXPECT_NE(e.message().find("uuid"), std::string::npos) << e.message();
  }
}

TEST(TableShape, RefusesARepeatedColumn) {
  TableSchema schema = users();
  schema.columns.push_back({.name = "id"});
  EXPECT_THROW(makeShape(schema), Error);
}

TEST(ChangeOp, HasTheNamesOfItsIdentifiers) {
  using enum ChangeOp;
  const std::vector<std::pair<ChangeOp, std::string>> names{
      {insert, "insert"},
      {update, "update"},
      {erase, "erase"},
      {truncate, "truncate"},
      {schemaChange, "schemaChange"},
      {read, "read"},
      {baselineBegin, "baselineBegin"},
      {baselineEnd, "baselineEnd"},
      {progress, "progress"},
  };
  for (const auto& [op, name] : names) EXPECT_EQ(toString(op), name);
}

/// Sets every member to something an empty event does not have.
void fill(ChangeEvent& event) {
  event.transactionBegin = event.transactionEnd = true;
  event.before = {Value(1), Value("a"), Value("b")};
  event.after = {Value(2), Value(std::string(100, 'x')), Value()};
  event.unchanged = {2};
  event.beforeAbsent = {1};
  event.position.octets = "here";
  event.commitMicros = 5;
  event.transactionId = 6;
  event.schemaChange = std::make_shared<const SchemaChange>();
}

void expectEmpty(const ChangeEvent& event) {
  EXPECT_FALSE(event.transactionBegin || event.transactionEnd);
  EXPECT_TRUE(event.before.empty() && event.after.empty());
  EXPECT_TRUE(event.unchanged.empty() && event.beforeAbsent.empty());
  EXPECT_TRUE(event.position.empty());
  EXPECT_EQ(event.commitMicros, 0);
  EXPECT_EQ(event.transactionId, 0u);
  EXPECT_EQ(event.schemaChange, nullptr);
}

TEST(ChangeBatch, AReusedSlotHasNothingOfTheEventThatWasInIt) {
  const Shape shape = makeShape(users());
  ChangeBatch batch;
  fill(batch.add(ChangeOp::update, shape));
  batch.clear();
  EXPECT_TRUE(batch.empty());
  const ChangeEvent& again = batch.add(ChangeOp::progress, nullptr);
  expectEmpty(again);
  EXPECT_EQ(again.op, ChangeOp::progress);
  EXPECT_EQ(again.shape, nullptr);
  batch.dropLast();
  fill(batch.add(ChangeOp::insert, shape));
  batch.dropLast();
  expectEmpty(batch.add(ChangeOp::erase, shape));
  EXPECT_EQ(batch.back().shape, shape);
}

TEST(ChangeBatch, KeepsItsSlotsMemory) {
  const Shape shape = makeShape(users());
  ChangeBatch batch;
  batch.add(ChangeOp::insert, shape).after.resize(100);
  const Value* memory = batch[0].after.data();
  batch.clear();
  batch.add(ChangeOp::insert, shape).after.resize(100);
  EXPECT_EQ(batch[0].after.data(), memory);
}

TEST(ChangeBatch, DroppingTheLastOfAnEmptyOneDoesNothing) {
  ChangeBatch batch;
  batch.dropLast();
  EXPECT_EQ(batch.size(), 0u);
}

TEST(ChangeBatch, BehavesAsAPlainListWould) {
  test::forEachSeed(200, [](std::uint64_t seed) {
    test::Random random(seed);
    const Shape shape = makeShape(users());
    ChangeBatch batch, other;
    std::vector<std::uint64_t> model, otherModel;
    for (std::uint64_t step = 1; step <= 200; ++step) {
      const auto choice = random.below(10);
      if (choice < 6) {
        batch.add(ChangeOp::insert, shape).transactionId = step;
        model.push_back(step);
      } else if (choice < 8) {
        batch.dropLast();
        if (!model.empty()) model.pop_back();
      } else if (choice == 8) {
        batch.swap(other);
        model.swap(otherModel);
      } else {
        batch.clear();
        model.clear();
      }
      std::vector<std::uint64_t> held;
      for (const ChangeEvent& event : batch) held.push_back(event.transactionId);
      EXPECT_EQ(held, model);
    }
  });
}

TEST(ChangeEvent, CountsTheBytesOfItsValues) {
  const Shape shape = makeShape(users());
  ChangeBatch batch;
  const std::size_t empty = batch.add(ChangeOp::insert, shape).bytes();
  batch.back().after = {Value("eu"), Value(1), Value(std::string(1'000, 'x'))};
  const std::size_t full = batch.back().bytes();
  EXPECT_GE(full, empty + 1'000);
  EXPECT_LT(full, empty + 1'200);
  batch.add(ChangeOp::erase, shape).before = {Value(std::string(500, 'x'))};
  EXPECT_GE(batch.bytes(), full + 500);
  batch.dropLast();
  EXPECT_EQ(batch.bytes(), full);
}

}  // namespace
}  // namespace tidegate
