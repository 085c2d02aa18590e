/// What every Sink must do. To check one of your own:
///
///     class MyTarget final : public SinkTarget { std::shared_ptr<Sink> sink() override { return mySink(path); } … };
///     namespace tidegate::contract {
///     TIDEGATE_SINK_CONTRACT(Mine, SinkCase({.name = "mine", .make = [] { return std::make_unique<MyTarget>(); }}));
///     }
///
/// Here: changes. In the headers beside it: units of work, checkpoints and fences, baselines, schema changes, values,
/// and random histories against a model.
#pragma once

#include "contract/sink_baselines.h"
#include "contract/sink_histories.h"
#include "contract/sink_rig.h"
#include "contract/sink_schemas.h"
#include "contract/sink_units.h"
#include "contract/sink_values.h"

namespace tidegate::contract {

TEST_P(SinkContract, ATableIsMadeFromItsShape) {
  const Shape t = users();
  prepare(t);
  commit();
  expectRows(t, {});
}

TEST_P(SinkContract, InsertsUpdatesErasesAndReadsAreApplied) {
  const Shape t = users();
  prepare(t);
  insert(t, {1, "ada", 10});
  insert(t, {2, "bob", 20});
  read(t, {3, "cyd", 30});
  insert(t, {4, "dan", 40});
  update(t, {1, "Ada", 11});
  erase(t, {2});
  read(t, {4, "Dan", 41});
  commit();
  expectRows(t, {{1, "Ada", 11}, {3, "cyd", 30}, {4, "Dan", 41}});
}

TEST_P(SinkContract, ChangesOfOneRowCountInTheirOrder) {
  const Shape t = users();
  prepare(t);
  insert(t, {1, "a", 1});
  update(t, {1, "b", 2});
  erase(t, {1});
  insert(t, {1, "c", 3});
  insert(t, {2, "x", 1});
  erase(t, {2});
  flush();
  update(t, {1, "d", 4});
  commit();
  expectRows(t, {{1, "d", 4}});
}

TEST_P(SinkContract, AnInsertOfARowThatIsThereReplacesIt) {
  const Shape t = users();
  start(t, {{1, "a", 1}});
  insert(t, {1, "again", nullptr});
  commit();
  expectRows(t, {{1, "again", nullptr}});
}

TEST_P(SinkContract, AnEraseMayCarryTheWholeOldRow) {
  const Shape t = users();
  start(t, {{1, "a", 1}, {2, "b", 2}});
  event(ChangeOp::erase, t).before = {1, "not even the same", 99};
  commit();
  expectRows(t, {{2, "b", 2}});
}

TEST_P(SinkContract, AnEraseOfARowThatIsNotThereIsNoError) {
  const Shape t = users();
  start(t, {{1, "a", 1}});
  erase(t, {7});
  commit();
  expectRows(t, {{1, "a", 1}});
}

TEST_P(SinkContract, AnUpdateOfAMissingRowInsertsItUnlessColumnsAreUnchanged) {
  const Shape t = users();
  start(t, {});
  update(t, {1, "new", 1});
  update(t, {2, nullptr, 2}, {1});
  commit();
  expectRows(t, {{1, "new", 1}});
}

TEST_P(SinkContract, UnchangedColumnsStayAsTheyWere) {
  const Shape t = users();
  start(t, {{1, "large and stored elsewhere", 1}, {2, "b", 2}, {3, "c", 3}});
  update(t, {1, nullptr, 100}, {1});
  update(t, {2, "B", nullptr}, {2});
  update(t, {3, nullptr, nullptr}, {1, 2});
  update(t, {1, "whole again", 101});
  update(t, {1, nullptr, 102}, {1});
  commit();
  expectRows(t, {{1, "whole again", 102}, {2, "B", 2}, {3, "c", 3}});
}

TEST_P(SinkContract, AKeyThatChangedComesAsEraseAndInsert) {
  const Shape t = users();
  start(t, {{1, "a", 1}, {2, "b", 2}});
  erase(t, {1});
  insert(t, {3, "a", 1});
  // Two rows change places.
  erase(t, {2});
  insert(t, {9, "b", 2});
  erase(t, {3});
  insert(t, {2, "a", 1});
  erase(t, {9});
  insert(t, {3, "b", 2});
  commit();
  expectRows(t, {{2, "a", 1}, {3, "b", 2}});
}

TEST_P(SinkContract, KeysOfSeveralColumnsInAnyPlace) {
  const Shape t = shapeOf("parts",
                          {column("note", ValueKind::text), column("line", ValueKind::int64, false),
                           column("amount", ValueKind::int64), column("order", ValueKind::text, false)},
                          {"order", "line"});
  prepare(t);
  insert(t, {"first", 1, 10, "o-1"});
  insert(t, {"second", 2, 20, "o-1"});
  insert(t, {"other order", 1, 30, "o-2"});
  update(t, {nullptr, 2, 21, "o-1"}, {0});
  erase(t, {"o-2", 1});
  erase(t, {"o-2", 2});
  commit();
  expectRows(t, {{"first", 1, 10, "o-1"}, {"second", 2, 21, "o-1"}});
}

TEST_P(SinkContract, ATableMayBeNothingButItsKey) {
  const Shape t =
      shapeOf("members", {column("team", ValueKind::int64, false), column("person", ValueKind::int64, false)},
              {"team", "person"});
  prepare(t);
  insert(t, {1, 1});
  insert(t, {1, 2});
  insert(t, {1, 2});
  update(t, {1, 1});
  erase(t, {1, 2});
  insert(t, {2, 2});
  commit();
  expectRows(t, {{1, 1}, {2, 2}});
}

TEST_P(SinkContract, ATruncateEmptiesItsTableAndNoOther) {
  const Shape t = users(), other = users("others");
  prepare(other);
  insert(other, {1, "stays", 1});
  start(t, {{1, "a", 1}, {2, "b", 2}});
  insert(t, {3, "c", 3});
  truncate(t);
  insert(t, {2, "after", 4});
  commit();
  expectRows(t, {{2, "after", 4}});
  expectRows(other, {{1, "stays", 1}});
}

TEST_P(SinkContract, ARowWithoutAKeyIsRefusedOrKeptAsTheTraitsSay) {
  const Shape t = shapeOf("log", {column("line", ValueKind::text)}, {});
  if (!sink->traits().keyless) {
    const Error e = errorOf([&] { prepare(t); });
    EXPECT_EQ(e.code(), ErrorCode::invalidConfig);
    EXPECT_EQ(e.retry(), Retry::afterOperator);
    EXPECT_NE(e.message().find("log"), std::string::npos) << e.what();
    return;
  }
  prepare(t);
  insert(t, {"same"});
  insert(t, {"same"});
  commit();
  expectRows(t, {{"same"}, {"same"}});
}

TEST_P(SinkContract, TheSinkReadsItsTablesBack) {
  const Shape t = users();
  start(t, {{1, "a", 1}, {2, nullptr, 2}});
  const auto stream = sink->readTable(t, {});
  EXPECT_EQ(stream->columns()->names(), t->columns->names());
  std::size_t count = 0;
  for (Values row; stream->next(row); ++count) ASSERT_EQ(row.size(), 3u);
  EXPECT_EQ(count, 2u);
}

TEST_P(SinkContract, RowsExpireByAColumn) {
  const Shape t = shapeOf("sessions",
                          {column("id", ValueKind::int64, false), column("seen", ValueKind::timestamp),
                           column("day", ValueKind::date), column("at", ValueKind::int64)},
                          {"id"});
  const auto second = [](std::int64_t n) { return Timestamp::utc(1'700'000'000'000'000 + n * 500'000); };
  start(t, {{1, second(0), Date{100}, 10},
            {2, second(1), Date{101}, 11},
            {3, second(2), Date{102}, 12},
            {4, nullptr, nullptr, nullptr}});
  if (!can.expires) {
    EXPECT_EQ(errorOf([&] { sink->expire(t, "seen", second(1)); }).code(), ErrorCode::invalidArgument);
    return;
  }
  EXPECT_EQ(sink->expire(t, "seen", second(1)), 1u);
  expectRows(t, {{1, second(0), Date{100}, 10},
                 {2, second(1), Date{101}, 11},
                 {3, second(2), Date{102}, 12},
                 {4, nullptr, nullptr, nullptr}});
  commit();
  expectRows(t, {{2, second(1), Date{101}, 11}, {3, second(2), Date{102}, 12}, {4, nullptr, nullptr, nullptr}});
  EXPECT_EQ(sink->expire(t, "seen", second(1)), 0u);
  EXPECT_EQ(sink->expire(t, "day", Date{102}), 1u);
  commit();
  EXPECT_EQ(sink->expire(t, "at", 13), 1u);
  commit();
  expectRows(t, {{4, nullptr, nullptr, nullptr}});
}

}  // namespace tidegate::contract
