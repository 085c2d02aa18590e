// Row images that leave columns out (binlog_row_image): they are read from the table, as it is by then.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "mysql/binlog_rig.h"
#include "tidegate/core/value.h"

namespace tidegate::mysql {
namespace {

class SmallImages : public BinlogTest {
 protected:
  void SetUp() override {
    BinlogTest::SetUp();
    execute(writer, {"SET GLOBAL binlog_row_image = MINIMAL"});
    writer = queryFn(testConnect());  // a session takes the image when it connects
    execute(writer,
            {"USE binlog_test",
             "CREATE TABLE t (id INT PRIMARY KEY, a INT NOT NULL DEFAULT 5, b VARCHAR(5) NOT NULL DEFAULT 'x')"});
  }
  void TearDown() override {
    if (isMariaDb()) execute(writer, {"SET GLOBAL rpl_semi_sync_master_enabled = OFF"});
    BinlogTest::TearDown();
  }
  /// Follows t from here on, and reads what the statements log only when all of them have been run.
  void lateAfter(const std::vector<std::string>& statements) {
    makeSource();
    const Position at = reader->baseline({kTable});
    execute(writer, statements);
    reader->start({kTable}, at);
  }
  static std::string rowOf(const std::vector<Value>& row) {
    std::string text;
    for (const Value& value : row) text += (text.empty() ? "" : ",") + describe(value);
    return text;
  }
  /// "insert 1,5,x" for each; an erase by its key.
  static std::string textOf(const std::vector<ChangeEvent>& seen) {
    std::string text;
    for (const ChangeEvent& event : seen) {
      text += (text.empty() ? "" : "; ") + std::string(toString(event.op));
      if (event.op == ChangeOp::erase) text += " " + describe(event.before.at(0));
      if (!event.after.empty()) text += " " + rowOf(event.after);
    }
    return text;
  }
};

TEST_F(SmallImages, ARowThatIsGoneByNowIsNotTold) {
  lateAfter({"INSERT INTO t (id) VALUES (1)", "DELETE FROM t WHERE id = 1", "INSERT INTO t (id) VALUES (2)"});
  EXPECT_EQ(textOf(changes(2)), R"(erase 1; insert 2,5,"x")");
}

TEST_F(SmallImages, NorIsOneWhoseTableWasEmptiedOrDropped) {
  lateAfter({"INSERT INTO t (id) VALUES (1)", "TRUNCATE TABLE t", "INSERT INTO t (id) VALUES (2)"});
  EXPECT_EQ(textOf(changes(2)), R"(truncate; insert 2,5,"x")");
  reader->stop();
  lateAfter({"INSERT INTO t (id) VALUES (3)", "DROP TABLE t", "CREATE TABLE t (id INT PRIMARY KEY)",
             "INSERT INTO t VALUES (4)"});
  const auto seen = changes(2);
  EXPECT_EQ(opsOf(seen).substr(0, 8), "truncate") << textOf(seen);
  EXPECT_EQ(textOf({seen.back()}), "insert 4");
}

TEST_F(SmallImages, ARowThatChangesItsKeyAgainAndAgainComesUnderItsLastOne) {
  lateAfter({"INSERT INTO t (id, b) VALUES (1, 'one')", "UPDATE t SET id = 2", "UPDATE t SET a = 6",
             "UPDATE t SET id = 3", "UPDATE t SET id = 4", "INSERT INTO t (id) VALUES (9)"});
  EXPECT_EQ(textOf(changes(6)), R"(erase 1; update 2,6,null; erase 2; erase 3; insert 4,6,"one"; insert 9,5,"x")");
}

TEST_F(SmallImages, OneThatEndsInTheSameTransactionIsNotTold) {
  lateAfter({"BEGIN", "INSERT INTO t (id) VALUES (1)", "UPDATE t SET id = 2 WHERE id = 1", "DELETE FROM t WHERE id = 2",
             "INSERT INTO t (id) VALUES (3)", "COMMIT"});
  const auto seen = changes(3);
  EXPECT_EQ(textOf(seen), R"(erase 1; erase 2; insert 3,5,"x")");
  EXPECT_TRUE(seen.front().transactionBegin && seen.back().transactionEnd);
}

TEST_F(SmallImages, AColumnThatIsGoneTakesNoOtherAlong) {
  lateAfter({"INSERT INTO t (id) VALUES (1)", "ALTER TABLE t DROP COLUMN a"});
  const auto seen = changes(2);
  ASSERT_EQ(opsOf(seen), "insert schemaChange");
  EXPECT_EQ(rowOf(seen[0].after), R"(1,0,"x")") << "what it was nobody knows, and null it may not be";
  EXPECT_EQ(seen[1].shape->columns->size(), 2u);
}

TEST_F(SmallImages, AColumnThatIsRenamedIsReadWithTheTable) {
  lateAfter({"INSERT INTO t (id) VALUES (1)", "ALTER TABLE t RENAME COLUMN a TO c"});
  const auto seen = changes(2);
  ASSERT_EQ(opsOf(seen), "insert schemaChange");
  EXPECT_TRUE(seen[1].schemaChange->rowsChanged);
  reader->stop();
  lateAfter({"INSERT INTO t (id) VALUES (2)", "ALTER TABLE t RENAME COLUMN id TO k", "INSERT INTO t (k) VALUES (3)"});
  const auto more = changes(2);
  EXPECT_EQ(opsOf(more), "schemaChange insert");
  EXPECT_TRUE(more[0].schemaChange->rowsChanged) << "a row whose key has another name comes with it";
}

/// A commit that waits for a replica is in the binlog before other sessions see it.
TEST_F(SmallImages, ARowThatIsToldBeforeItIsSeenIsWaitedFor) {
  if (!isMariaDb()) GTEST_SKIP() << "MySQL's has another name";
  follow({kTable});
  execute(writer, {"SET GLOBAL rpl_semi_sync_master_wait_point = AFTER_SYNC",
                   "SET GLOBAL rpl_semi_sync_master_timeout = 1500", "SET GLOBAL rpl_semi_sync_master_enabled = ON"});
  std::thread waits([] {
    const QueryFn db = queryFn(testConnect());
    execute(db, {"INSERT INTO binlog_test.t (id) VALUES (1)"});
  });
  EXPECT_EQ(textOf(changes(1)), R"(insert 1,5,"x")");
  waits.join();
}

TEST_F(SmallImages, ATransactionThatHoldsTheRowIsWaitedForAndSaid) {
  makeSource();
  const Position at = reader->baseline({kTable});
  execute(writer, {"INSERT INTO t (id) VALUES (1)", "BEGIN", "UPDATE t SET a = 6 WHERE id = 1"});
  reader->start({kTable}, at);
  EXPECT_TRUE(servers::eventually([&] {
    const std::lock_guard lock(warningsMutex);
    return std::any_of(warnings.begin(), warnings.end(), [](const std::string& text) {
      return text.find("holds a row of binlog_test.t") != std::string::npos;
    });
  }));
  execute(writer, {"COMMIT"});
  EXPECT_EQ(textOf(changes(2)), R"(insert 1,6,"x"; update 1,6,null)");
}

TEST_F(SmallImages, RowsAreFoundByKeysOfEveryType) {
  struct Key {
    const char *type, *values;
  };
  const std::vector<Key> keys{
      {"TINYINT", "(-128), (0), (127)"},
      {"BIGINT UNSIGNED", "(18446744073709551615), (0)"},
      {"DECIMAL(20,5)", "(-0.00001), (123456789012345.12345)"},
      {"FLOAT", "(0.1), (-1.5e-10), (3.4e38)"},
      {"DOUBLE", "(0.1), (-1.7976931348623157e308), (5e-324)"},
      {"BIT(9)", "(b'100000001'), (b'0')"},
      {"YEAR", "(1901), (0), (2155)"},
      {"DATE", "('0001-01-01'), ('9999-12-31'), ('0000-00-00')"},
      {"TIME(6)", "('-838:59:58.999999'), ('00:00:00'), ('12:34:56.5')"},
      {"DATETIME(3)", "('1000-01-01 00:00:00.001'), ('9999-12-31 23:59:59.999')"},
      {"TIMESTAMP(6)", "('1970-01-01 00:00:01'), ('2038-01-19 03:14:07.999999')"},
      {"VARCHAR(20)", "('it''s'), ('\\\\'), (''), ('ä🦉'), ('tab\\t')"},
      {"CHAR(5) CHARACTER SET latin1", "('€äö'), ('a ')"},
      {"VARCHAR(9) CHARACTER SET sjis", "('日本'), ('C:\\\\~')"},
      {"VARCHAR(9) CHARACTER SET utf16 COLLATE utf16_bin", "('日本'), ('a')"},
      {"VARBINARY(9)", "(x'00ff'), (x'')"},
      {"BINARY(4)", "(x'00'), (x'ff000000')"},
      {"ENUM('a', 'it''s')", "('a'), ('it''s')"},
      {"SET('a', 'b', 'c')", "('a,c'), ('')"},
  };
  for (const Key& key : keys) {
    SCOPED_TRACE(key.type);
    execute(writer, {"DROP TABLE t", std::string("CREATE TABLE t (k ") + key.type + " PRIMARY KEY, v INT DEFAULT 7)",
                     "SET SESSION sql_mode = 'ALLOW_INVALID_DATES'", "SET SESSION time_zone = '+00:00'"});
    follow({kTable});
    execute(writer, {std::string("INSERT INTO t (k) VALUES ") + key.values});
    const std::size_t rows = readAll(writer, "SELECT v FROM t").size();
    for (const ChangeEvent& event : changes(rows)) EXPECT_EQ(describe(event.after.at(1)), "7") << rowOf(event.after);
    reader->stop();
  }
}

}  // namespace
}  // namespace tidegate::mysql
