#include <gmock/gmock.h>

#include "source/source_rig.h"

namespace tidegate::test {
namespace {

using testing::HasSubstr;

IngestTableConfig users(CursorStrategy strategy = {.cursorColumn = "updated_at"}) {
  return {.table = "users", .query = "SELECT * FROM users", .strategy = std::move(strategy)};
}

struct UserTable : SqlSource {
  UserTable() { run("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, updated_at)"); }
  void put(int id, const std::string& name, const Value& cursor) const {
    run("INSERT INTO users VALUES (?, ?, ?) ON CONFLICT(id) DO UPDATE SET name=excluded.name, "
        "updated_at=excluded.updated_at",
        {id, name, cursor});
  }
};

TEST(CursorPoller, PushesEveryRowAsAnInsertWithoutItsRowIdColumn) {
  UserTable source;
  source.put(7, "Ada", "2024-05-01 10:00:00");
  PollRig rig(source.query, users());
  const TableReport report = rig.pollWell();
  EXPECT_EQ(report.rowsRead, 1u);
  EXPECT_EQ(report.inserts, 1u);
  EXPECT_EQ(report.applied, 1u);
  ASSERT_EQ(rig.gateway.log.size(), 1u);
  const RowDelta& delta = rig.gateway.log[0];
  EXPECT_EQ(delta.op, DeltaOp::insert);
  EXPECT_EQ(delta.rowId, "7");
  EXPECT_EQ(delta.clientId, "ingest:shop");
  const std::vector<ColumnValue> expected{{"name", "Ada"}, {"updated_at", "2024-05-01 10:00:00"}};
  EXPECT_EQ(delta.columns, expected);
}

TEST(CursorPoller, ReReadsTheLookbackWindowSilently) {
  UserTable source;
  for (int i = 0; i < 20; ++i) source.put(i, "u", fmt::format("2024-05-01 10:00:{:02}", i));
  PollRig rig(source.query, users());
  rig.pollWell();
  const TableReport again = rig.pollWell();
  EXPECT_EQ(again.rowsRead, 6u);  // :14 to :19, the window's start included
  EXPECT_EQ(again.suppressed, 6u);
  EXPECT_EQ(again.inserts, 0u);
  EXPECT_EQ(rig.gateway.log.size(), 20u);
}

TEST(CursorPoller, FindsATransactionThatCommitsLateWithinTheLookback) {
  UserTable source;
  source.put(1, "first", "2024-05-01 10:00:10");
  PollRig rig(source.query, users());
  rig.pollWell();
  source.put(2, "late", "2024-05-01 10:00:06");
  EXPECT_EQ(rig.pollWell().inserts, 1u);
  EXPECT_EQ(rig.rows().count("2"), 1u);
}

TEST(CursorPoller, APollThatEndsEarlyMovesTheWindowNoFurtherThanItRead) {
  UserTable source;
  const auto at = [](int second) { return fmt::format("2024-05-01 10:00:{:02}", second); };
  for (const int second : {9, 10, 11, 13}) source.put(second, "early", at(second));
  int question = 0;
  PollRig* poller = nullptr;
  QueryFn query(Dialect::sqlite, [&](const Query& q) {
    if (++question == 4) {  // the third page of the first poll comes late: page, newest cursor, page, page, nulls
      source.put(12, "late", at(12));
      source.put(30, "newest", at(30));
      poller->clock.advance(std::chrono::seconds(20));
    }
    if (question == 8) throw std::runtime_error("no answer");  // the second page of the second
    return source.query(q);
  });
  PollRig rig(query, users({.cursorColumn = "updated_at", .pageRows = 2}));
  poller = &rig;
  EXPECT_EQ(rig.pollWell().inserts, 5u);
  rig.pollBadly();
  rig.pollWell();
  EXPECT_EQ(rig.rows().count("12"), 1u);
}

/// A thousand users with times, and how often they were asked for.
struct StreamedUsers {
  UserTable source;
  std::size_t pages = 0;
  QueryFn query{Dialect::sqlite,
                [this](const Query& q) {
                  pages += q.sql.find("SELECT *") == 0 && q.sql.find("IS NULL") == std::string::npos;
                  return source.query(q);
                },
                Delivery::streamed};
  StreamedUsers() {
    for (int i = 0; i < 1'000; ++i) source.put(i, "u", fmt::format("2024-05-01 {:02}:{:02}:00", 1 + i / 60, i % 60));
  }
};

TEST(CursorPoller, ACatchUpIsAskedForTwiceWhereTheQueryFunctionStreams) {
  StreamedUsers streamed;
  PollRig rig(streamed.query, users({.cursorColumn = "updated_at", .pageRows = 10}));
  EXPECT_EQ(rig.pollWell().inserts, 1'000u);
  EXPECT_EQ(rig.gateway.pushes, 100u);
  EXPECT_EQ(streamed.pages, 2u) << "one page, then the rest";
  EXPECT_EQ(rig.pollWell().inserts, 0u);
}

TEST(CursorPoller, AStreamIsReadForHalfTheQueryTimeoutAndThenAskedForAnew) {
  StreamedUsers streamed;
  PollRig rig(streamed.query, users({.cursorColumn = "updated_at", .pageRows = 10}));
  rig.config.queryTimeout = std::chrono::seconds(2);
  rig.gateway.judge = [&](const SyncPush&) {
    rig.clock.advance(std::chrono::milliseconds(100));
    return PushStatus::accepted;
  };
  EXPECT_EQ(rig.pollWell().inserts, 1'000u);
  EXPECT_EQ(streamed.pages, 11u) << "one page of 10, nine streams of 110, and one that finds nothing more";
}

TEST(CursorPoller, APauseEndsAStreamAfterItsNextPushAndTheNextPollGoesOn) {
  StreamedUsers streamed;
  PollRig rig(streamed.query, users({.cursorColumn = "updated_at", .pageRows = 10}));
  rig.gateway.judge = [&](const SyncPush&) {
    rig.paused = rig.gateway.pushes == 49;
    return PushStatus::accepted;
  };
  EXPECT_EQ(rig.pollWell().inserts, 500u);
  rig.paused = false;
  EXPECT_EQ(rig.pollWell().inserts, 501u) << "no fingerprints are kept in the middle of a catch-up";
  EXPECT_EQ(rig.gateway.changes, 1'000u);
}

TEST(CursorPoller, NullCursorsAreReadButNotRefetchedAsChanges) {
  UserTable source;
  source.put(1, "a", nullptr);
  source.put(2, "b", nullptr);
  PollRig rig(source.query, users());
  EXPECT_EQ(rig.pollWell().nullCursorRows, 2u);
  const TableReport again = rig.pollWell();
  EXPECT_EQ(again.suppressed, 2u);
  source.put(2, "changed", nullptr);
  EXPECT_EQ(rig.pollWell().inserts, 1u);
  EXPECT_EQ(rig.gateway.log.size(), 3u);
}

TEST(CursorPoller, NullCursorsMayBeSkippedAndAreThenCounted) {
  UserTable source;
  source.put(1, "a", nullptr);
  PollRig rig(source.query, users({.cursorColumn = "updated_at", .nullCursors = NullCursors::skip}));
  const TableReport report = rig.pollWell();
  EXPECT_EQ(report.nullCursorRows, 1u);
  EXPECT_EQ(report.inserts, 0u);
}

TEST(CursorPoller, NoMillisecondsAreSubtractedFromAnIntegerCursor) {
  UserTable source;
  for (int i = 1; i <= 100; ++i) source.put(i, "u", 1'000'000 + i);
  PollRig rig(source.query, users({.cursorColumn = "updated_at", .lookbackRows = 10}));
  rig.pollWell();
  EXPECT_EQ(rig.pollWell().rowsRead, 10u);
}

TEST(CursorPoller, TheCursorNeverGoesBackWhenTheNewestRowsAreDeleted) {
  UserTable source;
  for (int i = 0; i < 10; ++i) source.put(i, "u", fmt::format("2024-05-01 10:0{}:00", i));
  PollRig rig(source.query, users());
  rig.pollWell();
  source.run("DELETE FROM users WHERE id >= 5");
  rig.pollWell();
  EXPECT_EQ(rig.pollWell().rowsRead, 0u);
  source.put(20, "old", "2024-05-01 10:05:00");
  EXPECT_EQ(rig.pollWell().rowsRead, 0u);
}

TEST(CursorPoller, TiesAtAPagesBorderAreNeitherSkippedNorLoopedOn) {
  UserTable source;
  for (int i = 0; i < 23; ++i) source.put(i, "u", "2024-05-01 10:00:00");
  PollRig rig(source.query, users({.cursorColumn = "updated_at", .pageRows = 5}));
  EXPECT_EQ(rig.pollWell().inserts, 23u);
  EXPECT_EQ(rig.gateway.pushes, 5u);
  EXPECT_EQ(rig.pollWell().suppressed, 23u);
}

TEST(CursorPoller, CompositeRowIdsPageWithoutLossAndNeverMeet) {
  SqlSource source;
  source.run("CREATE TABLE t (a TEXT, b TEXT, c INTEGER, PRIMARY KEY (a, b))");
  for (int i = 0; i < 30; ++i) {
    source.run("INSERT INTO t VALUES (?, ?, ?)", {fmt::format("k{}", i % 3), fmt::format("{}", i), i / 10});
  }
  source.run("INSERT INTO t VALUES ('a:b', 'c', 1), ('a', 'b:c', 1)");
  PollRig rig(source.query, {.table = "t",
                             .query = "SELECT * FROM t",
                             .rowIdColumns = {"a", "b"},
                             .strategy = CursorStrategy{.cursorColumn = "c", .pageRows = 4}});
  rig.pollWell();
  EXPECT_EQ(rig.rows().size(), 32u);
  EXPECT_EQ(rig.rows().count("[\"a:b\",\"c\"]"), 1u);
}

TEST(CursorPoller, ARestartFromItsStateReadsTheWindowOnlyAndSilently) {
  UserTable source;
  for (int i = 0; i < 50; ++i) source.put(i, "u", fmt::format("2024-05-01T10:00:{:02}Z", i));
  PollRig rig(source.query, users());
  rig.pollWell();
  rig.restart();
  const TableReport again = rig.pollWell();
  EXPECT_EQ(again.rowsRead, 6u);
  EXPECT_EQ(again.inserts, 0u);
}

TEST(CursorPoller, AColumnThatAppearsInTheSourceIsPushedWithTheRowsRead) {
  UserTable source;
  source.put(1, "a", "2024-05-01 10:00:00");
  PollRig rig(source.query, users());
  rig.pollWell();
  source.run("ALTER TABLE users ADD COLUMN extra TEXT DEFAULT 'new'");
  EXPECT_EQ(rig.pollWell().inserts, 1u);
  EXPECT_TRUE(rig.rows().at("1").at("extra") == Value("new"));
}

TEST(CursorPoller, LagIsNowMinusTheNewestCursorWhereThatIsATime) {
  UserTable source;
  PollRig rig(source.query, users());
  source.put(1, "a", toIso(Timestamp::utc(rig.clock.wallNow().count() - 3'000'000)));
  EXPECT_EQ(rig.pollWell().lag, std::chrono::milliseconds(3'000));
  UserTable counted;
  counted.put(1, "a", 17);
  PollRig other(counted.query, users());
  EXPECT_EQ(other.pollWell().lag, std::nullopt);
}

TEST(CursorPoller, AHundredThousandRowsComeInPagesWithProgressAndASmallState) {
  SqlSource source;
  source.run("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, updated_at TEXT)");
  source.run(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) INSERT INTO users SELECT i, "
      "'user ' || i, datetime(1700000000 + i, 'unixepoch') FROM n");
  source.run("CREATE INDEX users_updated_at ON users (updated_at, id)");
  PollRig rig(source.query, users());
  EXPECT_EQ(rig.pollWell().inserts, 100'000u);
  EXPECT_EQ(rig.observer->progress.size(), 20u);
  EXPECT_LE(rig.gateway.largestPush, 5'000u);
  EXPECT_LT(rig.state->get("poller/shop/users")->size(), 1'000u) << "the window holds six rows";
}

}  // namespace
}  // namespace tidegate::test
