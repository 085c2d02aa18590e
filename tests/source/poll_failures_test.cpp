// What a poll that goes wrong must leave alone, and what it must say.
#include <gmock/gmock.h>

#include "source/source_rig.h"

namespace tidegate::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

IngestTableConfig cursorTable(CursorStrategy strategy = {.cursorColumn = "c"}) {
  return {.table = "t", .query = "SELECT * FROM t", .strategy = std::move(strategy)};
}
IngestTableConfig diffTable(DiffStrategy strategy = {}) {
  return {.table = "t", .query = "SELECT * FROM t", .strategy = strategy};
}

/// A source that answers every page question with the rows at hand, and no NULL cursors.
struct AnyRows : ScriptedSource {
  std::vector<std::string> columns{"id", "v", "c"};
  Rows rows;
  AnyRows() {
    answer = [this](const Query& q) {
      return resultOf(columns, q.sql.find("IS NULL") != std::string::npos ? Rows{} : rows);
    };
  }
};

class Refusal : public testing::TestWithParam<PushStatus> {};

TEST_P(Refusal, LeavesCursorAndStateWhereTheyWere) {
  AnyRows source;
  source.rows = {{1, "a", Timestamp::utc(1'000'000)}};
  PollRig rig(source.query(), cursorTable());
  rig.gateway.judge = [](const SyncPush&) { return GetParam(); };
  EXPECT_THAT(rig.pollBadly(), HasSubstr("the test says no"));
  EXPECT_FALSE(rig.state->get("poller/shop/t").has_value());
  rig.gateway.judge = [](const SyncPush&) { return PushStatus::accepted; };
  EXPECT_EQ(rig.pollWell().inserts, 1u);
  EXPECT_TRUE(rig.state->get("poller/shop/t").has_value());
  EXPECT_THAT(source.asked.at(1).sql, HasSubstr("IS NOT NULL")) << "the second poll must begin where the first did";
}

TEST_P(Refusal, LeavesTheSnapshotAsItWas) {
  AnyRows source;
  source.rows = {{1, "a", 1}, {2, "b", 2}};
  PollRig rig(source.query(), diffTable());
  rig.pollWell();
  source.rows = {{1, "changed", 1}, {3, "c", 3}};
  rig.gateway.judge = [](const SyncPush&) { return GetParam(); };
  rig.pollBadly();
  rig.gateway.judge = [](const SyncPush&) { return PushStatus::accepted; };
  const TableReport report = rig.pollWell();
  EXPECT_EQ(report.inserts, 1u);
  EXPECT_EQ(report.updates, 1u);
  EXPECT_EQ(report.erases, 1u);
}

INSTANTIATE_TEST_SUITE_P(Both, Refusal, testing::Values(PushStatus::rejected, PushStatus::backPressure));

TEST(PollFailures, APushThatThrowsLeavesTheCursor) {
  AnyRows source;
  source.rows = {{1, "a", 1}};
  PollRig rig(source.query(), cursorTable());
  rig.gateway.judge = [](const SyncPush&) -> PushStatus { throw std::runtime_error("password=hunter2 failed"); };
  EXPECT_THAT(rig.pollBadly(), AllOf(HasSubstr("source \"shop\", table \"t\""), testing::Not(HasSubstr("hunter2"))));
  EXPECT_FALSE(rig.state->get("poller/shop/t").has_value());
}

TEST(PollFailures, OneFailingTableLeavesTheOthersWork) {
  ScriptedSource source;
  source.answer = [](const Query& q) {
    if (q.sql.find("bad") != std::string::npos) throw Error(ErrorCode::tableNotFound, Retry::afterOperator, "no bad");
    return resultOf({"id", "v"}, {{1, "x"}});
  };
  PollRig rig({.name = "shop",
               .query = source.query(),
               .tables = {{.table = "a", .query = "SELECT * FROM a"},
                          {.table = "bad", .query = "SELECT * FROM bad"},
                          {.table = "z", .query = "SELECT * FROM z"}}});
  const PollReport report = rig.poll();
  EXPECT_FALSE(report.ok());
  EXPECT_EQ(report.consecutiveFailures, 1u);
  EXPECT_FALSE(report.tables.at(0).error.has_value());
  EXPECT_EQ(report.tables.at(1).error->code(), ErrorCode::tableNotFound);
  EXPECT_EQ(rig.gateway.tables.at("z").size(), 1u);
  EXPECT_EQ(rig.observer->reports.size(), 1u);
}

TEST(PollFailures, AMissingRowIdColumnIsAnErrorThatNamesIt) {
  AnyRows source;
  source.columns = {"key", "v", "c"};
  source.rows = {{1, "a", 1}, {2, "b", 2}};
  for (const IngestTableConfig& table : {cursorTable(), diffTable()}) {
    PollRig rig(source.query(), table);
    EXPECT_THAT(rig.pollBadly(), AllOf(HasSubstr("row id column \"id\""), HasSubstr("\"key\", \"v\", \"c\"")));
    EXPECT_TRUE(rig.gateway.log.empty());
  }
}

TEST(PollFailures, ANullRowIdIsAnErrorThatNamesColumnAndRow) {
  AnyRows source;
  source.columns = {"id", "region", "c"};
  source.rows = {{nullptr, "eu", 1}};
  for (IngestTableConfig table : {cursorTable(), diffTable()}) {
    table.rowIdColumns = {"region", "id"};
    PollRig rig(source.query(), table);
    EXPECT_THAT(rig.pollBadly(), AllOf(HasSubstr("row id column \"id\" is null"), HasSubstr("region = ")));
  }
}

TEST(PollFailures, ARepeatedRowIdChangesNothingAndNamesTheKey) {
  AnyRows source;
  source.rows = {{7, "a", 1}, {8, "b", 1}, {7, "c", 1}};
  PollRig rig(source.query(), diffTable());
  EXPECT_THAT(rig.pollBadly(), AllOf(HasSubstr("row id \"7\" of column \"id\""), HasSubstr("twice")));
  EXPECT_TRUE(rig.gateway.log.empty());
}

TEST(PollFailures, ATransientEmptyResultDeletesNothingAndSaysWhatToDo) {
  AnyRows source;
  for (int i = 0; i < 20; ++i) source.rows.push_back({i, "a", i});
  PollRig rig(source.query(), diffTable());
  rig.pollWell();
  const Rows all = source.rows;
  source.rows.clear();
  EXPECT_THAT(rig.pollBadly(),
              AllOf(HasSubstr("diffRefused"), HasSubstr("20 of 20 rows"), HasSubstr("maxDeleteFraction")));
  EXPECT_EQ(rig.rows().size(), 20u);
  source.rows = all;
  EXPECT_EQ(rig.pollWell().suppressed, 20u);
  EXPECT_EQ(rig.gateway.log.size(), 20u);
}

TEST(PollFailures, SmallTablesMayBeEmptied) {
  AnyRows source;
  source.rows = {{1, "a", 1}};
  PollRig rig(source.query(), diffTable());
  rig.pollWell();
  source.rows.clear();
  EXPECT_EQ(rig.pollWell().erases, 1u);
}

TEST(PollFailures, AQueryThatEndsHalfWayDeletesNothing) {
  AnyRows source;
  for (int i = 0; i < 5; ++i) source.rows.push_back({i, "a", i});
  PollRig rig(source.query(), diffTable({.maxDeleteFraction = 1.0}));
  rig.pollWell();
  source.rows[4] = {4, "short row"};  // fromRows refuses it: the answer fails as a whole
  rig.pollBadly();
  EXPECT_EQ(rig.rows().size(), 5u);
}

TEST(PollFailures, ACursorOfAnotherKindIsAnErrorThatNamesBoth) {
  AnyRows source;
  source.rows = {{1, "a", Timestamp::utc(1'000'000)}};
  PollRig rig(source.query(), cursorTable());
  rig.pollWell();
  source.rows.push_back({2, "b", "2024-01-01"});
  EXPECT_THAT(rig.pollBadly(),
              AllOf(HasSubstr("timestamp with zone"), HasSubstr("text as YYYY-MM-DD"), HasSubstr("\"c\"")));
  EXPECT_EQ(rig.gateway.log.size(), 1u);
}

TEST(PollFailures, AQueryFunctionThatIgnoresTheBoundsDoesNotLoopForEver) {
  AnyRows source;
  for (int i = 0; i < 3; ++i) source.rows.push_back({i, "a", Timestamp::utc(i)});
  PollRig rig(source.query(), cursorTable({.cursorColumn = "c", .pageRows = 3}));
  EXPECT_THAT(rig.pollBadly(), HasSubstr("ignores WHERE"));
}

TEST(PollFailures, ErrorsAreCountedInARowAndSuccessResets) {
  AnyRows source;
  source.rows = {{1, "a", 1}};
  PollRig rig(source.query(), cursorTable());
  rig.gateway.judge = [](const SyncPush&) { return PushStatus::backPressure; };
  rig.poll();
  EXPECT_EQ(rig.poll().consecutiveFailures, 2u);
  rig.gateway.judge = [](const SyncPush&) { return PushStatus::accepted; };
  EXPECT_EQ(rig.poll().consecutiveFailures, 0u);
}

TEST(PollFailures, AnObserverThatThrowsDoesNotStopThePoll) {
  struct Throwing final : PollObserver {
    void onPoll(const std::string&, const PollReport&) override { throw std::runtime_error("observer"); }
  };
  AnyRows source;
  source.rows = {{1, "a", 1}};
  PollRig rig(source.query(), cursorTable());
  HlcClock stamps(rig.clock);
  detail::PollRunner runner({.config = rig.config,
                             .stamps = stamps,
                             .push = rig.gateway.function(),
                             .clock = rig.clock,
                             .state = rig.state,
                             .snapshots = rig.snapshots,
                             .observer = std::make_shared<Throwing>()});
  detail::PollGuard guard;
  EXPECT_TRUE(runner.poll({guard, {}, rig.paused}, rig.silenced).ok());
}

TEST(PollFailures, ASavedStateThatDoesNotFitIsPutAsideWithAWarning) {
  AnyRows source;
  source.rows = {{1, "a", 1}};
  PollRig rig(source.query(), cursorTable());
  rig.pollWell();
  for (const char* broken : {"garbage", "TGPS\x01 but far too short to be a state"}) {
    rig.restart();
    rig.state->put("poller/shop/t", broken);
    EXPECT_EQ(rig.pollWell().inserts, 1u);
    EXPECT_THAT(rig.observer->warnings.back(), AllOf(HasSubstr("table \"t\""), HasSubstr("put aside")));
  }
  rig.restart();
  rig.config.tables[0].query = "SELECT * FROM t WHERE true";
  EXPECT_EQ(rig.pollWell().inserts, 1u);
  EXPECT_THAT(rig.observer->warnings.back(), HasSubstr("another query"));
}

TEST(PollFailures, ASnapshotOfOtherRowIdColumnsIsPutAside) {
  AnyRows source;
  source.rows = {{1, "a", 1}, {2, "b", 2}};
  PollRig rig(source.query(), diffTable());
  rig.pollWell();
  rig.restart();
  rig.config.tables[0].rowIdColumns = {"id", "v"};
  const TableReport report = rig.pollWell();
  EXPECT_EQ(report.inserts, 2u);
  EXPECT_EQ(report.erases, 0u);
  EXPECT_THAT(rig.observer->warnings.back(), HasSubstr("other row id columns"));
  EXPECT_EQ(rig.pollWell().suppressed, 2u);
}

}  // namespace
}  // namespace tidegate::test
