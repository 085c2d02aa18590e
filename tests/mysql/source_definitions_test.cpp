// Statements that change rows, or the names of tables, without events that say so.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "mysql/binlog_rig.h"

namespace tidegate::mysql {
namespace {

struct Definition {
  std::vector<std::string> statements;
  std::string told;  ///< table by table; + where rows changed that no event tells of
};

class BinlogDefinitions : public BinlogTest {
 protected:
  void SetUp() override {
    BinlogTest::SetUp();
    execute(writer, {"CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20), g INT AS (id + 1) STORED)",
                     "CREATE TABLE u (id INT PRIMARY KEY, a VARCHAR(20))",
                     "CREATE TABLE p (id INT PRIMARY KEY, a VARCHAR(20)) PARTITION BY RANGE (id) (PARTITION low VALUES "
                     "LESS THAN (10), PARTITION high VALUES LESS THAN (20))",
                     "CREATE TABLE mark (id INT PRIMARY KEY)", "INSERT INTO t (id, a) VALUES (1, 'a'), (2, 'a')",
                     "INSERT INTO u VALUES (1, 'u')", "INSERT INTO p VALUES (2, 'p'), (12, 'q')"});
  }
  bool isMariaDb() {
    return describe(readAll(writer, "SELECT VERSION()").at(0)[0]).find("MariaDB") != std::string::npos;
  }
  static bool isOfBaseline(ChangeOp op) {
    return op == ChangeOp::progress || op == ChangeOp::read || op == ChangeOp::baselineBegin ||
           op == ChangeOp::baselineEnd;
  }
  std::string toldOf(const std::vector<std::string>& statements) {
    follow({"binlog_test.t", "binlog_test.u", "binlog_test.p", "binlog_test.mark"});
    execute(writer, statements);
    execute(writer, {"INSERT INTO mark VALUES (1)"});
    std::string told;
    EXPECT_TRUE(reader->await([&] {
      told.clear();
      for (const ChangeEvent& event : reader->eventsHeld()) {
        if (isOfBaseline(event.op)) continue;
        const std::string table = event.shape->schema.table.substr(std::string("binlog_test.").size());
        if (table == "mark") return true;
        const bool more = event.schemaChange && event.schemaChange->rowsChanged;
        told += fmt::format("{}{} {}{}", told.empty() ? "" : ", ", toString(event.op), table, more ? "+" : "");
      }
      return false;
    })) << failureText();
    reader->stop();
    return told;
  }
  void expectTold(const std::vector<Definition>& definitions) {
    for (const Definition& definition : definitions) {
      SetUp();
      EXPECT_EQ(toldOf(definition.statements), definition.told) << definition.statements.back();
    }
  }
};

TEST_F(BinlogDefinitions, ATableWhosePartitionIsExchangedIsReadAnewAndSoIsThePartitioned) {
  expectTold({{{"ALTER TABLE p EXCHANGE PARTITION low WITH TABLE u"}, "schemaChange p+, schemaChange u+"},
              {{"ALTER TABLE p EXCHANGE PARTITION low WITH TABLE binlog_test.u", "INSERT INTO u VALUES (3, 'more')"},
               "schemaChange p+, schemaChange u+, insert u"}});
}

TEST_F(BinlogDefinitions, TablesAndPartitionsThatBecomeEachOtherAreTold) {
  if (!isMariaDb()) GTEST_SKIP() << "MariaDB only";
  expectTold({{{"DROP TABLE u", "ALTER TABLE p CONVERT PARTITION low TO TABLE u"},
               "truncate u, schemaChange p+, schemaChange u+"},
              {{"DELETE FROM u", "INSERT INTO u VALUES (25, 'u')",
                "ALTER TABLE p CONVERT TABLE u TO PARTITION top VALUES LESS THAN (30)"},
               "erase u, insert u, schemaChange p+, truncate u"}});
}

TEST_F(BinlogDefinitions, WhateverPartitionsAreToldToDoIsReadAnew) {
  expectTold({{{"ALTER TABLE p TRUNCATE PARTITION low"}, "schemaChange p+"},
              {{"ALTER TABLE p DROP PARTITION low"}, "schemaChange p+"},
              {{"ALTER TABLE p REMOVE PARTITIONING"}, "schemaChange p+"},
              {{"ALTER TABLE u DISCARD TABLESPACE"}, "schemaChange u+"}});
}

TEST_F(BinlogDefinitions, NamesThatPassFromTableToTableAreFollowedToTheEnd) {
  expectTold(
      {{{"RENAME TABLE t TO x, u TO t, x TO u"}, "schemaChange t+, schemaChange u+"},
       {{"RENAME TABLE u TO old, t TO u, u TO x"}, "truncate t, truncate u"},
       {{"RENAME TABLE t TO x, x TO t"}, "schemaChange t+"},
       {{"ALTER TABLE t RENAME = x"}, "truncate t"},
       {{"DROP TABLE u", "ALTER TABLE t RENAME u, ADD COLUMN b INT"}, "truncate u, truncate t, schemaChange u+"}});
}

TEST_F(BinlogDefinitions, TablesThatAreMadeOfOthersAreTold) {
  expectTold(
      {{{"DROP TABLE u", "CREATE TABLE u LIKE p"}, "truncate u"},
       {{"DROP TABLE u", "CREATE TABLE u (PRIMARY KEY (id)) SELECT id, a FROM t"}, "truncate u, insert u, insert u"}});
  if (!isMariaDb()) return;
  expectTold({{{"CREATE OR REPLACE TABLE u (id INT PRIMARY KEY)"}, "truncate u, schemaChange u"},
              {{"CREATE OR REPLACE TABLE u (id INT PRIMARY KEY, a VARCHAR(20))"}, "truncate u"},
              {{"CREATE OR REPLACE TABLE u (PRIMARY KEY (id)) SELECT id FROM t"},
               "truncate u, schemaChange u, insert u, insert u"}});
}

TEST_F(BinlogDefinitions, ValuesThatTheServerMakesAnewAreReadAnew) {
  expectTold(
      {{{"ALTER TABLE t MODIFY g INT AS (id + 2) STORED"}, "schemaChange t+"},
       {{"SET SESSION sql_mode = ''", "INSERT INTO u VALUES (9, 'Ж')", "ALTER TABLE u CONVERT TO CHARACTER SET latin1"},
        "insert u, schemaChange u+"},
       {{"ALTER TABLE u CONVERT TO CHARACTER SET utf8mb4"}, ""}});
  if (!isMariaDb()) return;
  expectTold({{{"ALTER IGNORE TABLE t ADD UNIQUE (a)"}, "schemaChange t+"}});
}

TEST_F(BinlogDefinitions, WhatTouchesNoRowOfOursIsPassedOver) {
  expectTold({{{"CREATE TABLE other LIKE t", "RENAME TABLE other TO another", "DROP TABLE another"}, ""},
              {{"CREATE INDEX i ON t (a)", "ALTER TABLE t COMMENT 'RENAME TO u'", "ANALYZE TABLE t", "OPTIMIZE TABLE t",
                "CREATE VIEW v AS SELECT * FROM t", "DROP VIEW v"},
               ""},
              {{"CREATE TEMPORARY TABLE u (id INT)", "ALTER TABLE u ADD COLUMN b INT", "DROP TEMPORARY TABLE u"}, ""}});
  if (!isMariaDb()) return;
  expectTold({{{"CREATE SEQUENCE s", "DO NEXT VALUE FOR s", "ALTER SEQUENCE s RESTART 5", "DROP SEQUENCE s"}, ""}});
}

}  // namespace
}  // namespace tidegate::mysql
