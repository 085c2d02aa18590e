#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "mysql/binlog_rig.h"
#include "tidegate/core/value.h"

namespace tidegate::mysql {
namespace {

class BinlogChanges : public BinlogTest {
 protected:
  void SetUp() override {
    BinlogTest::SetUp();
    execute(writer, {"CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20), b LONGTEXT, c INT DEFAULT 7)"});
  }
  static std::string rowOf(const ChangeEvent& event) {
    std::string text;
    for (const Value& value : event.after) text += (text.empty() ? "" : ",") + describe(value);
    return text;
  }
};

TEST_F(BinlogChanges, ATruncateIsOneEvent) {
  execute(writer, {"INSERT INTO t VALUES (1, 'a', 'b', 1)"});
  follow({kTable});
  execute(writer, {"TRUNCATE TABLE t", "INSERT INTO t VALUES (2, 'a', 'b', 1)", "TRUNCATE `binlog_test`.`t`"});
  EXPECT_EQ(opsOf(changes(3)), "truncate insert truncate");
}

TEST_F(BinlogChanges, AnUpdateTellsTheRowBefore) {
  execute(writer, {"INSERT INTO t VALUES (1, 'a', 'b', 1)"});
  follow({kTable});
  execute(writer, {"UPDATE t SET a = 'A' WHERE id = 1"});
  const ChangeEvent update = changes(1).at(0);
  EXPECT_EQ(describe(update.before.at(1)), "\"a\"");
  EXPECT_EQ(rowOf(update), "1,\"A\",\"b\",1");
  EXPECT_TRUE(update.beforeAbsent.empty() && update.unchanged.empty());
  EXPECT_EQ(update.transactionId != 0u, hasGtids());
  EXPECT_GT(update.commitMicros, 1'600'000'000'000'000);
}

TEST_F(BinlogChanges, AKeyThatChangesIsAnEraseAndAnInsert) {
  execute(writer, {"INSERT INTO t VALUES (1, 'a', 'b', 1)"});
  follow({kTable});
  execute(writer, {"UPDATE t SET id = 2 WHERE id = 1"});
  const auto seen = changes(2);
  ASSERT_EQ(opsOf(seen), "erase insert");
  EXPECT_EQ(describe(seen[0].before.at(0)), "1");
  EXPECT_EQ(rowOf(seen[1]), "2,\"a\",\"b\",1");
  EXPECT_TRUE(seen[0].transactionBegin && seen[1].transactionEnd && !seen[0].transactionEnd);
}

TEST_F(BinlogChanges, WhatWasRolledBackNeverComes) {
  follow({kTable});
  execute(writer, {"BEGIN", "INSERT INTO t VALUES (1, 'a', 'b', 1)", "ROLLBACK", "BEGIN",
                   "INSERT INTO t VALUES (2, 'a', 'b', 1)", "SAVEPOINT s", "INSERT INTO t VALUES (3, 'a', 'b', 1)",
                   "ROLLBACK TO s", "COMMIT", "BEGIN", "INSERT INTO t VALUES (4, 'a', 'b', 1)",
                   "CREATE TEMPORARY TABLE gone (id INT)", "ROLLBACK", "INSERT INTO t VALUES (5, 'a', 'b', 1)"});
  const auto seen = changes(2);
  ASSERT_EQ(opsOf(seen), "insert insert");
  EXPECT_EQ(describe(seen[0].after[0]) + describe(seen[1].after[0]), "25");
}

TEST_F(BinlogChanges, SmallRowImagesAreCompleted) {
  for (const char* image : {"MINIMAL", "NOBLOB"}) {
    SCOPED_TRACE(image);
    SetUp();
    execute(writer, {std::string("SET GLOBAL binlog_row_image = ") + image});
    QueryFn late = queryFn(testConnect());  // a session takes the image when it connects
    execute(late, {"USE binlog_test", "INSERT INTO t VALUES (1, 'a', 'large', 1)"});
    follow({kTable});
    execute(late,
            {"UPDATE t SET a = 'A' WHERE id = 1", "INSERT INTO t (id) VALUES (2)", "UPDATE t SET id = 3 WHERE id = 1"});
    changes(4);
    execute(late, {"DELETE FROM t WHERE id = 3"});
    const auto seen = changes(5);
    ASSERT_EQ(opsOf(seen), "update insert erase insert erase");
    EXPECT_EQ(describe(seen[0].after.at(1)), "\"A\"");
    EXPECT_EQ(std::count(seen[0].unchanged.begin(), seen[0].unchanged.end(), 2u), 1) << "the large text is not logged";
    EXPECT_EQ(rowOf(seen[1]), "2,null,null,7") << "what the statement left out";
    EXPECT_TRUE(seen[3].unchanged.empty());
    EXPECT_EQ(describe(seen[4].before.at(0)), "3");
    reader->stop();
  }
}

TEST_F(BinlogChanges, CompressedEventsAreRead) {
  execute(writer,
          {isMariaDb() ? "SET GLOBAL log_bin_compress = ON" : "SET GLOBAL binlog_transaction_compression = ON"});
  follow({kTable});
  execute(writer = queryFn(testConnect()), {"USE binlog_test"});  // a session takes the setting when it connects
  const std::string large(5'000, 'x');
  execute(writer, {"INSERT INTO t VALUES (1, 'a', '" + large + "', 1)", "UPDATE t SET a = 'A'", "DELETE FROM t",
                   "TRUNCATE TABLE t /* " + large + " */"});
  const auto seen = changes(4);
  ASSERT_EQ(opsOf(seen), "insert update erase truncate");
  EXPECT_EQ(seen[0].after.at(2), Value(large));
  EXPECT_EQ(seen[2].before.at(2), Value(large));
}

TEST_F(BinlogChanges, AnXaTransactionComesWhenItIsCommitted) {
  follow({kTable});
  execute(writer, {"XA START 'one', 'b', 3", "INSERT INTO t VALUES (1, 'a', 'b', 1)",
                   "INSERT INTO t VALUES (2, 'a', 'b', 1)", "XA END 'one', 'b', 3", "XA PREPARE 'one', 'b', 3"});
  QueryFn other = queryFn(testConnect());
  execute(other, {"USE binlog_test", "INSERT INTO t VALUES (3, 'a', 'b', 1)"});
  ASSERT_EQ(describe(changes(1).at(0).after[0]), "3");
  execute(writer, {"XA COMMIT 'one', 'b', 3"});
  const auto seen = changes(3);
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(describe(seen[1].after[0]) + describe(seen[2].after[0]), "12");
  EXPECT_TRUE(seen[1].transactionBegin && seen[2].transactionEnd);
}

TEST_F(BinlogChanges, AnXaTransactionThatIsRolledBackNeverComes) {
  follow({kTable});
  execute(writer, {"XA START 'two'", "INSERT INTO t VALUES (1, 'a', 'b', 1)", "XA END 'two'", "XA PREPARE 'two'",
                   "XA ROLLBACK 'two'", "XA START 'three'", "INSERT INTO t VALUES (2, 'a', 'b', 1)", "XA END 'three'",
                   "XA COMMIT 'three' ONE PHASE"});
  EXPECT_EQ(describe(changes(1).at(0).after[0]), "2");
}

TEST_F(BinlogChanges, APreparedTransactionIsReadAgainAfterARestart) {
  for (const PositionBy by : {PositionBy::gtid, PositionBy::file}) {
    if (by == PositionBy::gtid && !hasGtids()) continue;
    SetUp();
    SourceOptions options = quickOptions();
    options.positions = by;
    follow({kTable}, options);
    execute(writer, {"XA START 'kept'", "INSERT INTO t VALUES (1, 'a', 'b', 1)", "XA END 'kept'", "XA PREPARE 'kept'"});
    QueryFn other = queryFn(testConnect());
    execute(other, {"USE binlog_test", "INSERT INTO t VALUES (3, 'a', 'b', 1)"});
    const Position at = changes(1).at(0).position;
    EXPECT_NE(source->positionToText(at).find(";xa="), std::string::npos);
    reader->stop();
    makeSource(options);  // another process
    reader->start({kTable}, at);
    execute(writer, {"XA COMMIT 'kept'", "INSERT INTO t VALUES (4, 'a', 'b', 1)"});
    const auto seen = changes(2);
    ASSERT_EQ(opsOf(seen), "insert insert");
    EXPECT_EQ(describe(seen[0].after[0]) + describe(seen[1].after[0]), "14")
        << "and the row between does not come again";
    EXPECT_EQ(source->positionToText(seen[1].position).find(";xa="), std::string::npos);
    reader->stop();
  }
}

TEST_F(BinlogChanges, AnXaTransactionPreparedBeforeTheBaselineNeedsANewOne) {
  execute(writer, {"XA START 'old'", "INSERT INTO t VALUES (1, 'a', 'b', 1)", "XA END 'old'", "XA PREPARE 'old'"});
  follow({kTable});
  execute(writer, {"XA COMMIT 'old'"});
  const Error why = failure();
  EXPECT_EQ(why.code(), ErrorCode::positionLost) << why.what();
  EXPECT_EQ(why.retry(), Retry::afterOperator);
}

TEST_F(BinlogChanges, AStatementThatWasLoggedAsSuchIsAGap) {
  follow({kTable});
  execute(writer, {"SET SESSION binlog_format = STATEMENT", "INSERT INTO t VALUES (1, 'a', 'b', 1)"});
  const Error why = failure();
  EXPECT_EQ(why.code(), ErrorCode::positionLost) << why.what();
  EXPECT_NE(why.message().find("SET GLOBAL binlog_format = ROW"), std::string::npos);
}

}  // namespace
}  // namespace tidegate::mysql
