/// Part of sink_contract.h: units of work, checkpoints and fences.
#pragma once

#include "contract/sink_rig.h"

namespace tidegate::contract {

TEST_P(SinkContract, APipelineThatNeverCommittedHasNoCheckpoint) { EXPECT_EQ(opened, std::nullopt); }

TEST_P(SinkContract, NobodySeesAUnitBeforeItsCommitAndThenAllOfIt) {
  const Shape t = users(), other = users("others");
  start(t, {{1, "a", 1}, {2, "b", 2}});
  prepare(other);
  commit();
  insert(t, {3, "c", 3});
  erase(t, {1});
  flush();
  update(t, {2, "B", 2});
  insert(other, {1, "o", 1});
  flush();
  expectRows(t, {{1, "a", 1}, {2, "b", 2}});
  expectRows(other, {});
  commit();
  expectRows(t, {{2, "B", 2}, {3, "c", 3}});
  expectRows(other, {{1, "o", 1}});
}

TEST_P(SinkContract, RollbackUndoesWhatWasAppliedSinceTheCommit) {
  const Shape t = users();
  start(t, {{1, "a", 1}, {2, "b", 2}});
  insert(t, {3, "never", 3});
  erase(t, {1});
  update(t, {2, "never", 2});
  flush();
  sink->rollback();
  sink->rollback();
  update(t, {2, "b2", 2});
  commit("after");
  expectRows(t, {{1, "a", 1}, {2, "b2", 2}});
  truncate(t);
  flush();
  sink->rollback();
  expectRows(t, {{1, "a", 1}, {2, "b2", 2}});
  EXPECT_EQ(crashAndOpen(), "after");
}

TEST_P(SinkContract, ACrashLeavesTheLastCheckpointAndItsData) {
  const Shape t = users();
  start(t, {{1, "a", 1}});
  insert(t, {2, "b", 2});
  commit("second");
  insert(t, {3, "never", 3});
  erase(t, {1});
  flush();
  EXPECT_EQ(crashAndOpen(), "second");
  expectRows(t, {{1, "a", 1}, {2, "b", 2}});
  prepare(t);
  insert(t, {3, "c", 3});
  commit("third");
  sink->close();
  EXPECT_EQ(crashAndOpen(), "third");
  expectRows(t, {{1, "a", 1}, {2, "b", 2}, {3, "c", 3}});
}

TEST_P(SinkContract, TheSameSinkOpensAgainAfterAFailure) {
  const Shape t = users();
  start(t, {{1, "a", 1}});
  insert(t, {2, "never", 2});
  flush();
  EXPECT_EQ(sink->open({.pipeline = "p"}), "start");
  prepare(t);
  insert(t, {3, "c", 3});
  commit("next");
  sink->close();
  sink->close();
  EXPECT_EQ(sink->open({.pipeline = "p"}), "next");
  expectRows(t, {{1, "a", 1}, {3, "c", 3}});
}

TEST_P(SinkContract, TryCommitCommitsOrDoesNothing) {
  const Shape t = users();
  start(t, {{1, "a", 1}});
  insert(t, {2, "b", 2});
  flush();
  if (!sink->tryCommit("second")) {
    expectRows(t, {{1, "a", 1}});
    commit("second");
  }
  expectRows(t, {{1, "a", 1}, {2, "b", 2}});
  EXPECT_EQ(crashAndOpen(), "second");
}

TEST_P(SinkContract, ACommitWithoutChangesKeepsItsCheckpoint) {
  sink->commit("nothing happened up to here");
  EXPECT_EQ(crashAndOpen(), "nothing happened up to here");
  sink->commit("");
  EXPECT_EQ(crashAndOpen(), "");
}

TEST_P(SinkContract, ACheckpointMayBeLargeAndHoldAnyText) {
  std::string checkpoint(std::size_t{1} << 20, 'x');
  checkpoint.replace(0, 40, "zo\xC3\xAB '\"\\ ; DROP TABLE users; -- %s $1 ?\n\t");
  sink->commit(checkpoint);
  EXPECT_EQ(crashAndOpen(), checkpoint);
}

TEST_P(SinkContract, WhatWasAppliedTwiceIsThereOnce) {
  const Shape t = users();
  const auto changes = [&] {
    insert(t, {1, "a", 1});
    insert(t, {2, "b", 2});
    update(t, {1, "A", 1});
    erase(t, {2});
    insert(t, {3, "c", 3});
  };
  prepare(t);
  changes();
  commit("once");
  changes();
  commit("twice");
  expectRows(t, {{1, "A", 1}, {3, "c", 3}});
}

TEST_P(SinkContract, AFailedCommitLeavesTheCheckpointWhereItWas) {
  const Shape t = users();
  start(t, {{1, "a", 1}});
  insert(t, {2, "b", 2});
  erase(t, {1});
  flush();
  if (!target->breakNextCommit()) {
    commit("done");
    EXPECT_EQ(crashAndOpen(), "done");
    return;
  }
  const Error e = errorOf([&] { sink->commit("failed"); });
  const std::optional<std::string> checkpoint = sink->open({.pipeline = "p"});
  if (e.retry() != Retry::outcomeUnknown) {
    EXPECT_EQ(checkpoint, "start") << e.what();
  }
  if (can.atomicCommit && checkpoint == "start") expectRows(t, {{1, "a", 1}});
  prepare(t);
  insert(t, {2, "b", 2});
  erase(t, {1});
  commit("again");
  expectRows(t, {{2, "b", 2}});
  EXPECT_EQ(crashAndOpen(), "again");
}

TEST_P(SinkContract, ASecondWriterFencesTheFirstOff) {
  if (!can.fences) return;
  const Shape t = users();
  start(t, {{1, "a", 1}});
  const auto second = target->sink();
  EXPECT_EQ(second->open({.pipeline = "p"}), "start");
  const Error e = errorOf([&] {
    insert(t, {2, "of the first", 2});
    commit("of the first");
  });
  EXPECT_EQ(e.code(), ErrorCode::fenced) << e.what();
  EXPECT_EQ(e.retry(), Retry::afterOperator);
  expectRows(t, {{1, "a", 1}});
  second->prepareTable(t);
  batch.clear();
  insert(t, {3, "of the second", 3});
  second->apply(batch);
  second->commit("of the second");
  expectRows(t, {{1, "a", 1}, {3, "of the second", 3}});
}

TEST_P(SinkContract, AWriterWithAnOpenUnitIsFencedOrKeepsTheOtherOut) {
  if (!can.fences) return;
  const Shape t = users();
  start(t, {{1, "a", 1}});
  insert(t, {2, "of the first", 2});
  flush();
  const auto second = target->sink();
  std::optional<Error> kept;
  try {
    EXPECT_EQ(second->open({.pipeline = "p"}), "start");
  } catch (const Error& e) {
    kept = e;
  }
  if (kept) {  // the database has one writer at a time, and the first is it
    EXPECT_EQ(kept->retry(), Retry::later) << kept->what();
    commit("of the first");
    expectRows(t, {{1, "a", 1}, {2, "of the first", 2}});
    EXPECT_EQ(second->open({.pipeline = "p"}), "of the first");
    EXPECT_EQ(errorOf([&] { sink->commit("again"); }).code(), ErrorCode::fenced);
  } else {
    EXPECT_EQ(errorOf([&] { commit("of the first"); }).code(), ErrorCode::fenced);
    expectRows(t, {{1, "a", 1}});
  }
}

TEST_P(SinkContract, PipelinesInOneTargetDoNotTouchEachOther) {
  if (!can.severalPipelines) return;
  const Shape t = users(), other = users("others");
  start(t, {{1, "a", 1}});
  const auto second = target->sink();
  EXPECT_EQ(second->open({.pipeline = "q"}), std::nullopt);
  second->prepareTable(other);
  insert(other, {1, "of q", 1});
  baselineBegin(other);
  read(other, {2, "of q", 2});
  baselineEnd(other);
  second->apply(batch);
  batch.clear();
  second->commit("place of q");
  insert(t, {2, "b", 2});
  commit("place of p");
  second->close();
  EXPECT_EQ(crashAndOpen(), "place of p");
  EXPECT_EQ(second->open({.pipeline = "q"}), "place of q");
  expectRows(t, {{1, "a", 1}, {2, "b", 2}});
  expectRows(other, {{2, "of q", 2}});
}

}  // namespace tidegate::contract
