// Names of tables, on servers that tell them apart by their case and on those that do not.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "mysql/binlog_rig.h"

namespace tidegate::mysql {
namespace {

using servers::control;

TEST_F(BinlogTest, NamesThatDifferInCaseAreTwoTablesWhereTheServerSaysSo) {
  execute(writer, {"CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TABLE T (id INT PRIMARY KEY, other INT)"});
  follow({"binlog_test.T", "binlog_test.t"});
  execute(writer, {"INSERT INTO t VALUES (1)", "INSERT INTO T VALUES (2, 3)", "TRUNCATE TABLE T", "DROP TABLE t"});
  const auto seen = changes(4);
  ASSERT_EQ(opsOf(seen), "insert insert truncate truncate");
  EXPECT_EQ(seen[0].shape->schema.table, "binlog_test.t");
  EXPECT_EQ(seen[1].shape->schema.table, "binlog_test.T");
  EXPECT_EQ(seen[1].shape->columns->size(), 2u);
  EXPECT_EQ(seen[2].shape->schema.table, "binlog_test.T");
  EXPECT_EQ(seen[3].shape->schema.table, "binlog_test.t");
}

/// The server, started with `lower_case_table_names = 1`. MySQL refuses to be started so once it has its files.
class FoldingServer : public BinlogTest {
 protected:
  static std::string settings() { return servers::environment("TIDEGATE_SERVERS_DIR") + "/mysql.cnf"; }
  static void restartWith(const std::string& text) {
    control("mysql", "stop");
    std::ofstream(settings(), std::ios::trunc) << text;
    control("mysql", "start");
  }
  static void SetUpTestSuite() {
    std::ifstream file(settings());
    before = {std::istreambuf_iterator<char>(file), {}};
    if (before.find("[mariadbd]") != std::string::npos) restartWith(before + "\nlower-case-table-names=1\n");
  }
  static void TearDownTestSuite() {
    if (before.find("[mariadbd]") != std::string::npos) restartWith(before);
  }
  void SetUp() override {
    if (before.find("[mariadbd]") == std::string::npos) GTEST_SKIP() << "MariaDB only";
    BinlogTest::SetUp();
    execute(writer, {"CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20))", "INSERT INTO t VALUES (1, 'a')"});
  }
  void TearDown() override {
    if (!IsSkipped()) BinlogTest::TearDown();
  }
  /// What came is that of the one table, under the name it was asked for.
  void expectAllOf(const std::string& name, const std::vector<ChangeEvent>& seen) const {
    for (const ChangeEvent& event : seen) EXPECT_EQ(event.shape->schema.table, name) << toString(event.op);
  }

  static std::string before;
};
std::string FoldingServer::before;

TEST_F(FoldingServer, ATableIsFollowedHoweverItsNameIsWritten) {
  for (const std::string name : {"binlog_test.T", "BINLOG_test.t", "binlog_test.t"}) {
    SCOPED_TRACE(name);
    SetUp();
    follow({name});
    execute(writer, {"INSERT INTO t VALUES (2, 'b')", "UPDATE T SET a = 'c' WHERE id = 2",
                     "ALTER TABLE Binlog_Test.T ADD COLUMN b INT"});
    changes(3);  // its columns are asked for when it is read
    execute(writer, {"INSERT INTO t VALUES (3, 'd', 4)", "TRUNCATE TABLE T", "INSERT INTO T VALUES (5, 'e', 6)",
                     "DROP TABLE T"});
    const auto seen = changes(7);
    EXPECT_EQ(opsOf(seen), "insert update schemaChange insert truncate insert truncate");
    expectAllOf(name, seen);
    reader->stop();
  }
}

TEST_F(FoldingServer, ARenameAndADroppedDatabaseAreSeenHoweverTheyAreWritten) {
  follow({"binlog_test.T"});
  execute(writer, {"CREATE TABLE Other LIKE t", "RENAME TABLE T TO Gone, OTHER TO t"});
  changes(1);
  execute(writer, {"INSERT INTO t VALUES (7, 'new')", "DROP DATABASE BINLOG_TEST"});
  const auto seen = changes(3);
  EXPECT_EQ(opsOf(seen), "schemaChange insert truncate");
  expectAllOf("binlog_test.T", seen);
}

TEST_F(FoldingServer, NamesBeyondAsciiAreFoldedAsTheServerDoes) {
  execute(writer, {"CREATE TABLE `ÄRGER` (id INT PRIMARY KEY)"});
  follow({"binlog_test.Ärger"});
  execute(writer, {"INSERT INTO `ärger` VALUES (1)", "TRUNCATE TABLE `äRGER`"});
  const auto seen = changes(2);
  EXPECT_EQ(opsOf(seen), "insert truncate");
  expectAllOf("binlog_test.Ärger", seen);
}

TEST_F(FoldingServer, ALargeTableIsReadBesideTheStreamByTheNameItWasAskedFor) {
  SourceOptions options = quickOptions();
  options.baseline = {.chunkedFromRows = 0, .chunkRows = 10};
  follow({"binlog_test.T"}, options);
  ASSERT_TRUE(reader->await([&] {
    const auto held = reader->eventsHeld();
    return std::any_of(held.begin(), held.end(), [](const auto& e) { return e.op == ChangeOp::baselineEnd; });
  }));
  execute(writer, {"INSERT INTO t VALUES (2, 'b')"});
  const auto seen = changes(1);
  EXPECT_EQ(opsOf(seen), "insert");
  expectAllOf("binlog_test.T", seen);
}

TEST_F(FoldingServer, TwoNamesOfOneTableAreRefused) {
  makeSource();
  const auto issues = source->validateTables({"binlog_test.T", "binlog_test.t"});
  ASSERT_EQ(issues.size(), 1u);
  EXPECT_TRUE(issues[0].fatal);
  EXPECT_NE(issues[0].message.find("are one table"), std::string::npos) << issues[0].message;
  reader->start({"binlog_test.T", "binlog_test.t"}, reader->baseline({"binlog_test.t"}));
  EXPECT_EQ(failure().code(), ErrorCode::invalidConfig);
}

}  // namespace
}  // namespace tidegate::mysql
