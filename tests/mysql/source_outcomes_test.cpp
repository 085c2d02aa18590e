#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "mysql/binlog_rig.h"

namespace tidegate::mysql {
namespace {

using servers::control;
using servers::eventually;

class BinlogOutcomes : public BinlogTest {
 protected:
  void SetUp() override {
    BinlogTest::SetUp();
    execute(writer, {"CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20))", "INSERT INTO t VALUES (1, 'a')"});
  }
  void TearDown() override {
    execute(writer, {"DROP USER IF EXISTS limited@'%', limited@localhost", "SET GLOBAL binlog_format = ROW"});
    BinlogTest::TearDown();
  }
  static bool mentions(const std::vector<TableIssue>& issues, const std::string& text, bool fatal) {
    return std::any_of(issues.begin(), issues.end(), [&](const TableIssue& issue) {
      return issue.message.find(text) != std::string::npos && issue.fatal == fatal;
    });
  }
  static std::string textOf(const std::vector<TableIssue>& issues) {
    std::string text;
    for (const TableIssue& issue : issues) text += issue.message + "\n";
    return text;
  }
  ConnectOptions limited() const {
    ConnectOptions connect = testConnect();
    connect.user = "limited";
    connect.password = "limited-secret";
    return connect;
  }
};

TEST_F(BinlogOutcomes, AKilledServerIsWaitedForAndNothingIsLost) {
  follow({kTable});
  execute(writer, {"INSERT INTO t VALUES (2, 'before')"});
  changes(1);
  control("mysql", "kill9");
  control("mysql", "start");
  execute(writer = queryFn(testConnect()), {"USE binlog_test", "INSERT INTO t VALUES (3, 'after')"});
  const auto seen = changes(2);
  ASSERT_EQ(seen.size(), 2u) << "neither lost nor told twice";
  EXPECT_EQ(describe(seen[1].after.at(0)), "3");
}

TEST_F(BinlogOutcomes, AServerThatIsFrozenIsGivenUpAndFoundAgain) {
  follow({kTable});
  control("mysql", "freeze");
  EXPECT_TRUE(eventually([&] { return source->state() == SourceState::reconnecting; }));
  control("mysql", "thaw");
  execute(writer, {"INSERT INTO t VALUES (2, 'b')"});
  EXPECT_EQ(opsOf(changes(1)), "insert");
}

TEST_F(BinlogOutcomes, APurgedPlaceIsLostAlsoByFile) {
  for (const PositionBy by : {PositionBy::gtid, PositionBy::file}) {
    if (by == PositionBy::gtid && !hasGtids()) continue;
    SourceOptions options = quickOptions();
    options.positions = by;
    makeSource(options);
    const Position at = reader->baseline({kTable});
    execute(writer,
            {"INSERT INTO t VALUES (" + std::to_string(10 + static_cast<int>(by)) + ", 'b')", "FLUSH BINARY LOGS"});
    const std::string last = describe(readAll(writer, "SHOW BINARY LOGS").back()[0]);
    ASSERT_TRUE(eventually([&] {
      execute(writer, {"PURGE BINARY LOGS TO " + last});
      return readAll(writer, "SHOW BINARY LOGS").size() == 1;
    }));
    reader->start({kTable}, at);
    const Error why = failure();
    EXPECT_EQ(why.code(), ErrorCode::positionLost) << why.what();
    EXPECT_EQ(source->state(), SourceState::error);
    reader->start({kTable}, reader->baseline({kTable}));
    execute(writer, {"INSERT INTO t VALUES (" + std::to_string(20 + static_cast<int>(by)) + ", 'b')"});
    changes(1);
    reader->stop();
  }
}

TEST_F(BinlogOutcomes, APositionOfAnotherHistoryIsLost) {
  makeSource();
  reader->baseline({kTable});
  for (const char* elsewhere : {"0-1-99999999", "uuid:3e11fa47-71ca-11e1-9e33-c80aa9429562:1-99999999"}) {
    reader->start({kTable}, source->positionFromText(elsewhere));
    const bool noGtids = std::string_view(elsewhere).starts_with("uuid:") && !isMariaDb() && !hasGtids();
    EXPECT_EQ(failure().code(), noGtids ? ErrorCode::slotInvalid : ErrorCode::positionLost) << elsewhere;
  }
  reader->start({kTable}, source->positionFromText("file:77/1/4"));
  EXPECT_EQ(failure().code(), ErrorCode::positionLost) << "another server's file";
}

TEST_F(BinlogOutcomes, ANewServerIdOfTheHistoryIsFollowed) {
  if (!isMariaDb()) GTEST_SKIP() << "MySQL's GTIDs name servers by UUID";
  follow({kTable});
  execute(writer, {"INSERT INTO t VALUES (2, 'b')", "SET SESSION server_id = 2", "INSERT INTO t VALUES (3, 'c')",
                   "SET SESSION server_id = 1", "INSERT INTO t VALUES (4, 'd')"});
  const auto seen = changes(3);
  const Position at = seen[1].position;
  EXPECT_NE(source->positionToText(at).find("0-2-"), std::string::npos) << "written as a new primary would";
  reader->stop();
  reader->start({kTable}, at);
  execute(writer, {"INSERT INTO t VALUES (5, 'e')"});
  EXPECT_EQ(describe(changes(5).at(3).after.at(0)), "4");
}

TEST_F(BinlogOutcomes, SeveralDomainsGoOnTogether) {
  if (!isMariaDb()) GTEST_SKIP() << "MySQL has no domains";
  follow({kTable});
  execute(writer, {"SET SESSION gtid_domain_id = 7", "INSERT INTO t VALUES (2, 'b')", "SET SESSION gtid_domain_id = 0",
                   "INSERT INTO t VALUES (3, 'c')"});
  const auto seen = changes(2);
  reader->stop();
  reader->start({kTable}, seen[0].position);
  EXPECT_EQ(describe(changes(3).at(2).after.at(0)), "3");
}

TEST_F(BinlogOutcomes, AReplicaWithTheServersOwnIdIsAnIssue) {
  SourceOptions options = quickOptions();
  options.serverId = 1;
  makeSource(options);
  EXPECT_TRUE(mentions(source->validateTables({}), "serverId is 1", true));
}

TEST_F(BinlogOutcomes, TwoReplicasOfOneIdAreToldSo) {
  SourceOptions options = quickOptions();
  options.serverId = 4711;
  options.backoff.maxRetries = 0;
  follow({kTable}, options);
  execute(writer, {"INSERT INTO t VALUES (2, 'b')"});
  changes(1);
  const auto other = detail::makeSource(options);
  contract::SourceReader second(*other, contract::SourceAbilities{});
  second.start({kTable}, second.baseline({kTable}));
  const Error why = failure();
  EXPECT_TRUE(why.code() == ErrorCode::slotInvalid || why.code() == ErrorCode::connectionFailed) << why.what();
  second.stop();
}

TEST_F(BinlogOutcomes, ForeignKeysThatChangeRowsUnseenAreSaid) {
  execute(writer,
          {"CREATE TABLE child (id INT PRIMARY KEY, t INT, u INT, CONSTRAINT follows FOREIGN KEY (t) REFERENCES t "
           "(id) ON DELETE CASCADE, CONSTRAINT stays FOREIGN KEY (u) REFERENCES t (id) ON DELETE RESTRICT)",
           "CREATE TABLE other (id INT PRIMARY KEY, t INT, CONSTRAINT forgets FOREIGN KEY (t) REFERENCES t (id) "
           "ON UPDATE SET NULL)"});
  makeSource();
  const auto issues = source->validateTables({"binlog_test.child", "binlog_test.other", kTable});
  EXPECT_EQ(issues.size(), 2u) << textOf(issues);
  EXPECT_TRUE(mentions(issues, "DROP FOREIGN KEY `follows`", false)) << textOf(issues);
  EXPECT_TRUE(mentions(issues, "DROP FOREIGN KEY `forgets`", false)) << textOf(issues);
}

TEST_F(BinlogOutcomes, WhatTheServerLacksIsSaidWithItsRemedy) {
  makeSource();
  execute(writer,
          {"SET GLOBAL binlog_format = MIXED", "SET GLOBAL binlog_row_image = MINIMAL",
           isMariaDb() ? "SET GLOBAL binlog_row_metadata = NO_LOG" : "SET GLOBAL binlog_row_metadata = MINIMAL"});
  const auto issues = source->validateTables({});
  EXPECT_TRUE(mentions(issues, "SET GLOBAL binlog_format = ROW", true)) << textOf(issues);
  EXPECT_TRUE(mentions(issues, "SET GLOBAL binlog_row_image = FULL", false)) << textOf(issues);
  EXPECT_TRUE(mentions(issues, "SET GLOBAL binlog_row_metadata = FULL", false)) << textOf(issues);
  execute(writer, {"SET GLOBAL binlog_format = ROW", "SET GLOBAL binlog_row_image = FULL",
                   "SET GLOBAL binlog_row_metadata = FULL"});
  if (isMariaDb()) execute(writer, {"SET GLOBAL gtid_strict_mode = ON"});
  EXPECT_EQ(textOf(source->validateTables({})), "");
  if (!isMariaDb()) return;
  execute(writer, {"SET GLOBAL gtid_strict_mode = OFF"});
  EXPECT_TRUE(mentions(source->validateTables({}), "SET GLOBAL gtid_strict_mode = ON", false));
}

TEST_F(BinlogOutcomes, TheStatementsThatMendRightsDoMendThem) {
  execute(writer, {"CREATE USER limited@localhost IDENTIFIED BY 'limited-secret'",
                   "GRANT SELECT ON binlog_test.* TO limited@localhost"});
  SourceOptions options = quickOptions();
  options.connect = limited();
  options.connect.database = "binlog_test";
  makeSource(options);
  for (int round = 0; round < 3; ++round) {
    std::vector<std::string> remedies;
    for (const TableIssue& issue : source->validateTables({})) {
      if (issue.code != ErrorCode::permissionDenied) continue;
      remedies.push_back(issue.message.substr(issue.message.find("GRANT")));
    }
    EXPECT_EQ(remedies.empty(), round > 0) << "the first round finds them, and none is left after it";
    for (const std::string& remedy : remedies) execute(writer, {remedy});
    source->close();
    makeSource(options);
  }
  reader->start({kTable}, reader->baseline({kTable}));
  execute(writer, {"INSERT INTO t VALUES (2, 'b')"});
  EXPECT_EQ(opsOf(changes(1)), "insert");
}

TEST_F(BinlogOutcomes, TablesThatCannotBeStreamedAreIssues) {
  execute(writer, {"CREATE TABLE keyless (id INT)", "CREATE VIEW v AS SELECT 1 AS id",
                   "CREATE TABLE old (id INT PRIMARY KEY) ENGINE = MyISAM"});
  makeSource();
  EXPECT_TRUE(mentions(source->validateTables({"binlog_test.keyless"}),
                       "ALTER TABLE `binlog_test`.`keyless` ADD PRIMARY KEY", true));
  EXPECT_TRUE(mentions(source->validateTables({"binlog_test.v"}), "VIEW", true));
  EXPECT_TRUE(mentions(source->validateTables({"binlog_test.old"}), "ENGINE = InnoDB", false));
  EXPECT_TRUE(mentions(source->validateTables({"binlog_test.none"}), "does not exist", true));
  EXPECT_TRUE(source->validateTables({kTable}).empty());
}

TEST_F(BinlogOutcomes, ALargeTransactionPassesInPieces) {
  follow({kTable});
  execute(writer, {"INSERT INTO t SELECT seq + 100, REPEAT('x', 20) FROM " + numbersTo(30'000)});
  const auto seen = changes(30'000);
  ASSERT_EQ(seen.size(), 30'000u);
  EXPECT_TRUE(seen.front().transactionBegin && seen.back().transactionEnd);
  EXPECT_EQ(std::count_if(seen.begin(), seen.end(), [](const ChangeEvent& e) { return e.transactionEnd; }), 1);
  reader->stop();
  reader->start({kTable}, seen[20'000].position);
  EXPECT_EQ(changes(39'999).size(), 39'999u) << "and goes on from its middle";
}

TEST_F(BinlogOutcomes, ABaselineOfLargeRowsComesInSmallBatches) {
  execute(writer, {"CREATE TABLE large (id INT PRIMARY KEY, a MEDIUMTEXT)",
                   "INSERT INTO large SELECT seq, REPEAT('x', 524288) FROM " + numbersTo(40)});
  const auto own = ::tidegate::mysql::source(quickOptions());
  own->init({});
  std::size_t rows = 0, most = 0;
  own->baseline({"binlog_test.large"},
                [&](ChangeBatch& batch) {
                  for (const ChangeEvent& event : batch) rows += event.op == ChangeOp::read ? 1 : 0;
                  most = std::max(most, batch.size());
                  return Taken::yes;
                },
                {});
  EXPECT_EQ(rows, 40u);
  EXPECT_LE(most, 10u) << "4 MiB";
}

TEST_F(BinlogOutcomes, EncryptedConnectionsWork) {
  SourceOptions options = quickOptions();
  options.connect = {.host = "localhost",
                     .port = static_cast<std::uint16_t>(std::stoi(servers::environment("TIDEGATE_MYSQL_PORT"))),
                     .user = "tidegate",
                     .password = "tidegate-secret",
                     .tls = TlsMode::verifyFull,
                     .caFile = servers::environment("TIDEGATE_TLS_DIR") + "/ca.pem"};
  follow({kTable}, options);
  execute(writer, {"INSERT INTO t SELECT seq + 100, 'b' FROM " + numbersTo(1'000)});
  EXPECT_EQ(changes(1'000).size(), 1'000u);
  source->pause();
  EXPECT_TRUE(eventually([&] { return source->state() == SourceState::paused; }));
  source->resume();
  execute(writer, {"INSERT INTO t VALUES (2, 'b')"});
  EXPECT_EQ(changes(1'001).size(), 1'001u);
}

TEST_F(BinlogOutcomes, OptionsThatCannotWorkAreRefused) {
  for (const auto& spoil : std::vector<void (*)(SourceOptions&)>{
           [](SourceOptions& o) { o.batchEvents = 0; },
           [](SourceOptions& o) { o.heartbeatInterval = std::chrono::milliseconds(1); },
           [](SourceOptions& o) { o.monitorInterval = std::chrono::milliseconds(0); },
           [](SourceOptions& o) { o.backoff.firstDelay = std::chrono::milliseconds(0); }}) {
    SourceOptions options;
    spoil(options);
    EXPECT_EQ(servers::errorOf([&] { mysql::source(options); }).code(), ErrorCode::invalidConfig);
  }
}

}  // namespace
}  // namespace tidegate::mysql
