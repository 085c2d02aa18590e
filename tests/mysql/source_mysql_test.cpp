// What only MySQL has: sets of GTIDs with tags, snapshots without a lock, partial JSON, hidden keys and columns.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "mysql/binlog_rig.h"
#include "tidegate/core/value.h"

namespace tidegate::mysql {
namespace {

class MySqlAlone : public BinlogTest {
 protected:
  void SetUp() override {
    if (isMariaDb()) GTEST_SKIP() << "run it with TIDEGATE_MYSQL_SERVER=mysql";
    BinlogTest::SetUp();
    execute(writer, {"CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20), doc JSON)"});
    gtids = hasGtids();
  }
  void TearDown() override {
    if (isMariaDb()) return;
    execute(writer, {"DROP USER IF EXISTS limited@localhost, fresh@'%'"});
    BinlogTest::TearDown();
  }
  std::string textOf(const Position& at) const { return source->positionToText(at); }
  /// A session with the server's settings of now.
  QueryFn another() const {
    QueryFn session = queryFn(testConnect());
    execute(session, {"USE binlog_test"});
    return session;
  }
  std::string cell(const std::string& column, int id) const {
    return describe(readAll(writer, fmt::format("SELECT {} FROM t WHERE id = {}", column, id)).at(0).at(0));
  }
  static bool mentions(const std::vector<TableIssue>& issues, const std::string& text, bool fatal) {
    return std::any_of(issues.begin(), issues.end(), [&](const TableIssue& issue) {
      return issue.message.find(text) != std::string::npos && issue.fatal == fatal;
    });
  }

  bool gtids = false;
};

TEST_F(MySqlAlone, PositionsAreGtidsWhereTheServerGivesThem) {
  follow({kTable});
  execute(writer, {"INSERT INTO t (id) VALUES (1)"});
  const ChangeEvent event = changes(1).at(0);
  EXPECT_TRUE(textOf(event.position).starts_with(gtids ? "uuid:" : "file:")) << textOf(event.position);
  EXPECT_EQ(event.transactionId != 0, gtids);
}

TEST_F(MySqlAlone, ANewProcessGoesOnBehindARestartedServer) {
  follow({kTable});
  execute(writer, {"INSERT INTO t (id) VALUES (1), (2), (3)"});
  const Position within = changes(3).at(0).position;
  reader->stop();
  execute(writer, {"INSERT INTO t (id) VALUES (4)"});
  servers::control("mysql", "kill9");
  servers::control("mysql", "start");
  execute(writer = another(), {"INSERT INTO t (id) VALUES (5)"});
  makeSource();
  reader->start({kTable}, within);
  const auto seen = changes(4);
  std::string ids;
  for (const ChangeEvent& event : seen) ids += describe(event.after.at(0));
  EXPECT_EQ(ids, "2345");
}

TEST_F(MySqlAlone, TransactionsWithTagsAreFollowedAndGoneOnFrom) {
  if (!gtids) GTEST_SKIP() << "without GTIDs there are no tags";
  follow({kTable});
  execute(writer,
          {"SET SESSION gtid_next = 'AUTOMATIC:orders'", "INSERT INTO t (id) VALUES (1), (2)",
           "INSERT INTO t (id) VALUES (3)", "SET SESSION gtid_next = 'AUTOMATIC'", "INSERT INTO t (id) VALUES (4)"});
  const auto seen = changes(4);
  EXPECT_NE(textOf(seen[0].position).find(":orders:"), std::string::npos) << "the transaction, since it is open";
  EXPECT_NE(textOf(seen[2].position).find(":orders:1-"), std::string::npos) << textOf(seen[2].position);
  EXPECT_EQ(source->comparePositions(seen[1].position, seen[2].position), std::partial_ordering::less);
  for (const std::size_t from : {0U, 1U, 2U}) {
    reader->stop();
    makeSource();
    reader->start({kTable}, source->positionFromText(textOf(seen[from].position)));
    const auto again = changes(3 - from);
    ASSERT_EQ(again.size(), 3 - from);
    EXPECT_EQ(describe(again[0].after.at(0)), describe(seen[from + 1].after.at(0)));
    EXPECT_TRUE(again.back().position == seen[3].position);
  }
}

TEST_F(MySqlAlone, GtidsThatTheServerHasNotSeenAreALostPlace) {
  if (!gtids) GTEST_SKIP() << "positions are by file";
  makeSource();
  const std::string at = textOf(reader->baseline({kTable}));
  reader->start({kTable}, source->positionFromText(at + ",4e11fa47-71ca-11e1-9e33-c80aa9429562:1-7"));
  EXPECT_EQ(failure().code(), ErrorCode::positionLost) << "it was read from another server, which had more";
}

TEST_F(MySqlAlone, ALargeCompressedTransactionIsGoneOnWithFromItsMiddle) {
  execute(writer, {"SET GLOBAL binlog_transaction_compression = ON"});
  follow({kTable});
  execute(another(), {"INSERT INTO t (id, a) SELECT seq, REPEAT('x', 20) FROM " + numbersTo(20'000)});
  const auto seen = changes(20'000);
  ASSERT_EQ(seen.size(), 20'000u);
  reader->stop();
  reader->start({kTable}, seen[12'345].position);
  const auto rest = changes(20'000 + 7'654);
  EXPECT_EQ(describe(rest.at(20'000).after.at(0)), describe(seen[12'346].after.at(0)));
  EXPECT_TRUE(rest.back().position == seen.back().position);
}

TEST_F(MySqlAlone, PartialUpdatesOfDocumentsAreWhole) {
  execute(writer, {"SET GLOBAL binlog_row_value_options = 'PARTIAL_JSON'"});
  for (const char* image : {"FULL", "MINIMAL"}) {
    SCOPED_TRACE(image);
    execute(writer, {std::string("SET GLOBAL binlog_row_image = ") + image, "DELETE FROM t"});
    const QueryFn session = another();
    execute(session, {"INSERT INTO t VALUES (1, 'a', '{\"list\": [1, {\"deep\": \"x\"}, 3], \"n\": 1.5, \"long\": "
                      "\"................................................................................\"}')"});
    follow({kTable});
    const std::vector<std::string> updates{"JSON_SET(doc, '$.n', 2)", "JSON_REPLACE(doc, '$.list[1].deep', 'ä')",
                                           "JSON_SET(doc, '$.list[3]', TRUE, '$.more', CAST('{\"a\": []}' AS JSON))",
                                           "JSON_REMOVE(doc, '$.list[0]', '$.n')",
                                           "JSON_SET(doc, '$.\"odd key\"', NULL)"};
    std::size_t count = 0;
    for (const std::string& update : updates) {
      execute(session, {"UPDATE t SET doc = " + update + " WHERE id = 1"});
      const ChangeEvent event = changes(++count).back();
      EXPECT_EQ(event.op, ChangeOp::update);
      EXPECT_EQ(describe(event.after.at(2)), cell("doc", 1)) << update;
    }
    reader->stop();
  }
}

/// Of every kind that documents are made of, in small and large forms.
const std::vector<std::string> kDocuments{
    "NULL",
    "'null'",
    "'true'",
    "'[]'",
    "'{}'",
    "'\"\"'",
    "'[1, -1, 127, 128, -32768, 32768, 2147483648, -2147483649]'",
    "'[9223372036854775807, -9223372036854775808, 18446744073709551615, 18446744073709551616]'",
    "'[0.1, -0.0, 1e300, 5e-324, 1e0, 100000000000000000000, 1e14, 1e15, 1e16, 123456789012345678.0, 1.5e-5, 1e-15, "
    "1.5e-16, 1234567890123456.5, 9007199254740993.0, 123456789.123456789, 0.00001234567890123456, -1.25e17, 100.0]'",
    "'{\"ä\": \"zoë 🦉\", \"\": {\"\": [[]]}}'",
    R"('"\\u0001 \\" \\\\ \\n"')",
    "JSON_ARRAY(CAST(1.50 AS DECIMAL(10,2)), CAST(-0.007 AS DECIMAL(5,3)))",
    "JSON_OBJECT('d', DATE '2024-02-29', 't', TIME '-12:34:56.789', 'dt', TIMESTAMP '2024-05-01 12:00:00.000001')",
    "JSON_ARRAY(x'00ff27', b'101', CAST(POINT(1, 2) AS JSON))",
    "(SELECT JSON_ARRAYAGG(REPEAT('x', 100)) FROM (SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3) AS q)",
    "JSON_OBJECT('big', REPEAT('y', 70000), 'more', JSON_ARRAY(1, 'two', NULL))"};

TEST_F(MySqlAlone, DocumentsOfEveryKindAreTheSameInBaselineAndStream) {
  for (std::size_t i = 0; i < kDocuments.size(); ++i) {
    execute(writer, {fmt::format("INSERT INTO t (id, doc) VALUES ({}, {})", i, kDocuments[i])});
  }
  follow({kTable});
  execute(writer, {"UPDATE t SET id = id + 100"});
  std::map<std::string, std::string> read, streamed;
  for (const ChangeEvent& event : changes(2 * kDocuments.size())) {
    if (event.op == ChangeOp::insert) streamed[describe(event.after.at(0))] = describe(event.after.at(2));
  }
  for (const ChangeEvent& event : events()) {
    if (event.op == ChangeOp::read) read[describe(event.after.at(0))] = describe(event.after.at(2));
  }
  ASSERT_EQ(streamed.size(), kDocuments.size());
  for (std::size_t i = 0; i < kDocuments.size(); ++i) {
    EXPECT_EQ(streamed[std::to_string(i + 100)], read[std::to_string(i)]) << kDocuments[i].substr(0, 200);
  }
}

TEST_F(MySqlAlone, InvisibleColumnsAndHiddenKeysAreReadLikeAnyOther) {
  execute(writer, {"CREATE TABLE hidden (id INT PRIMARY KEY, secret INT DEFAULT 7 INVISIBLE, a INT)",
                   "INSERT INTO hidden (id, a) VALUES (1, 1)", "SET SESSION sql_generate_invisible_primary_key = ON",
                   "CREATE TABLE keyless (a INT)", "INSERT INTO keyless VALUES (5)"});
  makeSource();
  EXPECT_TRUE(source->validateTables({"binlog_test.hidden", "binlog_test.keyless"}).empty());
  EXPECT_EQ(source->describeTable("binlog_test.keyless")->schema.primaryKey, std::vector<std::string>{"my_row_id"});
  follow({"binlog_test.hidden", "binlog_test.keyless"});
  execute(writer, {"INSERT INTO hidden (id, secret, a) VALUES (2, 9, 1)", "UPDATE keyless SET a = 6",
                   "ALTER TABLE hidden ALTER COLUMN secret SET VISIBLE", "DELETE FROM keyless"});
  const auto seen = changes(3);
  ASSERT_EQ(opsOf(seen), "insert update erase");
  EXPECT_EQ(describe(seen[0].after.at(1)), "9");
  EXPECT_EQ(describe(seen[1].after.at(1)), "6");
  EXPECT_EQ(describe(seen[2].before.at(0)), "1");
}

/// Each row's changes follow each other, from what the baseline read: nothing is told twice, and nothing is left out.
TEST_F(MySqlAlone, ABaselineUnderWritersIsExactAndMostlyNeedsNoLock) {
  execute(writer, {"CREATE TABLE counters (id INT PRIMARY KEY, n INT)",
                   "INSERT INTO counters SELECT seq, 0 FROM " + numbersTo(50)});
  for (const int pause : {0, 20}) {
    SCOPED_TRACE(pause);
    std::atomic<bool> done{false};
    std::vector<std::jthread> writers;
    for (int w = 0; w < 2; ++w) {
      writers.emplace_back([&, w] {
        const QueryFn db = another();
        for (int i = 0; !done; ++i) {
          execute(db, {fmt::format("UPDATE counters SET n = n + 1 WHERE id = {}", 1 + (i * 2 + w) % 50)});
          if (pause > 0) systemScheduler().waitFor(std::chrono::milliseconds(pause), {});
        }
      });
    }
    const auto locks = [&] { return readAll(writer, "SHOW GLOBAL STATUS LIKE 'Com_flush'").at(0).at(1); };
    const Value before = locks();
    follow({"binlog_test.counters"});
    if (!gtids || pause > 0) {
      EXPECT_EQ(locks() == before, gtids) << "where somebody pauses and there are GTIDs, nothing is locked";
    }
    changes(200);
    done = true;
    writers.clear();
    std::map<std::string, std::int64_t> n;
    for (const ChangeEvent& event : events()) {
      if (event.after.size() < 2) continue;
      const std::string id = describe(event.after[0]);
      const std::int64_t now = *event.after[1].getIf<std::int64_t>();
      if (event.op == ChangeOp::update) {
        EXPECT_EQ(now, n[id] + 1) << "row " << id;
      }
      n[id] = now;
    }
    reader->stop();
  }
}

TEST_F(MySqlAlone, WithoutTheRightToLockAQuietServerIsReadAllTheSame) {
  execute(writer, {"CREATE USER limited@localhost IDENTIFIED BY 'limited-secret'",
                   "GRANT SELECT ON binlog_test.* TO limited@localhost",
                   "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO limited@localhost"});
  SourceOptions options = quickOptions();
  options.connect.user = "limited";
  options.connect.password = "limited-secret";
  options.connect.database = "binlog_test";
  makeSource(options);
  EXPECT_TRUE(mentions(source->validateTables({}), "GRANT RELOAD ON *.* TO 'limited'@'localhost'", !gtids));
  if (!gtids) {
    EXPECT_EQ(servers::errorOf([&] { reader->baseline({kTable}); }).code(), ErrorCode::permissionDenied);
    return;
  }
  reader->start({kTable}, reader->baseline({kTable}));
  execute(writer, {"INSERT INTO t (id) VALUES (1)"});
  EXPECT_EQ(opsOf(changes(1)), "insert");
}

TEST_F(MySqlAlone, ATableThatSomebodyHoldsDoesNotKeepAllWritersWaiting) {
  if (gtids) GTEST_SKIP() << "nothing is locked with GTIDs; run it with TIDEGATE_MYSQL_GTID=OFF";
  const QueryFn holder = another();
  execute(holder, {"LOCK TABLES t WRITE"});
  makeSource(quickOptions());
  const Error refused = servers::errorOf([&] { reader->baseline({kTable}); });
  EXPECT_EQ(refused.retry(), Retry::later);
  EXPECT_NE(refused.message().find("cannot be locked for a moment"), std::string::npos) << refused.message();
  execute(holder, {"UNLOCK TABLES"});
  reader->baseline({kTable});
}

TEST_F(MySqlAlone, WhatItsSettingsLackIsSaidWithTheStatementThatMendsIt) {
  execute(writer, {"SET GLOBAL binlog_row_value_options = 'PARTIAL_JSON'", "SET GLOBAL binlog_row_image = MINIMAL"});
  SourceOptions options = quickOptions();
  options.positions = PositionBy::gtid;
  makeSource(options);
  auto issues = source->validateTables({});
  EXPECT_TRUE(mentions(issues, "SET GLOBAL binlog_row_value_options = ''", false));
  EXPECT_EQ(mentions(issues, "SET GLOBAL gtid_mode = OFF_PERMISSIVE, ON_PERMISSIVE and ON", true), !gtids);
  execute(writer, {"SET GLOBAL binlog_row_value_options = ''", "SET GLOBAL binlog_row_image = FULL"});
  if (!gtids) {
    execute(writer, {"SET GLOBAL enforce_gtid_consistency = ON", "SET GLOBAL gtid_mode = OFF_PERMISSIVE",
                     "SET GLOBAL gtid_mode = ON_PERMISSIVE", "SET GLOBAL gtid_mode = ON"});
  }
  EXPECT_TRUE(source->validateTables({}).empty());
  if (gtids) return;
  execute(writer, {"SET GLOBAL gtid_mode = ON_PERMISSIVE", "SET GLOBAL gtid_mode = OFF_PERMISSIVE",
                   "SET GLOBAL gtid_mode = OFF"});
}

/// MySQL's own way of checking passwords: over a plain connection by the server's public key, once; then by a digest.
TEST_F(MySqlAlone, AnAccountThatNobodyHasUsedYetCanConnect) {
  const auto port = static_cast<std::uint16_t>(std::stoi(servers::environment("TIDEGATE_MYSQL_PORT")));
  for (const TlsMode tls : {TlsMode::off, TlsMode::verifyFull}) {
    execute(writer, {"DROP USER IF EXISTS fresh@'%'",
                     "CREATE USER fresh@'%' IDENTIFIED WITH caching_sha2_password BY 'fresh-secret'",
                     "GRANT SELECT ON binlog_test.* TO fresh@'%'",
                     "GRANT REPLICATION SLAVE, REPLICATION CLIENT, RELOAD ON *.* TO fresh@'%'"});
    SourceOptions options = quickOptions();
    options.connect = {.host = "localhost", .port = port, .user = "fresh", .password = "fresh-secret", .tls = tls};
    if (tls == TlsMode::verifyFull) options.connect.caFile = servers::environment("TIDEGATE_TLS_DIR") + "/ca.pem";
    makeSource(options);
    EXPECT_TRUE(source->validateTables({}).empty());
    const QueryFn query = queryFn(options.connect);
    EXPECT_EQ(readAll(query, "SELECT COUNT(*) FROM binlog_test.t").size(), 1u);
  }
}

}  // namespace
}  // namespace tidegate::mysql
