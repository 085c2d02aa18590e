/// What every SyncSource must do. To check one of your own, write a SourceDatabase for what it reads (source_rig.h):
///
///     INSTANTIATE_TEST_SUITE_P(Mine, SyncSourceContract, testing::Values(SourceCase{
///         .name = "mine", .make = [] { return std::make_unique<MyDatabase>(); }, .can = {.seesTruncates = false}}),
///         sourceCaseName);
///
/// What a source cannot do is said in `SourceAbilities`; everything else is asked of it. TIDEGATE_SEED=n runs one seed
/// of the random histories, TIDEGATE_SEEDS=n that many.
#pragma once

#include <gtest/gtest.h>

#include <compare>

#include "contract/source_failures.h"
#include "contract/source_histories.h"
#include "contract/source_positions.h"
#include "contract/source_suite.h"

namespace tidegate::contract {

TEST_P(SyncSourceContract, ABaselineHasEveryRowBetweenItsBorders) {
  for (int id = 0; id < 250; ++id) model->insert(0, id);
  model->insert(1, 7);
  read();
  EXPECT_FALSE(wholeBaseline().empty());
  EXPECT_TRUE(reader->replica().tables() == model->tables());
  std::map<std::string, std::string> seen;  // per table: its ops in order
  for (const ChangeEvent& event : reader->events()) {
    if (event.op == ChangeOp::progress) continue;
    ASSERT_TRUE(event.shape);
    std::string& ops = seen[event.shape->schema.table];
    const char op = event.op == ChangeOp::baselineBegin ? '<' : event.op == ChangeOp::baselineEnd ? '>' : 'r';
    if (op != 'r') {
      EXPECT_TRUE(event.after.empty() && event.before.empty());
    }
    if (op == 'r') {
      EXPECT_EQ(event.op, ChangeOp::read);
    }
    ops.push_back(op);
  }
  EXPECT_EQ(seen[names[0]], '<' + std::string(250, 'r') + '>') << "each row once, between begin and end";
  EXPECT_EQ(seen[names[1]], "<r>");
}

TEST_P(SyncSourceContract, AnEmptyTableHasAnEmptyBaseline) {
  read();
  wholeBaseline();
  std::size_t borders = 0;
  for (const ChangeEvent& event : reader->events()) {
    if (event.op == ChangeOp::progress) continue;
    EXPECT_TRUE(event.op == ChangeOp::baselineBegin || event.op == ChangeOp::baselineEnd) << toString(event.op);
    ++borders;
  }
  EXPECT_EQ(borders, 4u) << "begin and end of each table: a sink empties its target by them";
}

TEST_P(SyncSourceContract, ChangesArriveAsTheyWereMade) {
  follow();
  model->insert(0, 1);
  awaitModel();
  model->update(0, 1);
  awaitModel();
  model->commit({{.op = SourceChange::Op::update, .id = 1, .row = {.name = "no amount", .amount = std::nullopt}}});
  awaitModel();
  if (!can.seesErases) return;
  model->erase(0, 1);
  awaitModel();
  if (!can.everyChange) return;
  std::string ops;
  for (const ChangeEvent& event : changesOf(*reader)) ops += std::string(toString(event.op)) + " ";
  EXPECT_EQ(ops, "insert update update erase ");
}

TEST_P(SyncSourceContract, ATruncateEmptiesItsTableOnly) {
  if (!can.seesTruncates) return;
  model->insert(0, 1);
  model->insert(1, 2);
  follow();
  model->insert(0, 3);
  model->commit({{.op = SourceChange::Op::truncate}});
  model->insert(0, 1);
  awaitModel();
  EXPECT_EQ(reader->replica().tables().at(names[1]).size(), 1u);
}

TEST_P(SyncSourceContract, OnlyTheTablesAskedForAreRead) {
  read();
  reader->start({names[0]}, reader->baseline({names[0]}));
  model->insert(1, 1);
  model->insert(0, 1);
  EXPECT_TRUE(reader->awaitTables({{names[0], model->tables()[names[0]]}}));
  for (const ChangeEvent& event : reader->events()) {
    if (event.op != ChangeOp::progress) {
      EXPECT_EQ(event.shape->schema.table, names[0]);
    }
  }
}

TEST_P(SyncSourceContract, ATransactionsEventsStandBetweenItsBorders) {
  if (!can.transactions) return;
  follow();
  std::vector<std::size_t> sizes{1, 3, 2, 150, 1};
  std::int64_t id = 0;
  for (const std::size_t size : sizes) {
    std::vector<SourceChange> changes;
    for (std::size_t i = 0; i < size; ++i) {
      changes.push_back({.table = i % 2, .id = id++, .row = model->freshRow()});
    }
    model->commit(changes);
  }
  awaitModel();
  std::vector<std::size_t> found;
  bool open = false;
  std::uint64_t transaction = 0;
  for (const ChangeEvent& event : changesOf(*reader)) {
    EXPECT_EQ(event.transactionBegin, !open) << "a transaction begins with its first event and no other";
    if (!open) found.push_back(0);
    if (open) {
      EXPECT_EQ(event.transactionId, transaction);
    }
    transaction = event.transactionId;
    ++found.back();
    open = !event.transactionEnd;
  }
  EXPECT_FALSE(open);
  EXPECT_EQ(found, sizes) << "whole transactions, in the order of their commits";
}

TEST_P(SyncSourceContract, ATableAddedLaterJoinsWithoutAGap) {
  model->insert(0, 1);
  model->insert(1, 1);
  read();
  reader->start({names[0]}, reader->baseline({names[0]}));
  model->update(0, 1);
  ASSERT_TRUE(reader->awaitTables({{names[0], model->tables()[names[0]]}}));
  reader->stop();
  const Position before = reader->events().back().position;
  // Changes of both tables that the stream has not seen; the second's are in its baseline already.
  model->update(0, 1);
  model->update(1, 1);
  const Position joined = reader->baseline({names[1]});
  ASSERT_FALSE(joined.empty());
  // As an engine does: what is at or before the place is in the baseline. Of places beside each other, as several
  // shards have them, nothing is known, and the event is taken.
  reader->setSkip([&, joined](const ChangeEvent& event) {
    return event.op != ChangeOp::progress && event.shape->schema.table == names[1] &&
           std::is_lteq(source->comparePositions(event.position, joined));
  });
  reader->start(names, before);
  model->update(1, 1);
  awaitModel();
  reader->stop();
}

TEST_P(SyncSourceContract, DescribesATableAsItsEventsDo) {
  model->insert(0, 1);
  follow();
  model->insert(0, 2);
  awaitModel();
  reader->stop();
  const Shape shape = source->describeTable(names[0]);
  ASSERT_TRUE(shape);
  EXPECT_EQ(shape->schema.table, names[0]);
  EXPECT_EQ(shape->schema.primaryKey, std::vector<std::string>{"id"});
  for (const ChangeEvent& event : reader->events()) {
    if (event.op != ChangeOp::progress && event.shape->schema.table == names[0]) {
      EXPECT_EQ(event.shape->columns->names(), shape->columns->names());
      EXPECT_EQ(event.shape->key, shape->key);
    }
  }
}

TEST_P(SyncSourceContract, ReadsATableAsItIsNow) {
  if (!can.readsTables) return;
  for (int id = 0; id < 20; ++id) model->insert(0, id);
  model->update(0, 5);
  makeSource();
  const Shape shape = source->describeTable(names[0]);
  const auto rows = source->readTable(names[0], {});
  ASSERT_TRUE(rows);
  SourceReplica replica(can);
  std::vector<Value> values;
  ChangeEvent event{.op = ChangeOp::baselineBegin, .shape = shape};
  replica.apply(event);
  event.op = ChangeOp::read;
  while (rows->next(values)) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      EXPECT_EQ((*rows->columns())[i], (*shape->columns)[i]) << "the columns stand as in its events";
    }
    event.after = values;
    replica.apply(event);
  }
  EXPECT_TRUE(replica.tables().at(names[0]) == model->tables()[names[0]]);
}

TEST_P(SyncSourceContract, ValidationFindsNoFaultWhereThereIsNone) {
  makeSource();
  for (const TableIssue& issue : source->validateTables(names)) {
    EXPECT_FALSE(issue.fatal) << issue.message;
  }
  for (const TableIssue& issue : source->validateTables({})) {
    EXPECT_FALSE(issue.fatal) << issue.message;
  }
}

TEST_P(SyncSourceContract, ValidationNamesEachFault) {
  const auto faulty = database->makeFaultyTables();
  makeSource();
  std::vector<std::string> asked = names;
  for (const auto& [table, code] : faulty) asked.push_back(table);
  asked.emplace_back("no_such_table");
  const std::vector<TableIssue> found = source->validateTables(asked);
  const auto has = [&](const std::string& table, ErrorCode code) {
    return std::any_of(found.begin(), found.end(), [&](const TableIssue& issue) {
      return issue.table == table && issue.code == code && issue.message.find(table) != std::string::npos;
    });
  };
  EXPECT_TRUE(has("no_such_table", ErrorCode::tableNotFound));
  for (const auto& [table, code] : faulty) {
    EXPECT_TRUE(has(table, code)) << table << ": " << toString(code);
  }
  for (const TableIssue& issue : found) {
    if (issue.table == names[0] || issue.table == names[1]) {
      EXPECT_FALSE(issue.fatal) << issue.message;
    }
  }
  try {
    source->describeTable("no_such_table");
    ADD_FAILURE() << "a table that is not there cannot be described";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::tableNotFound);
  }
}

}  // namespace tidegate::contract
