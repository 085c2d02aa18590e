/// Part of sink_contract.h: `baselineBegin` … `baselineEnd` make a target exact without emptying it.
#pragma once

#include "contract/sink_rig.h"

namespace tidegate::contract {

TEST_P(SinkContract, ABaselineFillsAnEmptyTable) {
  const Shape t = users();
  prepare(t);
  baselineBegin(t);
  for (int i = 1; i <= 300; ++i) read(t, {i, "row", i});
  baselineEnd(t);
  commit();
  std::vector<Values> all;
  for (int i = 1; i <= 300; ++i) all.push_back({i, "row", i});
  expectRows(t, all);
}

TEST_P(SinkContract, ABaselineRemovesWhatItDidNotNameAtItsEndAndNotBefore) {
  const Shape t = users();
  start(t, {{1, "old", 1}, {2, "stale", 2}, {3, "same", 3}});
  baselineBegin(t);
  read(t, {1, "new", 10});
  commit("begun");
  expectRows(t, {{1, "new", 10}, {2, "stale", 2}, {3, "same", 3}});
  read(t, {3, "same", 3});
  read(t, {4, "more", 4});
  commit("nearly");
  expectRows(t, {{1, "new", 10}, {2, "stale", 2}, {3, "same", 3}, {4, "more", 4}});
  baselineEnd(t);
  flush();
  expectRows(t, {{1, "new", 10}, {2, "stale", 2}, {3, "same", 3}, {4, "more", 4}});
  commit("ended");
  expectRows(t, {{1, "new", 10}, {3, "same", 3}, {4, "more", 4}});
}

TEST_P(SinkContract, ABaselineOfNothingEmptiesTheTable) {
  const Shape t = users();
  start(t, {{1, "a", 1}, {2, "b", 2}});
  baselineBegin(t);
  baselineEnd(t);
  commit();
  expectRows(t, {});
}

TEST_P(SinkContract, ChangesAmongABaselineNameTheirRows) {
  const Shape t = users();
  start(t, {{1, "a", 1}, {2, "b", 2}, {3, "c", 3}, {4, "d", 4}, {5, "stale", 5}});
  baselineBegin(t);
  update(t, {1, "updated", 1});
  update(t, {2, nullptr, 20}, {1});
  insert(t, {6, "inserted", 6});
  erase(t, {3});
  commit("between");
  read(t, {4, "read", 4});
  read(t, {7, "read, then erased", 7});
  erase(t, {7});
  update(t, {8, nullptr, 8}, {1});  // its row is not there yet, and never comes
  baselineEnd(t);
  commit("ended");
  expectRows(t, {{1, "updated", 1}, {2, "b", 20}, {4, "read", 4}, {6, "inserted", 6}});
}

TEST_P(SinkContract, ABaselineGoesOnAfterACrash) {
  const Shape t = users();
  start(t, {{1, "old", 1}, {2, "stale", 2}, {3, "old", 3}});
  baselineBegin(t);
  read(t, {1, "read before the crash", 1});
  commit("half");
  read(t, {2, "read, and lost by the crash", 2});
  flush();
  EXPECT_EQ(crashAndOpen(), "half");
  prepare(t);
  read(t, {3, "read after it", 3});
  baselineEnd(t);
  commit("whole");
  expectRows(t, {{1, "read before the crash", 1}, {3, "read after it", 3}});
}

TEST_P(SinkContract, ABaselineOfAnEmptyTableGoesOnAfterACrash) {
  const Shape t = users();
  start(t, {});
  baselineBegin(t);
  read(t, {1, "a", 1});
  commit("half");
  EXPECT_EQ(crashAndOpen(), "half");
  prepare(t);
  insert(t, {2, "b", 2});
  read(t, {3, "c", 3});
  baselineEnd(t);
  commit("whole");
  expectRows(t, {{1, "a", 1}, {2, "b", 2}, {3, "c", 3}});
}

TEST_P(SinkContract, ABaselineThatBeginsAnewForgetsWhatTheFirstNamed) {
  const Shape t = users();
  start(t, {{1, "a", 1}, {2, "b", 2}, {3, "c", 3}});
  baselineBegin(t);
  read(t, {1, "named by the first only", 1});
  read(t, {2, "b", 2});
  commit("half");
  EXPECT_EQ(crashAndOpen(), "half");
  prepare(t);
  baselineBegin(t);
  read(t, {2, "named by the second", 2});
  baselineEnd(t);
  commit("whole");
  expectRows(t, {{2, "named by the second", 2}});
}

TEST_P(SinkContract, ARolledBackEndOrBeginDidNotHappen) {
  const Shape t = users();
  start(t, {{1, "a", 1}, {2, "b", 2}});
  baselineBegin(t);
  flush();
  sink->rollback();
  erase(t, {1});
  commit("no baseline");
  expectRows(t, {{2, "b", 2}});
  baselineBegin(t);
  read(t, {3, "c", 3});
  commit("half");
  read(t, {2, "named in what is rolled back", 2});
  baselineEnd(t);
  flush();
  sink->rollback();
  expectRows(t, {{2, "b", 2}, {3, "c", 3}});
  read(t, {4, "d", 4});
  baselineEnd(t);
  commit("whole");
  expectRows(t, {{3, "c", 3}, {4, "d", 4}});
}

TEST_P(SinkContract, ATruncateAmongABaselineTakesWhatWasRead) {
  const Shape t = users();
  start(t, {{1, "a", 1}, {2, "b", 2}});
  baselineBegin(t);
  read(t, {1, "a", 1});
  commit("half");
  truncate(t);
  insert(t, {3, "c", 3});
  commit("truncated");
  expectRows(t, {{3, "c", 3}});
  read(t, {4, "d", 4});
  baselineEnd(t);
  commit("whole");
  expectRows(t, {{3, "c", 3}, {4, "d", 4}});
}

TEST_P(SinkContract, AfterABaselineRowsStayThoughNothingNamesThem) {
  const Shape t = users();
  prepare(t);
  for (int round = 0; round < 2; ++round) {
    baselineBegin(t);
    read(t, {1, "a", round});
    read(t, {2, "b", round});
    baselineEnd(t);
    insert(t, {3, "c", round});
    commit();
    update(t, {1, "changed", round});
    commit();
    expectRows(t, {{1, "changed", round}, {2, "b", round}, {3, "c", round}});
  }
}

TEST_P(SinkContract, BaselinesOfSeveralTablesAtOnce) {
  const Shape t = users(), other = users("others"), third = users("thirds");
  for (const Shape& shape : {t, other, third}) {
    prepare(shape);
    insert(shape, {1, "a", 1});
    insert(shape, {2, "b", 2});
  }
  commit("start");
  baselineBegin(t);
  baselineBegin(other);
  read(t, {1, "t", 1});
  read(other, {2, "o", 2});
  commit("half");
  baselineEnd(other);
  read(t, {3, "t", 3});
  baselineEnd(t);
  commit("whole");
  expectRows(t, {{1, "t", 1}, {3, "t", 3}});
  expectRows(other, {{2, "o", 2}});
  expectRows(third, {{1, "a", 1}, {2, "b", 2}});
}

TEST_P(SinkContract, ABaselineNamesRowsByAllOfTheirKey) {
  const Shape t = shapeOf("parts",
                          {column("order", ValueKind::text, false), column("line", ValueKind::int64, false),
                           column("note", ValueKind::text)},
                          {"order", "line"});
  start(t, {{"a", 1, "x"}, {"a", 2, "x"}, {"b", 1, "x"}, {"", 0, "x"}});
  baselineBegin(t);
  read(t, {"a", 2, "y"});
  read(t, {"", 0, "y"});
  baselineEnd(t);
  commit();
  expectRows(t, {{"a", 2, "y"}, {"", 0, "y"}});
}

}  // namespace tidegate::contract
