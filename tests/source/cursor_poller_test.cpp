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

}  // namespace
}  // namespace tidegate::test
