#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "mysql/binlog_rig.h"
#include "tidegate/core/value.h"

namespace tidegate::mysql {
namespace {

class BinlogSchemas : public BinlogTest {
 protected:
  void SetUp() override {
    BinlogTest::SetUp();
    execute(writer, {"CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20), b INT)", "INSERT INTO t VALUES (1, 'a', 1)"});
  }
  static std::string columnsOf(const ChangeEvent& event) {
    std::string text;
    for (const std::string& name : event.shape->columns->names()) text += (text.empty() ? "" : ",") + name;
    return text;
  }
};

TEST_F(BinlogSchemas, AnAddedColumnIsASchemaChangeBeforeItsRows) {
  follow({kTable});
  execute(writer, {"ALTER TABLE t ADD COLUMN c INT", "INSERT INTO t VALUES (2, 'b', 2, 3)"});
  const auto seen = changes(2);
  ASSERT_EQ(opsOf(seen), "schemaChange insert");
  EXPECT_EQ(columnsOf(seen[0]), "id,a,b,c");
  EXPECT_EQ(seen[0].schemaChange->before->columns->size(), 3u);
  EXPECT_FALSE(seen[0].schemaChange->rowsChanged) << "the old rows read null there";
  EXPECT_EQ(seen[1].shape, seen[0].shape);
}

TEST_F(BinlogSchemas, RowsThatGotOtherValuesAreSaidToHaveChanged) {
  const std::vector<std::string> alterations{"ADD COLUMN d INT DEFAULT 5",
                                             "ADD COLUMN e INT NOT NULL",
                                             "MODIFY b VARCHAR(10)",
                                             "CHANGE b renamed INT",
                                             "RENAME COLUMN renamed TO b",
                                             "MODIFY a VARCHAR(10)",
                                             "ADD COLUMN f INT AS (id + 1) STORED"};
  for (const std::string& alteration : alterations) {
    SCOPED_TRACE(alteration);
    if (alteration == "RENAME COLUMN renamed TO b") execute(writer, {"ALTER TABLE t CHANGE b renamed INT"});
    follow({kTable});
    execute(writer, {"ALTER TABLE t " + alteration});
    const auto seen = changes(1);
    ASSERT_EQ(opsOf(seen), "schemaChange");
    EXPECT_TRUE(seen[0].schemaChange->rowsChanged);
    reader->stop();
    SetUp();
  }
}

TEST_F(BinlogSchemas, WhatChangesNoValueSaysSo) {
  for (const std::string& alteration :
       {std::string("MODIFY a VARCHAR(200)"), std::string("MODIFY b BIGINT"), std::string("DROP COLUMN b")}) {
    SCOPED_TRACE(alteration);
    follow({kTable});
    execute(writer, {"ALTER TABLE t " + alteration});
    const auto seen = changes(1);
    ASSERT_EQ(opsOf(seen), "schemaChange");
    EXPECT_FALSE(seen[0].schemaChange->rowsChanged);
    reader->stop();
    SetUp();
  }
}

TEST_F(BinlogSchemas, AnIndexIsNoSchemaChange) {
  follow({kTable});
  execute(writer, {"ALTER TABLE t ADD INDEX (b)", "CREATE INDEX more ON t (a)", "INSERT INTO t VALUES (2, 'b', 2)"});
  EXPECT_EQ(opsOf(changes(1)), "insert");
}

TEST_F(BinlogSchemas, OldRowsAreReadWithTheColumnsOfTheirTime) {
  makeSource();
  const Position at = reader->baseline({kTable});
  execute(writer, {"INSERT INTO t VALUES (2, 'old', 2)", "ALTER TABLE t DROP COLUMN a",
                   "ALTER TABLE t ADD COLUMN z INT FIRST", "INSERT INTO t (id, b, z) VALUES (3, 3, 9)"});
  reader->start({kTable}, at);
  const auto seen = changes(3);
  ASSERT_GE(seen.size(), 3u);
  EXPECT_EQ(opsOf({seen[0]}), "insert");
  EXPECT_EQ(columnsOf(seen[0]), "id,a,b");
  EXPECT_EQ(columnsOf(seen.back()), "z,id,b");
  EXPECT_EQ(describe(seen.back().after.at(0)), "9");
}

TEST_F(BinlogSchemas, WithoutMetadataARowOfAnotherTimeNeedsANewBaseline) {
  execute(writer,
          {isMariaDb() ? "SET GLOBAL binlog_row_metadata = NO_LOG" : "SET GLOBAL binlog_row_metadata = MINIMAL"});
  makeSource();
  const Position at = reader->baseline({kTable});
  execute(writer,
          {"ALTER TABLE t ADD COLUMN c INT", "INSERT INTO t VALUES (2, 'b', 2, 3)", "ALTER TABLE t DROP COLUMN b"});
  makeSource();  // another process, which was told nothing
  reader->start({kTable}, at);
  const Error why = failure();
  EXPECT_EQ(why.code(), ErrorCode::positionLost) << why.what();
  EXPECT_NE(why.message().find("binlog_row_metadata = FULL"), std::string::npos);
}

/// Between the two, rows are read with the columns that the table has by now.
TEST_F(BinlogSchemas, WithoutMetadataAlterationsThatAreReadLateSayThatRowsChanged) {
  for (const char* metadata : {"NO_LOG", "MINIMAL"}) {
    SCOPED_TRACE(metadata);
    SetUp();
    execute(writer, {std::string("SET GLOBAL binlog_row_metadata = ") + metadata,
                     "CREATE TABLE n (id INT PRIMARY KEY, x INT, y INT)"});
    makeSource();
    const Position at = reader->baseline({"binlog_test.n"});
    execute(writer, {"ALTER TABLE n MODIFY x INT AFTER y", "INSERT INTO n (id, x, y) VALUES (2, 30, 40)",
                     "ALTER TABLE n MODIFY x INT AFTER id", "INSERT INTO n (id, x, y) VALUES (3, 50, 60)"});
    reader->start({"binlog_test.n"}, at);
    const auto seen = changes(3);
    ASSERT_EQ(opsOf(seen), "insert schemaChange insert");
    EXPECT_TRUE(seen[1].schemaChange->rowsChanged);
    EXPECT_EQ(columnsOf(seen[1]), "id,x,y");
    reader->stop();
  }
}

/// What a process that ended has told of the rows, its follower does not know.
TEST_F(BinlogSchemas, WithoutMetadataAnAlterationThatANewProcessMeetsFirstSaysSoToo) {
  for (const bool named : {false, true}) {
    SetUp();
    execute(writer, {std::string("SET GLOBAL binlog_row_metadata = ") + (named ? "FULL" : "NO_LOG")});
    makeSource();
    const Position at = reader->baseline({kTable});
    execute(writer, {"ALTER TABLE t MODIFY b INT AFTER id", "INSERT INTO t VALUES (2, 5, 'b')"});
    makeSource();
    reader->start({kTable}, at);
    const auto seen = changes(2);
    ASSERT_EQ(opsOf(seen), "schemaChange insert");
    EXPECT_EQ(seen[0].schemaChange->rowsChanged, !named);
    reader->stop();
  }
}

TEST_F(BinlogSchemas, ADroppedTableIsEmptyAndMayComeAgain) {
  follow({kTable});
  execute(writer, {"DROP TABLE t", "CREATE TABLE t (id INT PRIMARY KEY, other DATE)",
                   "INSERT INTO t VALUES (1, '2024-05-01')"});
  const auto seen = changes(3);
  ASSERT_EQ(opsOf(seen), "truncate schemaChange insert");
  EXPECT_EQ(columnsOf(seen[2]), "id,other");
}

TEST_F(BinlogSchemas, ATableThatIsRenamedIntoPlaceIsReadAnew) {
  follow({kTable});
  execute(writer,
          {"CREATE TABLE t_new (id INT PRIMARY KEY, a VARCHAR(20), b INT)", "INSERT INTO t_new VALUES (7, 'n', 7)",
           "RENAME TABLE t TO t_old, t_new TO t", "INSERT INTO t VALUES (8, 'n', 8)"});
  const auto seen = changes(2);
  ASSERT_EQ(opsOf(seen), "schemaChange insert");
  EXPECT_TRUE(seen[0].schemaChange->rowsChanged);
}

TEST_F(BinlogSchemas, ADroppedDatabaseEmptiesItsTables) {
  follow({kTable});
  execute(writer, {"DROP DATABASE binlog_test"});
  EXPECT_EQ(opsOf(changes(1)), "truncate");
}

TEST_F(BinlogSchemas, PartitionsThatGoTakeTheirRowsAlong) {
  execute(writer, {"CREATE TABLE p (id INT PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION low VALUES LESS THAN (10), "
                   "PARTITION high VALUES LESS THAN (20))",
                   "INSERT INTO p VALUES (1), (11)"});
  follow({"binlog_test.p"});
  execute(writer, {"ALTER TABLE p TRUNCATE PARTITION low", "ALTER TABLE p DROP PARTITION high"});
  const auto seen = changes(2);
  ASSERT_EQ(opsOf(seen), "schemaChange schemaChange");
  EXPECT_TRUE(seen[0].schemaChange->rowsChanged && seen[1].schemaChange->rowsChanged);
}

}  // namespace
}  // namespace tidegate::mysql
