/// Part of sink_contract.h: tables that are there already, and shapes that change.
#pragma once

#include "contract/sink_rig.h"

namespace tidegate::contract {

TEST_P(SinkContract, ATableThatIsThereAndFitsIsUsedAsItIs) {
  const Shape t = users();
  start(t, {{1, "a", 1}});
  EXPECT_EQ(crashAndOpen(), "start");
  prepare(t);
  prepare(t);
  // Fewer columns, in another order: the others are not touched.
  const Shape part =
      shapeOf("users", {column("score", ValueKind::int64), column("id", ValueKind::int64, false)}, {"id"});
  prepare(part);
  update(part, {100, 1});
  insert(part, {200, 2});
  commit();
  const Value kept = can.keepsOtherColumns ? Value("a") : Value();
  expectRows(t, {{1, kept, 100}, {2, nullptr, 200}});
}

TEST_P(SinkContract, ATableThatDoesNotFitIsRefusedByColumnWithTheRemedy) {
  const Shape t = users();
  start(t, {{1, "a", 1}});
  const Shape other = shapeOf(
      "users",
      {column("id", ValueKind::int64, false), column("name", ValueKind::text), column("score", ValueKind::text)},
      {"id"});
  if (!can.typed) {
    prepare(other);
    insert(other, {2, "b", "many"});
    commit();
    expectRows(other, {{1, "a", 1}, {2, "b", "many"}});
    return;
  }
  const Error e = errorOf([&] { prepare(other); });
  EXPECT_EQ(e.code(), ErrorCode::invalidConfig) << e.what();
  EXPECT_EQ(e.retry(), Retry::afterOperator);
  EXPECT_NE(e.message().find("score"), std::string::npos) << e.what();
  EXPECT_NE(e.message().find("users"), std::string::npos) << e.what();
  sink->rollback();
  expectRows(t, {{1, "a", 1}});
}

TEST_P(SinkContract, ATableWithAnotherKeyIsRefused) {
  if (!can.typed) return;
  const Shape t = users();
  start(t, {{1, "a", 1}});
  const Shape other = shapeOf("users",
                              {column("id", ValueKind::int64, false), column("name", ValueKind::text),
                               column("score", ValueKind::int64, false)},
                              {"score"});
  const Error e = errorOf([&] { prepare(other); });
  EXPECT_EQ(e.code(), ErrorCode::invalidConfig) << e.what();
  EXPECT_NE(e.message().find("score"), std::string::npos) << e.what();
}

TEST_P(SinkContract, AColumnThatTheTargetLacksIsAdded) {
  const Shape t = users();
  start(t, {{1, "a", 1}});
  const Shape more = shapeOf("users",
                             {column("id", ValueKind::int64, false), column("name", ValueKind::text),
                              column("score", ValueKind::int64), column("email", ValueKind::text, false)},
                             {"id"});
  prepare(more);
  insert(more, {2, "b", 2, "b@example.com"});
  commit();
  expectRows(more, {{1, "a", 1, nullptr}, {2, "b", 2, "b@example.com"}});
}

TEST_P(SinkContract, AnAddedColumnIsFollowed) {
  const Shape t = users();
  const Shape more = shapeOf("users",
                             {column("id", ValueKind::int64, false), column("name", ValueKind::text),
                              column("score", ValueKind::int64), column("email", ValueKind::text)},
                             {"id"});
  start(t, {{1, "a", 1}, {2, "b", 2}});
  update(t, {1, "A", 1});
  changeSchema(t, more);
  update(more, {1, nullptr, 1, "a@example.com"}, {1});
  insert(more, {3, "c", 3, "c@example.com"});
  commit("changed");
  expectRows(more, {{1, "A", 1, "a@example.com"}, {2, "b", 2, nullptr}, {3, "c", 3, "c@example.com"}});
  EXPECT_EQ(crashAndOpen(), "changed");
  prepare(more);
  update(more, {2, "B", 2, "b@example.com"});
  commit();
  expectRows(more, {{1, "A", 1, "a@example.com"}, {2, "B", 2, "b@example.com"}, {3, "c", 3, "c@example.com"}});
}

TEST_P(SinkContract, ADroppedColumnIsFollowed) {
  const Shape t = users();
  const Shape less =
      shapeOf("users", {column("id", ValueKind::int64, false), column("score", ValueKind::int64)}, {"id"});
  start(t, {{1, "a", 1}, {2, "b", 2}});
  changeSchema(t, less);
  update(less, {1, 10});
  insert(less, {3, 3});
  commit();
  expectRows(less, {{1, 10}, {2, 2}, {3, 3}});
}

TEST_P(SinkContract, AColumnAddedUnderTheNameOfADroppedOneIsEmpty) {
  const Shape t = users();
  const Shape less =
      shapeOf("users", {column("id", ValueKind::int64, false), column("score", ValueKind::int64)}, {"id"});
  for (const bool inOneUnit : {false, true}) {
    start(t, {{1, "a", 1}, {2, "b", 2}});
    changeSchema(t, less);
    insert(less, {3, 3});
    if (!inOneUnit) commit();
    changeSchema(less, t);
    insert(t, {4, "d", 4});
    commit();
    expectRows(t, {{1, nullptr, 1}, {2, nullptr, 2}, {3, nullptr, 3}, {4, "d", 4}});
    truncate(t);
    commit();
  }
}

TEST_P(SinkContract, ARenamedColumnKeepsItsValuesOrIsRefused) {
  const Shape t = users();
  const Shape renamed = shapeOf(
      "users",
      {column("id", ValueKind::int64, false), column("full name", ValueKind::text), column("score", ValueKind::int64)},
      {"id"});
  start(t, {{1, "a", 1}, {2, "b", 2}});
  changeSchema(t, renamed, {{"name", "full name"}});
  if (!can.renames) {
    EXPECT_EQ(errorOf([&] { flush(); }).code(), ErrorCode::invalidConfig);
    return;
  }
  update(renamed, {1, nullptr, 10}, {1});
  insert(renamed, {3, "c", 3});
  commit();
  expectRows(renamed, {{1, "a", 10}, {2, "b", 2}, {3, "c", 3}});
}

TEST_P(SinkContract, ARenameIsFollowedThoughTheNewShapeWasPreparedBefore) {
  if (!can.renames) return;
  const Shape t = users();
  const Shape renamed = shapeOf(
      "users",
      {column("id", ValueKind::int64, false), column("title", ValueKind::text), column("score", ValueKind::int64)},
      {"id"});
  start(t, {{1, "a", 1}, {2, "b", 2}});
  // A process that starts late knows the newest shape first; what it then reads begins with the old one.
  EXPECT_EQ(crashAndOpen(), "start");
  prepare(renamed);
  commit("prepared");
  update(t, {1, "A", 1});
  changeSchema(t, renamed, {{"name", "title"}});
  insert(renamed, {3, "c", 3});
  commit();
  expectRows(renamed, {{1, "A", 1}, {2, "b", 2}, {3, "c", 3}});
}

TEST_P(SinkContract, ARetypedColumnKeepsItsValuesOrIsRefused) {
  const Shape t = users();
  const Shape retyped = shapeOf(
      "users",
      {column("id", ValueKind::int64, false), column("name", ValueKind::text), column("score", ValueKind::text)},
      {"id"});
  start(t, {{1, "a", 1}, {2, "b", nullptr}});
  changeSchema(t, retyped);
  if (!can.retypes) {
    EXPECT_EQ(errorOf([&] { flush(); }).code(), ErrorCode::invalidConfig);
    return;
  }
  insert(retyped, {3, "c", "a lot"});
  commit();
  const Value kept = can.typed ? Value("1") : Value(1);
  expectRows(retyped, {{1, "a", kept}, {2, "b", nullptr}, {3, "c", "a lot"}});
}

TEST_P(SinkContract, ASchemaChangeThatIsRolledBackCanComeAgain) {
  const Shape t = users();
  const Shape more = shapeOf("users",
                             {column("id", ValueKind::int64, false), column("name", ValueKind::text),
                              column("score", ValueKind::int64), column("email", ValueKind::text)},
                             {"id"});
  start(t, {{1, "a", 1}});
  changeSchema(t, more);
  insert(more, {2, "never", 2, "b"});
  flush();
  sink->rollback();
  update(t, {1, "still the old shape", 1});
  commit();
  changeSchema(t, more);
  insert(more, {2, "b", 2, "b"});
  commit();
  expectRows(more, {{1, "still the old shape", 1, nullptr}, {2, "b", 2, "b"}});
}

TEST_P(SinkContract, ASchemaChangeThatTheTargetHasAlreadyIsNoError) {
  const Shape t = users();
  const Shape changed =
      shapeOf("users", {column("id", ValueKind::int64, false), column("email", ValueKind::text)}, {"id"});
  start(t, {{1, "a", 1}});
  changeSchema(t, changed);
  commit();
  changeSchema(t, changed);
  insert(changed, {2, "b@example.com"});
  commit();
  expectRows(changed, {{1, nullptr}, {2, "b@example.com"}});
}

TEST_P(SinkContract, ATableNotKnownBeforeMayComeAsASchemaChange) {
  const Shape t = users("late");
  changeSchema(nullptr, t);
  insert(t, {1, "a", 1});
  commit();
  expectRows(t, {{1, "a", 1}});
}

TEST_P(SinkContract, ASchemaMayChangeAmongABaseline) {
  const Shape t = users();
  const Shape more = shapeOf("users",
                             {column("id", ValueKind::int64, false), column("name", ValueKind::text),
                              column("score", ValueKind::int64), column("email", ValueKind::text)},
                             {"id"});
  start(t, {{1, "a", 1}, {2, "stale", 2}, {3, "c", 3}});
  baselineBegin(t);
  read(t, {1, "a", 1});
  commit();
  changeSchema(t, more);
  read(more, {3, "c", 3, "c@example.com"});
  baselineEnd(more);
  commit();
  expectRows(more, {{1, "a", 1, nullptr}, {3, "c", 3, "c@example.com"}});
}

}  // namespace tidegate::contract
