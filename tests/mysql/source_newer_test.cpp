// What MariaDB newer than Debian 12's can put into a binlog. Some of it needs tests/mysql/newer_server.sh.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "mysql/binlog_rig.h"
#include "tidegate/core/value.h"

namespace tidegate::mysql {
namespace {

class NewerMariaDb : public BinlogTest {
 protected:
  void SetUp() override {
    if (!isMariaDb()) GTEST_SKIP() << "MariaDB only";
    BinlogTest::SetUp();
  }
  bool hasVariable(const std::string& name) {
    return !readAll(writer, "SHOW GLOBAL VARIABLES LIKE '" + name + "'").empty();
  }
  static std::vector<std::string> metadata() { return {"NO_LOG", "MINIMAL", "FULL"}; }
};

TEST_F(NewerMariaDb, AnAlterationInTwoPartsIsToldOnceAndWhereItTakesEffect) {
  for (const std::string& setting : metadata()) {
    SCOPED_TRACE(setting);
    SetUp();
    execute(writer, {"SET GLOBAL binlog_row_metadata = " + setting, "SET SESSION binlog_alter_two_phase = ON",
                     "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20))", "INSERT INTO t VALUES (1, 'a')"});
    follow({kTable});
    execute(writer, {"ALTER TABLE t ADD COLUMN c INT DEFAULT 5", "INSERT INTO t VALUES (2, 'b', 3)"});
    const auto seen = changes(2);
    ASSERT_EQ(opsOf(seen), "schemaChange insert");
    EXPECT_TRUE(seen[0].schemaChange->rowsChanged);
    EXPECT_EQ(describe(seen[1].after.at(2)), "3");
    reader->stop();
  }
}

/// Its statement stands in the binlog as well, and rows of the table as it was before and after.
TEST_F(NewerMariaDb, AnAlterationThatIsUndoneIsNotTold) {
  execute(writer, {"SET GLOBAL binlog_row_metadata = NO_LOG", "SET SESSION binlog_alter_two_phase = ON",
                   "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT)", "INSERT INTO t VALUES (1, 7, 0), (2, 7, 0)"});
  follow({kTable});
  execute(writer, {"INSERT INTO t VALUES (3, 8, 0)"});
  EXPECT_THROW(execute(writer, {"ALTER TABLE t MODIFY b INT AFTER id, ADD UNIQUE (a)"}), Error);
  execute(writer, {"INSERT INTO t VALUES (4, 9, 0)"});
  const auto seen = changes(2);
  ASSERT_EQ(opsOf(seen), "insert insert");
  EXPECT_EQ(describe(seen[1].after.at(1)), "9");
}

/// Others commit between the two parts, with sequences between theirs; a restart may lie there too.
TEST_F(NewerMariaDb, WhatCommitsBetweenTheTwoPartsComesInItsPlace) {
  for (const PositionBy by : {PositionBy::gtid, PositionBy::file}) {
    SetUp();
    execute(writer, {"SET GLOBAL binlog_row_metadata = NO_LOG", "SET SESSION binlog_alter_two_phase = ON",
                     "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20))", "CREATE TABLE u (id INT PRIMARY KEY)",
                     "INSERT INTO t SELECT seq, 'a' FROM seq_1_to_50"});
    SourceOptions options = quickOptions();
    options.positions = by;
    follow({kTable, "binlog_test.u"}, options);
    std::thread alters([] {
      const QueryFn db = queryFn(testConnect());
      execute(db, {"SET SESSION binlog_alter_two_phase = ON",
                   "ALTER TABLE binlog_test.t ADD COLUMN h INT AS (LENGTH(SHA2(REPEAT(a, 1000000), 512))) PERSISTENT"});
    });
    EXPECT_TRUE(servers::eventually([&] {
      return !readAll(writer,
                      "SELECT 1 FROM information_schema.PROCESSLIST WHERE STATE LIKE 'copy%' AND INFO LIKE "
                      "'ALTER TABLE binlog_test.t%'")
                  .empty();
    }));
    execute(writer, {"INSERT INTO u VALUES (1)"});
    const auto first = changes(1);
    EXPECT_EQ(opsOf({first.at(0)}), "insert");
    reader->stop();
    reader->start({kTable, "binlog_test.u"}, first.at(0).position);
    alters.join();
    execute(writer, {"INSERT INTO t (id, a) VALUES (100, 'b')"});
    const auto seen = changes(3);
    ASSERT_EQ(opsOf(seen), "insert schemaChange insert");
    EXPECT_EQ(describe(seen[2].after.at(2)), "128");
    reader->stop();
  }
}

TEST_F(NewerMariaDb, CollationsOfUnicode14ReadAsText) {
  for (const std::string& setting : metadata()) {
    SCOPED_TRACE(setting);
    SetUp();
    execute(writer,
            {"SET GLOBAL binlog_row_metadata = " + setting,
             "CREATE TABLE t (id VARCHAR(20) CHARACTER SET utf8mb4 COLLATE uca1400_ai_ci PRIMARY KEY, a VARCHAR(20) "
             "CHARACTER SET utf8mb4 COLLATE utf8mb4_uca1400_german2_as_cs, b TEXT CHARACTER SET utf16 COLLATE "
             "uca1400_swedish_ai_ci, c ENUM('ä', 'ö') CHARACTER SET ucs2 COLLATE uca1400_nopad_ai_ci)",
             "INSERT INTO t VALUES ('zoë', 'ß', 'å🦉', 'ö')"});
    follow({kTable});
    execute(writer, {"INSERT INTO t VALUES ('émile', 'ß', 'å🦉', 'ö')", "DELETE FROM t WHERE id = 'ZOE'"});
    const auto seen = changes(2);
    ASSERT_EQ(opsOf(seen), "insert erase");
    const auto read = events().at(1).after;
    for (std::size_t i = 1; i < 4; ++i) EXPECT_TRUE(seen[0].after.at(i) == read.at(i)) << describe(seen[0].after[i]);
    EXPECT_EQ(describe(seen[0].after.at(2)), "\"å🦉\"");
    EXPECT_EQ(describe(seen[1].before.at(0)), "\"zoë\"");
    reader->stop();
  }
}

TEST_F(NewerMariaDb, VectorsAreTheOctetsThatAQueryGives) {
  if (!hasVariable("mhnsw_ef_search")) GTEST_SKIP() << "needs MariaDB 11.7";
  for (const std::string& setting : metadata()) {
    SCOPED_TRACE(setting);
    SetUp();
    execute(writer, {"SET GLOBAL binlog_row_metadata = " + setting,
                     "CREATE TABLE t (id INT PRIMARY KEY, v VECTOR(3) NOT NULL, VECTOR INDEX (v))",
                     "INSERT INTO t VALUES (1, VEC_FromText('[1, 0, -2.5]'))"});
    follow({kTable});
    execute(writer, {"INSERT INTO t VALUES (2, VEC_FromText('[1, 0, -2.5]'))",
                     "UPDATE t SET v = VEC_FromText('[0, 0, 0]') WHERE id = 2"});
    const auto seen = changes(2);
    ASSERT_EQ(opsOf(seen), "insert update");
    EXPECT_EQ(describe(seen[0].after.at(1)), "0x0000803f00000000000020c0");
    EXPECT_TRUE(seen[0].after.at(1) == events().at(1).after.at(1));
    EXPECT_EQ(describe(seen[1].after.at(1)), "0x000000000000000000000000");
    reader->stop();
  }
}

TEST_F(NewerMariaDb, UuidsOfVersionSevenKeepTheirOrderOfOctets) {
  if (readAll(writer, "SELECT 1 FROM information_schema.PLUGINS WHERE PLUGIN_NAME = 'uuid_v7'").empty()) {
    GTEST_SKIP() << "needs MariaDB 11.7";
  }
  execute(writer, {"CREATE TABLE t (id UUID PRIMARY KEY DEFAULT UUID_v7(), n INT)", "INSERT INTO t (n) VALUES (1)"});
  follow({kTable});
  execute(writer, {"INSERT INTO t (n) VALUES (2)", "INSERT INTO t (id, n) VALUES (UUID_v4(), 3), (UUID(), 4)"});
  const auto seen = changes(3);
  ASSERT_EQ(opsOf(seen), "insert insert insert");
  for (const ChangeEvent& event : seen) {
    const std::string id = *event.after.at(0).getIf<std::string>();
    EXPECT_EQ(describe(readAll(writer, "SELECT n FROM t WHERE id = '" + id + "'").at(0)[0]),
              describe(event.after.at(1)));
  }
}

/// From 11.7 on events within a transaction do not say where they end, unless they are asked to.
TEST_F(NewerMariaDb, EventsThatDoNotSayWhereTheyEndAreGoneOnFrom) {
  const bool asked = hasVariable("binlog_legacy_event_pos");
  for (const bool legacy : {false, true}) {
    if (legacy && !asked) break;
    SetUp();
    if (asked) execute(writer, {std::string("SET GLOBAL binlog_legacy_event_pos = ") + (legacy ? "ON" : "OFF")});
    execute(writer, {"CREATE TABLE t (id INT PRIMARY KEY, a TEXT)", "SET GLOBAL log_bin_compress = ON"});
    SourceOptions options = quickOptions();
    options.positions = PositionBy::file;
    options.batchEvents = 10;
    follow({kTable}, options);
    execute(writer, {"INSERT INTO t SELECT seq, REPEAT('x', 5000) FROM seq_1_to_100", "DELETE FROM t WHERE id > 90"});
    const auto seen = changes(110);
    for (const std::size_t from : {std::size_t{5}, std::size_t{57}, std::size_t{99}, std::size_t{104}}) {
      reader->stop();
      reader = std::make_unique<contract::SourceReader>(*source, contract::SourceAbilities{});
      reader->start({kTable}, seen[from].position);
      const auto rest = changes(109 - from);
      ASSERT_EQ(rest.size(), 109 - from);
      EXPECT_TRUE(rest.front().position == seen[from + 1].position);
    }
    reader->stop();
  }
  if (asked) execute(writer, {"SET GLOBAL binlog_legacy_event_pos = DEFAULT"});
}

/// Such a transaction becomes a file of the binlog as it is (11.7).
TEST_F(NewerMariaDb, ATransactionThatIsAFileOfItsOwnIsGoneOnFromItsMiddle) {
  if (!hasVariable("binlog_large_commit_threshold")) GTEST_SKIP() << "needs MariaDB 11.7";
  for (const PositionBy by : {PositionBy::gtid, PositionBy::file}) {
    SetUp();
    execute(writer,
            {"CREATE TABLE t (id INT PRIMARY KEY, a LONGTEXT)", "SET GLOBAL binlog_large_commit_threshold = 10485760"});
    SourceOptions options = quickOptions();
    options.positions = by;
    options.batchEvents = 10;
    follow({kTable}, options);
    execute(writer,
            {"INSERT INTO t VALUES (1000, 'before')", "INSERT INTO t SELECT seq, REPEAT('x', 500000) FROM seq_1_to_60",
             "INSERT INTO t VALUES (1001, 'behind')"});
    const auto seen = changes(62);
    EXPECT_EQ(describe(seen.at(61).after.at(0)), "1001");
    for (const std::size_t from : {std::size_t{0}, std::size_t{30}, std::size_t{60}}) {
      reader->stop();
      reader = std::make_unique<contract::SourceReader>(*source, contract::SourceAbilities{});
      reader->start({kTable}, seen[from].position);
      ASSERT_EQ(changes(61 - from).size(), 61 - from);
    }
    reader->stop();
  }
  execute(writer, {"SET GLOBAL binlog_large_commit_threshold = DEFAULT"});
}

/// Its history stands in the binlog among its rows: a stream that went on would put old rows in the place of new ones.
TEST_F(NewerMariaDb, ATableThatKeepsItsHistoryIsRefusedAndEndsTheStreamWhereItBegins) {
  for (const std::string& setting : metadata()) {
    SCOPED_TRACE(setting);
    SetUp();
    execute(writer, {"SET GLOBAL binlog_row_metadata = " + setting, "CREATE TABLE t (id INT PRIMARY KEY, a INT)",
                     "INSERT INTO t VALUES (1, 1)"});
    follow({kTable});
    execute(writer, {"INSERT INTO t VALUES (2, 2)"});
    changes(1);
    execute(writer, {"ALTER TABLE t ADD SYSTEM VERSIONING", "DELETE FROM t WHERE id = 1"});
    const Error why = failure();
    EXPECT_EQ(why.code(), ErrorCode::typeUnsupported) << why.what();
    const auto seen = changes(1);
    ASSERT_EQ(opsOf(seen), "insert");
    makeSource();
    EXPECT_EQ(servers::errorOf([&] { reader->baseline({kTable}); }).code(), ErrorCode::typeUnsupported);
    const auto issues = source->validateTables({kTable});
    ASSERT_EQ(issues.size(), 1u);
    EXPECT_TRUE(issues[0].fatal);
    const std::string& text = issues[0].message;
    execute(writer, {text.substr(text.find("ALTER TABLE")), "INSERT INTO t VALUES (3, 3)"});
    makeSource();
    EXPECT_TRUE(source->validateTables({kTable}).empty());
    // What was logged meanwhile is not gone by: the table is to be read anew.
    reader->start({kTable}, seen[0].position);
    if (setting != "FULL") {
      EXPECT_EQ(failure().code(), ErrorCode::positionLost);
      continue;
    }
    const auto isThird = [](const ChangeEvent& event) {
      return event.op == ChangeOp::insert && describe(event.after.at(0)) == "3";
    };
    ASSERT_TRUE(reader->await([&] {
      const auto held = reader->eventsHeld();
      return std::any_of(held.begin(), held.end(), isThird);
    })) << failureText();
    reader->stop();
    std::string told;
    for (const ChangeEvent& event : events()) {
      if (event.op == ChangeOp::schemaChange) told = event.schemaChange->rowsChanged ? "anew" : "as it is";
    }
    EXPECT_EQ(told, "anew") << "by the last change of the schema";
  }
}

}  // namespace
}  // namespace tidegate::mysql
