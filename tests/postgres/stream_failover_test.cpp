#include "postgres/stream_support.h"

namespace tidegate::postgres::detail {
namespace {

using Texts = std::vector<std::string>;

/// "host:port" of a URL, as the harness writes them.
std::string hostIn(const std::string& url) {
  const auto at = url.find('@') + 1;
  return url.substr(at, url.rfind('/') - at);
}

/// Whichever of the two servers may be written to.
ConnectOptions eitherServer() {
  ConnectOptions options = testOptions();
  const std::string other = hostIn(servers::environment("TIDEGATE_REPLICA_URL"));
  options.url.insert(options.url.rfind('/'), "," + other);
  options.url += "?target_session_attrs=read-write";
  return options;
}

class StreamFailover : public StreamTest {
 protected:
  void SetUp() override {
    StreamTest::SetUp();
    db().execute({"CREATE TABLE s.t (id int PRIMARY KEY)"});
    servers::control("replica", "follow");
  }
  void TearDown() override {
    reader.reset();
    source.reset();
    servers::control("replica", "remove");
    StreamTest::TearDown();
  }
  void awaitOnStandby(const std::string& count) {
    ConnectOptions options = testOptions();
    options.url = servers::environment("TIDEGATE_REPLICA_URL");
    options.readOnly = true;
    TestLink standby(options);
    ASSERT_TRUE(servers::eventually([&] { return standby.ask("SELECT count(*) FROM s.t") == count; }));
  }
};

TEST_F(StreamFailover, APromotedStandbyHasNoSlotAndIsReadAnew) {
  SourceOptions options = testSource();
  options.connect = eitherServer();
  follow({"s.t"}, options);
  db().execute({"INSERT INTO s.t VALUES (1)"});
  ASSERT_TRUE(reader->awaitEvents(1)) << reader->error();
  awaitOnStandby("1");
  servers::control("postgres", "stop");
  servers::control("replica", "promote");
  const auto error = reader->awaitFailure();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::positionLost) << error->what();
  EXPECT_NE(error->message().find("failover"), std::string::npos) << error->message();
  reader->forget();
  reader->start({"s.t"}, reader->baseline({"s.t"}));
  TestLink promoted(eitherServer());
  promoted.execute({"INSERT INTO s.t VALUES (2)"});
  ASSERT_TRUE(reader->await([&] { return reader->held().size() >= 4; })) << reader->error();
  EXPECT_EQ(reader->texts(), (Texts{"baselineBegin s.t", "read s.t (1)", "baselineEnd s.t", "insert s.t (2)"}));
}

TEST_F(StreamFailover, ASlotMadeByHandOnAPromotedStandbyIsNoSilentGap) {
  SourceOptions options = testSource();
  options.connect = eitherServer();
  follow({"s.t"}, options);
  db().execute({"INSERT INTO s.t VALUES (1)"});
  ASSERT_TRUE(reader->awaitEvents(1)) << reader->error();
  awaitOnStandby("1");
  reader->stop();
  servers::control("postgres", "stop");
  servers::control("replica", "promote");
  TestLink promoted(eitherServer());
  promoted.execute({"INSERT INTO s.t VALUES (2)"});
  promoted.run("SELECT pg_create_logical_replication_slot('tidegate_test', 'pgoutput')");
  reader->start({"s.t"}, reader->last());
  const auto error = reader->awaitFailure();
  ASSERT_TRUE(error) << "row 2 would be missing for ever";
  EXPECT_EQ(error->code(), ErrorCode::positionLost) << error->what();
}

/// With slots that standbys keep (PostgreSQL 17).
class KeptSlots : public StreamFailover {
 protected:
  void SetUp() override {
    StreamTest::SetUp();
    if (PQserverVersion(db().raw()) < 170'000) GTEST_SKIP() << "run it with tests/postgres/newer_server.sh";
    StreamFailover::SetUp();
    db().run("SELECT pg_create_physical_replication_slot('tidegate_standby', true)");
    onStandby({"ALTER SYSTEM SET primary_slot_name = 'tidegate_standby'", "ALTER SYSTEM SET hot_standby_feedback = on",
               "ALTER SYSTEM SET primary_conninfo = '" + conninfo() + "'", "SELECT pg_reload_conf()"});
    ASSERT_TRUE(servers::eventually([&] {
      return db().ask(
                 "SELECT active AND xmin IS NOT NULL FROM pg_replication_slots WHERE slot_name = 'tidegate_standby'") ==
             "t";
    })) << "the standby does not feed back";
  }
  static SourceOptions keptSource() {
    SourceOptions options = testSource();
    options.connect = eitherServer();
    options.failover = true;
    return options;
  }
  static void onStandby(const std::vector<std::string>& statements) {
    ConnectOptions options = testOptions();
    options.url = servers::environment("TIDEGATE_REPLICA_URL");
    TestLink standby(options);
    standby.execute(statements);
  }
  /// Waits until the standby has the slot, as far as it is confirmed now.
  void awaitSlotOnStandby() {
    ConnectOptions options = testOptions();
    options.url = servers::environment("TIDEGATE_REPLICA_URL");
    TestLink standby(options);
    const std::string confirmed = lsnToText(this->confirmed());
    ASSERT_TRUE(servers::eventually([&] {
      try {
        db().run("SELECT pg_log_standby_snapshot()");  // a slot moves on with these, and is kept once it has
        standby.run("SELECT pg_sync_replication_slots()");
      } catch (const Error&) {
        return false;  // it is not yet where the slot is
      }
      return standby.ask(
                 "SELECT confirmed_flush_lsn >= $1 AND NOT temporary FROM pg_replication_slots WHERE slot_name = "
                 "'tidegate_test'",
                 {confirmed}) == "t";
    }));
  }

 private:
  /// With the database, which the standby needs to look at slots.
  std::string conninfo() {
    const std::string file = db().ask("SELECT current_setting('unix_socket_directories')");
    return "host=" + file + " port=" + db().ask("SELECT current_setting('port')") +
           " user=tidegate password=tidegate-secret dbname=tidegate";
  }
};

TEST_F(KeptSlots, GoOnAtTheServerThatTookOver) {
  follow({"s.t"}, keptSource());
  reader->acknowledgeAll();
  db().execute({"INSERT INTO s.t VALUES (1)"});
  ASSERT_TRUE(reader->awaitEvents(1)) << reader->error();
  EXPECT_EQ(db().ask("SELECT failover FROM pg_replication_slots WHERE slot_name = 'tidegate_test'"), "t");
  awaitOnStandby("1");
  awaitSlotOnStandby();
  db().execute({"INSERT INTO s.t VALUES (2)"});
  ASSERT_TRUE(reader->awaitEvents(2)) << reader->error();
  awaitOnStandby("2");
  servers::control("postgres", "stop");
  servers::control("replica", "promote");
  TestLink promoted(eitherServer());
  promoted.execute({"INSERT INTO s.t VALUES (3)"});
  ASSERT_TRUE(reader->awaitEvents(3)) << reader->error();
  EXPECT_EQ(reader->texts(), (Texts{"insert s.t (1)", "insert s.t (2)", "insert s.t (3)"}))
      << "each once, and no baseline";
}

TEST_F(KeptSlots, WhatTheOtherServerNeverHadIsAPlaceLost) {
  follow({"s.t"}, keptSource());
  reader->acknowledgeAll();
  db().execute({"INSERT INTO s.t VALUES (1)"});
  ASSERT_TRUE(reader->awaitEvents(1)) << reader->error();
  awaitOnStandby("1");
  awaitSlotOnStandby();
  onStandby({"ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()"});
  ASSERT_TRUE(servers::eventually([&] {
    return db().ask(
               "SELECT count(*) FROM pg_stat_replication WHERE application_name "
               "<> '' AND state = 'streaming' AND pid NOT IN (SELECT active_pid "
               "FROM pg_replication_slots WHERE slot_type = 'logical' AND "
               "active_pid IS NOT NULL)") == "0";
  }));
  db().execute({"INSERT INTO s.t VALUES (2)"});
  ASSERT_TRUE(reader->awaitEvents(2)) << reader->error();
  reader->stop();
  servers::control("postgres", "kill9");
  servers::control("replica", "promote");
  TestLink promoted(eitherServer());
  for (int i = 3; i < 300; ++i) promoted.run("INSERT INTO s.t VALUES ($1)", {std::to_string(i)});
  reader->start({"s.t"}, reader->last());
  const auto error = reader->awaitFailure();
  ASSERT_TRUE(error) << "row 2 would stay for ever, and some of the others never come";
  EXPECT_EQ(error->code(), ErrorCode::positionLost) << error->what();
  EXPECT_NE(error->message().find("synchronized_standby_slots"), std::string::npos) << error->message();
}

TEST_F(KeptSlots, ASlotThatIsThereIsAltered) {
  follow({"s.t"});
  db().execute({"INSERT INTO s.t VALUES (1)"});
  ASSERT_TRUE(reader->awaitEvents(1)) << reader->error();
  const Position at = reader->last();
  make(keptSource());
  const auto issues = source->validateTables({});
  ASSERT_EQ(issues.size(), 1u);
  EXPECT_FALSE(issues[0].fatal);
  EXPECT_NE(issues[0].message.find("ALTER SYSTEM SET synchronized_standby_slots"), std::string::npos);
  reader->start({"s.t"}, at);
  db().execute({"INSERT INTO s.t VALUES (2)"});
  ASSERT_TRUE(reader->awaitEvents(1)) << reader->error();
  EXPECT_EQ(db().ask("SELECT failover FROM pg_replication_slots WHERE slot_name = 'tidegate_test'"), "t");
}

TEST_F(StreamFailover, AStandbyIsNoServerToMakeASlotOn) {
  SourceOptions options = testSource();
  options.connect.url = servers::environment("TIDEGATE_REPLICA_URL");
  make(options);
  const Error error = servers::errorOf([&] { reader->baseline({"s.t"}); });
  EXPECT_FALSE(error.message().empty());
  EXPECT_EQ(source->state(), SourceState::error);
}

}  // namespace
}  // namespace tidegate::postgres::detail
