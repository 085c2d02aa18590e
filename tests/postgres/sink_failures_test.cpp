/// What a Postgres sink says and leaves behind when its server, its rights or its rivals get in the way.
#include <gtest/gtest.h>

#include <thread>

#include "postgres/sink_target.h"
#include "servers/sink_rig.h"

namespace tidegate::servers {
namespace {

class PostgresSinkFailures : public SinkRig<PostgresTarget> {
 protected:
  void SetUp() override {
    prepare(t);
    insert(t, {1, "a"});
    commit("first");
  }
  /// Waits until a session runs something that begins like this, and waits for what `event` names.
  void awaitSession(const std::string& query, const std::string& event) {
    ASSERT_TRUE(eventually([&] {
      return !readAll(admin, Query{.sql = "SELECT 1 FROM pg_stat_activity WHERE query LIKE $1 AND wait_event = $2",
                                   .params = {query + "%", event}})
                  .empty();
    }));
  }
  std::optional<std::string> openAgain() {
    batch.clear();
    return sink->open({.pipeline = "p"});
  }

  const Shape t = things("things");
};

TEST_F(PostgresSinkFailures, AServerKilledInTheMiddleOfAUnitLeavesTheCommitBefore) {
  insert(t, {2, "never"});
  flush();
  control("postgres", "kill9");
  insert(t, {3, "never"});
  const Error e = errorOf([&] { commit("second"); });
  EXPECT_EQ(e.code(), ErrorCode::connectionFailed) << e.what();
  EXPECT_EQ(e.retry(), Retry::later);
  EXPECT_EQ(errorOf([&] { openAgain(); }).code(), ErrorCode::connectionFailed);
  control("postgres", "start");
  EXPECT_EQ(openAgain(), "first");
  expectExactly(t, {{1, "a"}});
  insert(t, {2, "b"});
  commit("second");
  expectExactly(t, {{1, "a"}, {2, "b"}});
}

TEST_F(PostgresSinkFailures, ACommitThatTheServerDidNotLiveToFinishIsUnknownAndThenUndone) {
  execute(admin,
          {"CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(60); RETURN NULL; "
           "END$$",
           "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON things DEFERRABLE INITIALLY DEFERRED FOR EACH ROW "
           "EXECUTE FUNCTION slow()"});
  insert(t, {2, "lost"});
  flush();
  std::jthread killer([&] {
    awaitSession("COMMIT", "PgSleep");
    control("postgres", "kill9");
  });
  const Error e = errorOf([&] { commit("second"); });
  EXPECT_EQ(e.code(), ErrorCode::connectionFailed) << e.what();
  EXPECT_EQ(e.retry(), Retry::outcomeUnknown);
  killer.join();
  control("postgres", "start");
  EXPECT_EQ(openAgain(), "first");
  expectExactly(t, {{1, "a"}});
}

TEST_F(PostgresSinkFailures, ACommitWhoseAnswerWasLostIsUnknownAndThenFound) {
  execute(admin, {"ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "SELECT pg_reload_conf()"});
  ASSERT_TRUE(eventually([&] { return ask("SHOW synchronous_standby_names") == "\"nobody\""; }));
  insert(t, {2, "kept"});
  flush();
  std::jthread killer([&] {
    awaitSession("COMMIT", "SyncRep");  // durable, and waiting for a standby that is not there
    execute(admin, {"ALTER SYSTEM RESET synchronous_standby_names"});
    control("postgres", "kill9");
  });
  const Error e = errorOf([&] { commit("second"); });
  EXPECT_EQ(e.retry(), Retry::outcomeUnknown) << e.what();
  killer.join();
  control("postgres", "start");
  EXPECT_EQ(openAgain(), "second");
  expectExactly(t, {{1, "a"}, {2, "kept"}});
}

TEST_F(PostgresSinkFailures, AWriterBeforeThatIsStuckInItsUnitIsEndedAndLearnsWhy) {
  const Shape empty = things("empty");
  prepare(empty);
  begin(empty);
  read(empty, {1, std::string(300'000, 'x')});  // enough for a COPY to be under way
  update(t, {1, "of the first"});
  flush();
  const auto second = target.sink();
  EXPECT_EQ(second->open({.pipeline = "p"}), "prepared");
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

TEST_F(PostgresSinkFailures, AWriterThatWasAwayAndOvertakenSaysSoWhenItComesBack) {
  execute(admin, {"SELECT pg_terminate_backend(writer_pid, 5000) FROM sink_books.checkpoints"});
  const auto second = target.sink();
  second->open({.pipeline = "p"});
  second->commit("of the second");
  EXPECT_EQ(errorOf([&] { openAgain(); }).code(), ErrorCode::fenced);
  second->commit("still the second's");
}

TEST_F(PostgresSinkFailures, ATerminatedSessionIsForLater) {
  insert(t, {2, "b"});
  flush();
  execute(admin, {"SELECT pg_terminate_backend(writer_pid, 5000) FROM sink_books.checkpoints"});
  const Error e = errorOf([&] { commit("second"); });
  EXPECT_EQ(e.code(), ErrorCode::connectionFailed) << e.what();
  EXPECT_EQ(e.retry(), Retry::later);
  EXPECT_EQ(openAgain(), "first");
}

TEST_F(PostgresSinkFailures, AFullDiskIsForLater) {
  // What the server says when it cannot extend a file, said by a trigger.
  execute(admin,
          {"CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'could not extend file: "
           "No space left on device' USING ERRCODE = 'disk_full'; END$$",
           "CREATE TRIGGER full_disk BEFORE INSERT ON things FOR EACH ROW EXECUTE FUNCTION full_disk()"});
  insert(t, {2, "b"});
  const Error e = errorOf([&] { commit("second"); });
  EXPECT_EQ(e.code(), ErrorCode::queryFailed);
  EXPECT_EQ(e.retry(), Retry::later) << e.what();
  execute(admin, {"DROP TRIGGER full_disk ON things"});
  batch.clear();
  insert(t, {2, "b"});
  commit("second");  // the sink is still open, and begins its unit anew
  expectExactly(t, {{1, "a"}, {2, "b"}});
}

TEST_F(PostgresSinkFailures, ADeadlockIsForLater) {
  options.connect.settings.emplace_back("deadlock_timeout", "2s");
  reopen();
  const Shape other = things("zebras");
  prepare(other);
  insert(other, {1, "z"});
  commit("second");
  update(t, {1, "mine"});
  update(other, {1, "mine"});
  flush();
  execute(admin, {"SET deadlock_timeout = '1h'", "BEGIN", "UPDATE zebras SET name = 'theirs'"});
  std::jthread rival([&] {
    const QueryFn watch = postgres::queryFn({.url = environment("TIDEGATE_POSTGRES_URL")});
    eventually([&] {
      return !readAll(watch, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT%'")
                  .empty();
    });
    execute(admin, {"UPDATE things SET name = 'theirs'", "ROLLBACK"});
  });
  const Error e = errorOf([&] { commit("third"); });
  rival.join();
  EXPECT_NE(e.message().find("40P01"), std::string::npos) << e.what();
  EXPECT_EQ(e.retry(), Retry::later);
  batch.clear();
  update(t, {1, "mine"});
  update(other, {1, "mine"});
  commit("third");
  expectExactly(other, {{1, "mine"}});
}

TEST_F(PostgresSinkFailures, AWrongPasswordIsRefusedWithoutRepeatingIt) {
  options.connect.password = "wr0ng-guess";
  const Error e = errorOf([&] { reopen(); });
  EXPECT_EQ(e.code(), ErrorCode::authenticationFailed);
  EXPECT_EQ(std::string(e.what()).find("wr0ng-guess"), std::string::npos) << e.what();
}

TEST_F(PostgresSinkFailures, MissingRightsAreNamedWithTheGrantThatGivesThem) {
  execute(admin, {"DROP ROLE IF EXISTS poor", "CREATE ROLE poor LOGIN PASSWORD 'poor'"});
  options.connect.user = options.connect.password = "poor";
  options.schema = "poor_books";
  Error e = errorOf([&] { reopen(); });
  EXPECT_EQ(e.code(), ErrorCode::permissionDenied);
  EXPECT_EQ(e.retry(), Retry::afterOperator);
  EXPECT_NE(e.message().find("GRANT CREATE ON DATABASE \"tidegate\" TO \"poor\""), std::string::npos) << e.what();
  execute(admin, {"CREATE SCHEMA poor_books AUTHORIZATION poor", "GRANT USAGE ON SCHEMA sink_test TO poor"});
  reopen();
  insert(t, {2, "b"});
  e = errorOf([&] { commit(); });
  EXPECT_EQ(e.code(), ErrorCode::permissionDenied);
  EXPECT_NE(e.message().find("GRANT SELECT, INSERT, UPDATE, DELETE ON \"things\" TO \"poor\""), std::string::npos)
      << e.what();
  batch.clear();
  execute(admin, {"GRANT SELECT, INSERT, UPDATE, DELETE ON things TO poor"});
  insert(t, {2, "b"});
  commit();
  expectExactly(t, {{1, "a"}, {2, "b"}});
  sink->close();
  execute(admin, {"DROP SCHEMA poor_books CASCADE", "DROP OWNED BY poor", "DROP ROLE poor"});
}

TEST_F(PostgresSinkFailures, AStopEndsAWaitForALock) {
  std::stop_source stop;
  sink->open({.pipeline = "p", .stop = stop.get_token()});
  execute(admin, {"BEGIN", "LOCK TABLE things"});
  insert(t, {2, "b"});
  std::jthread stopper([&] {
    awaitSession("", "relation");
    stop.request_stop();
  });
  EXPECT_EQ(errorOf([&] { commit("second"); }).code(), ErrorCode::queryCancelled);
  stopper.join();
  execute(admin, {"ROLLBACK"});
  EXPECT_EQ(openAgain(), "first");
}

TEST_F(PostgresSinkFailures, AStatementThatTakesTooLongIsForLater) {
  options.connect.statementTimeout = std::chrono::milliseconds{300};
  reopen();
  execute(admin, {"BEGIN", "LOCK TABLE things IN SHARE MODE"});
  insert(t, {2, "b"});
  const Error e = errorOf([&] { commit("second"); });
  EXPECT_EQ(e.code(), ErrorCode::queryCancelled) << e.what();
  EXPECT_EQ(e.retry(), Retry::later);
  execute(admin, {"ROLLBACK"});
  EXPECT_EQ(openAgain(), "first");
}

TEST_F(PostgresSinkFailures, ASinkThatIsNotOpenSaysSo) {
  sink->close();
  insert(t, {2, "b"});
  EXPECT_EQ(errorOf([&] { flush(); }).code(), ErrorCode::connectionFailed);
  EXPECT_EQ(errorOf([&] { sink->commit("x"); }).code(), ErrorCode::connectionFailed);
}

}  // namespace
}  // namespace tidegate::servers
