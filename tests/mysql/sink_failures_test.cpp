/// What a MySQL sink says and leaves behind when its server, its rights or its rivals get in the way.
#include <gtest/gtest.h>

#include <thread>

#include "mysql/sink_target.h"
#include "servers/sink_rig.h"

namespace tidegate::servers {
namespace {

class MySqlSinkFailures : public SinkRig<MySqlTarget> {
 protected:
  void SetUp() override {
    prepare(t);
    insert(t, {1, "a"});
    commit("first");
  }
  static QueryFn another() {
    return mysql::queryFn({.url = environment("TIDEGATE_MYSQL_URL"), .database = "sink_test", .readOnly = false});
  }
  /// Waits until a connection is in that state with a statement that begins like this.
  static void awaitStatement(const QueryFn& query, const std::string& begins, const std::string& state) {
    EXPECT_TRUE(eventually([&] {
      return !readAll(query,
                      Query{.sql = "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE ? AND STATE LIKE ?",
                            .params = {begins + "%", state}})
                  .empty();
    })) << describe(readAll(query,
                            "SELECT GROUP_CONCAT(STATE, ': ', INFO) AS s FROM information_schema.PROCESSLIST")[0][0]);
  }
  std::optional<std::string> openAgain() {
    batch.clear();
    return sink->open({.pipeline = "p"});
  }

  const Shape t = things("things");
};

TEST_F(MySqlSinkFailures, AServerKilledInTheMiddleOfAUnitLeavesTheCommitBefore) {
  insert(t, {2, "never"});
  flush();
  sink->expire(t, "name", "A");  // what is pending is sent
  control("mysql", "kill9");
  const Error e = errorOf([&] { commit("second"); });
  EXPECT_EQ(e.code(), ErrorCode::connectionFailed) << e.what();
  EXPECT_EQ(e.retry(), Retry::later);
  EXPECT_EQ(errorOf([&] { openAgain(); }).code(), ErrorCode::connectionFailed);
  control("mysql", "start");
  EXPECT_EQ(openAgain(), "first");
  expectExactly(t, {{1, "a"}});
  insert(t, {2, "b"});
  commit("second");
  expectExactly(t, {{1, "a"}, {2, "b"}});
}

TEST_F(MySqlSinkFailures, ACommitThatTheServerDidNotLiveToFinishIsUnknownAndThenUndone) {
  if (!servers::isMariaDb()) GTEST_SKIP() << "on MySQL nothing holds commits back and lets rows be written";
  insert(t, {2, "lost"});
  flush();
  sink->expire(t, "name", "A");
  const QueryFn blocker = another();
  // Rows may still be written, but no commit gets through.
  execute(blocker, {"BACKUP STAGE START", "BACKUP STAGE FLUSH", "BACKUP STAGE BLOCK_DDL", "BACKUP STAGE BLOCK_COMMIT"});
  std::jthread killer([&] {
    awaitStatement(admin, "COMMIT", "%");
    control("mysql", "kill9");
  });
  const Error e = errorOf([&] { commit("second"); });
  killer.join();
  EXPECT_EQ(e.code(), ErrorCode::connectionFailed) << e.what();
  EXPECT_EQ(e.retry(), Retry::outcomeUnknown) << e.what();
  control("mysql", "start");
  EXPECT_EQ(openAgain(), "first");
  expectExactly(t, {{1, "a"}});
}

TEST_F(MySqlSinkFailures, AWriterBeforeThatIsStuckInItsUnitIsEndedAndLearnsWhy) {
  update(t, {1, "of the first"});
  flush();
  sink->expire(t, "name", "A");  // it holds the row's lock now
  const auto second = target.sink();
  EXPECT_EQ(second->open({.pipeline = "p"}), "first");
  ChangeBatch theirs;
  theirs.add(ChangeOp::update, t).after = {1, "of the second"};
  second->prepareTable(t);
  second->apply(theirs);
  second->commit("of the second");
  EXPECT_EQ(errorOf([&] { commit("of the first"); }).code(), ErrorCode::fenced);
  expectExactly(t, {{1, "of the second"}});
  EXPECT_EQ(openAgain(), "of the second");  // who opens it again means it
  EXPECT_EQ(errorOf([&] { second->commit("too late"); }).code(), ErrorCode::fenced);
}

TEST_F(MySqlSinkFailures, AWriterThatWasAwayAndOvertakenSaysSoWhenItComesBack) {
  target.breakNextCommit();
  const auto second = target.sink();
  second->open({.pipeline = "p"});
  second->commit("of the second");
  EXPECT_EQ(errorOf([&] { openAgain(); }).code(), ErrorCode::fenced);
  second->commit("still the second's");
}

TEST_F(MySqlSinkFailures, AKilledConnectionIsForLater) {
  insert(t, {2, "b"});
  flush();
  target.breakNextCommit();
  const Error e = errorOf([&] { commit("second"); });
  EXPECT_EQ(e.code(), ErrorCode::connectionFailed) << e.what();
  EXPECT_EQ(e.retry(), Retry::later);
  EXPECT_EQ(openAgain(), "first");
}

TEST_F(MySqlSinkFailures, AFullDiskIsForLater) {
  // What the server says when a table cannot grow, said by a trigger.
  execute(admin,
          {"CREATE TRIGGER full_disk BEFORE INSERT ON things FOR EACH ROW SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = "
           "1114, MESSAGE_TEXT = 'The table is full'"});
  insert(t, {2, "b"});
  const Error e = errorOf([&] { commit("second"); });
  EXPECT_EQ(e.code(), ErrorCode::queryFailed);
  EXPECT_EQ(e.retry(), Retry::later) << e.what();
  execute(admin, {"DROP TRIGGER full_disk"});
  batch.clear();
  insert(t, {2, "b"});
  commit("second");  // the sink is still open, and begins its unit anew
  expectExactly(t, {{1, "a"}, {2, "b"}});
}

TEST_F(MySqlSinkFailures, ADeadlockIsForLater) {
  const Shape other = things("zebras");
  prepare(other);
  insert(other, {1, "z"});
  commit("second");
  update(t, {1, "mine"});
  update(other, {1, "mine"});
  flush();
  const QueryFn rival = another();
  // The rival has changed more rows, so the server chooses the sink.
  execute(rival,
          {"CREATE TABLE heavy (n int) ENGINE = InnoDB", "START TRANSACTION",
           "INSERT INTO heavy SELECT seq FROM " + servers::numbersTo(1'000), "UPDATE zebras SET name = 'theirs'"});
  std::jthread rivals([&] {
    awaitStatement(admin, "INSERT INTO `zebras`", "%");
    execute(rival, {"UPDATE things SET name = 'theirs'", "ROLLBACK"});
  });
  const Error e = errorOf([&] { commit("third"); });
  rivals.join();
  EXPECT_NE(e.message().find("1213"), std::string::npos) << e.what();
  EXPECT_EQ(e.retry(), Retry::later);
  batch.clear();
  update(t, {1, "mine"});
  update(other, {1, "mine"});
  commit("third");
  expectExactly(other, {{1, "mine"}});
}

TEST_F(MySqlSinkFailures, AWaitForALockThatTakesTooLongIsForLater) {
  options.connect.statementTimeout = std::chrono::milliseconds{300};
  reopen();
  const QueryFn rival = another();
  execute(rival, {"START TRANSACTION", "UPDATE things SET name = 'theirs'"});
  update(t, {1, "mine"});
  const Error e = errorOf([&] { commit("second"); });
  EXPECT_EQ(e.retry(), Retry::later) << e.what();
  execute(rival, {"ROLLBACK"});
  EXPECT_EQ(openAgain(), "first");
}

TEST_F(MySqlSinkFailures, ARowLargerThanAPacketIsRefusedWithTheSettingThatMendsIt) {
  execute(admin, {"SET GLOBAL max_allowed_packet = 1048576"});
  reopen();
  insert(t, {2, std::string(2 << 20, 'x')});
  const Error e = errorOf([&] { commit("second"); });
  batch.clear();
  insert(t, {2, std::string(900'000, 'x')});
  insert(t, {3, std::string(900'000, 'x')});
  commit("second");
  execute(admin, {"SET GLOBAL max_allowed_packet = 67108864"});
  EXPECT_EQ(e.retry(), Retry::afterOperator);
  EXPECT_NE(e.message().find("SET GLOBAL max_allowed_packet"), std::string::npos) << e.what();
  EXPECT_NE(e.message().find("\"things\""), std::string::npos) << e.what();
  EXPECT_EQ(ask("SELECT COUNT(*) AS n FROM things"), "3");
}

TEST_F(MySqlSinkFailures, TheSessionDoesNotDependOnTheServersSettings) {
  options.connect.sessionSql = {"SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'", "SET time_zone = '+05:00'",
                                "SET NAMES latin1"};
  reopen();
  const Shape other =
      contract::shapeOf("odd \"`",
                        {contract::column("id", ValueKind::int64, false),
                         contract::column("text", ValueKind::text),
                         {.name = "at", .kind = ValueKind::timestamp, .sourceType = "timestamp with time zone"}},
                        {"id"});
  prepare(other);
  insert(other, {0, "zo\xC3\xAB \xF0\x9F\xA6\x89 \\ ' \"", Timestamp::utc(1'714'564'800'000'001)});
  commit();
  sink = target.sink();  // reads in a session of its own
  expectExactly(other, {{0, "zo\xC3\xAB \xF0\x9F\xA6\x89 \\ ' \"", Timestamp::utc(1'714'564'800'000'001)}});
}

TEST_F(MySqlSinkFailures, AWrongPasswordIsRefusedWithoutRepeatingIt) {
  options.connect.password = "wr0ng-guess";
  const Error e = errorOf([&] { reopen(); });
  EXPECT_EQ(e.code(), ErrorCode::authenticationFailed);
  EXPECT_EQ(std::string(e.what()).find("wr0ng-guess"), std::string::npos) << e.what();
}

TEST_F(MySqlSinkFailures, MissingRightsAreNamedWithTheGrantThatGivesThem) {
  execute(admin, {"DROP USER IF EXISTS poor@localhost", "CREATE USER poor@localhost IDENTIFIED BY 'poor'",
                  "GRANT SELECT ON sink_test.things TO poor@localhost"});
  options.connect.user = options.connect.password = "poor";
  options.tablePrefix = "poor_";
  Error e = errorOf([&] { reopen(); });
  EXPECT_EQ(e.code(), ErrorCode::permissionDenied);
  EXPECT_EQ(e.retry(), Retry::afterOperator);
  EXPECT_NE(e.message().find("ON `sink_test`.* TO poor@localhost"), std::string::npos) << e.what();
  execute(admin, {"GRANT ALL ON sink_test.* TO poor@localhost"});
  reopen();
  insert(t, {2, "b"});
  commit();
  expectExactly(t, {{1, "a"}, {2, "b"}});
  sink->close();
  execute(admin, {"DROP USER poor@localhost"});
}

TEST_F(MySqlSinkFailures, AStopEndsAWaitForALock) {
  std::stop_source stop;
  sink->open({.pipeline = "p", .stop = stop.get_token()});
  const QueryFn rival = another();
  execute(rival, {"START TRANSACTION", "UPDATE things SET name = 'theirs'"});
  update(t, {1, "mine"});
  std::jthread stopper([&] {
    awaitStatement(admin, "INSERT INTO `things`", "%");
    stop.request_stop();
  });
  EXPECT_EQ(errorOf([&] { commit("second"); }).code(), ErrorCode::queryCancelled);
  stopper.join();
  execute(rival, {"ROLLBACK"});
  EXPECT_EQ(openAgain(), "first");
}

TEST_F(MySqlSinkFailures, ASinkWithoutADatabaseIsRefusedAtOnce) {
  const Error e = errorOf([&] { mysql::sink({.connect = {.url = "mysql://user@localhost"}}); });
  EXPECT_EQ(e.code(), ErrorCode::invalidConfig);
}

}  // namespace
}  // namespace tidegate::servers
