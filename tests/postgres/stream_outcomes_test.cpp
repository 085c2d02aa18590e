#include "postgres/stream_support.h"

namespace tidegate::postgres::detail {
namespace {

using Texts = std::vector<std::string>;

/// What becomes of a stream when something is taken from under it.
class StreamOutcomes : public StreamTest {
 protected:
  void SetUp() override {
    StreamTest::SetUp();
    db().execute({"CREATE TABLE s.t (id int PRIMARY KEY)"});
  }
  void insert(int id) { db().execute({"INSERT INTO s.t VALUES (" + std::to_string(id) + ")"}); }
  bool awaitInsert(int id) {
    const std::string wanted = "insert s.t (" + std::to_string(id) + ")";
    return reader->await([&] { return !reader->held().empty() && eventText(reader->held().back()) == wanted; });
  }
  /// Inserts 1, 2, …, `last`, each once.
  void expectEachOnce(int last) {
    Texts wanted;
    for (int i = 1; i <= last; ++i) wanted.push_back("insert s.t (" + std::to_string(i) + ")");
    EXPECT_EQ(reader->texts(), wanted);
  }
  void killSender() {
    db().run(
        "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active AND slot_name LIKE "
        "'tidegate%'");
  }
};

TEST_F(StreamOutcomes, ABrokenConnectionIsMadeAgainWithoutGapOrDouble) {
  follow({"s.t"});
  insert(1);
  ASSERT_TRUE(awaitInsert(1));
  for (int id = 2; id <= 6; ++id) {
    killSender();
    insert(id);
    ASSERT_TRUE(awaitInsert(id)) << reader->error();
  }
  expectEachOnce(6);
  EXPECT_TRUE(wentThrough(SourceState::reconnecting));
  EXPECT_EQ(source->state(), SourceState::streaming);
}

TEST_F(StreamOutcomes, ARestartedServerIsAwaited) {
  follow({"s.t"});
  insert(1);
  ASSERT_TRUE(awaitInsert(1));
  servers::control("postgres", "kill9");
  servers::control("postgres", "start");
  insert(2);
  ASSERT_TRUE(awaitInsert(2)) << reader->error();
  servers::control("postgres", "stop");
  servers::control("postgres", "start");
  insert(3);
  ASSERT_TRUE(awaitInsert(3)) << reader->error();
  expectEachOnce(3);
}

TEST_F(StreamOutcomes, AFrozenServerDelaysAndLosesNothing) {
  follow({"s.t"});
  insert(1);
  ASSERT_TRUE(awaitInsert(1));
  servers::control("postgres", "freeze");
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  servers::control("postgres", "thaw");
  insert(2);
  ASSERT_TRUE(awaitInsert(2));
  expectEachOnce(2);
}

TEST_F(StreamOutcomes, RetriesEndInError) {
  SourceOptions options = testSource();
  options.backoff = {
      .firstDelay = std::chrono::milliseconds(1), .maxDelay = std::chrono::milliseconds(5), .maxRetries = 3};
  follow({"s.t"}, options);
  insert(1);
  ASSERT_TRUE(awaitInsert(1));
  servers::control("postgres", "stop");
  const auto error = reader->awaitFailure();
  servers::control("postgres", "start");
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::connectionFailed) << error->what();
  EXPECT_EQ(source->state(), SourceState::error);
  // And `stream` may be called again.
  insert(2);
  reader->start({"s.t"}, reader->last());
  ASSERT_TRUE(awaitInsert(2)) << reader->error();
  expectEachOnce(2);
}

TEST_F(StreamOutcomes, ASlotThatWasDroppedIsAPlaceLost) {
  follow({"s.t"});
  insert(1);
  ASSERT_TRUE(awaitInsert(1));
  reader->stop();
  ASSERT_TRUE(slotsFree());
  db().run("SELECT pg_drop_replication_slot('tidegate_test')");
  insert(2);
  reader->start({"s.t"}, reader->last());
  const auto error = reader->awaitFailure();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::positionLost) << error->what();
  EXPECT_EQ(error->retry(), Retry::afterOperator);
  EXPECT_NE(error->message().find("tidegate_test"), std::string::npos);
  EXPECT_EQ(source->state(), SourceState::error);
  // A new baseline makes a new slot.
  reader->forget();
  reader->start({"s.t"}, reader->baseline({"s.t"}));
  insert(3);
  ASSERT_TRUE(awaitInsert(3)) << reader->error();
  EXPECT_EQ(reader->texts(),
            (Texts{"baselineBegin s.t", "read s.t (1)", "read s.t (2)", "baselineEnd s.t", "insert s.t (3)"}));
}

TEST_F(StreamOutcomes, ASlotMadeAnewBehindOurBackIsAPlaceLostAndNoSilentGap) {
  follow({"s.t"});
  insert(1);
  ASSERT_TRUE(awaitInsert(1));
  reader->stop();
  const Position at = reader->last();
  ASSERT_TRUE(slotsFree());
  // Another process, whose baseline was cut off after it had made the slot.
  db().run("SELECT pg_drop_replication_slot('tidegate_test')");
  insert(2);
  make();
  reader->baseline({"s.t"});
  make();
  reader->start({"s.t"}, at);
  const auto error = reader->awaitFailure();
  ASSERT_TRUE(error) << "row 2 would be missing for ever";
  EXPECT_EQ(error->code(), ErrorCode::positionLost) << error->what();
}

TEST_F(StreamOutcomes, ASlotMadeByHandIsAPlaceLostAndNoSilentGap) {
  follow({"s.t"});
  insert(1);
  ASSERT_TRUE(awaitInsert(1));
  reader->stop();
  ASSERT_TRUE(slotsFree());
  db().run("SELECT pg_drop_replication_slot('tidegate_test')");
  insert(2);
  db().run("SELECT pg_create_logical_replication_slot('tidegate_test', 'pgoutput')");
  reader->start({"s.t"}, reader->last());
  const auto error = reader->awaitFailure();
  ASSERT_TRUE(error) << "row 2 would be missing for ever";
  EXPECT_EQ(error->code(), ErrorCode::positionLost) << error->what();
}

/// A target restored from a backup, or a pipeline that was left out for a while.
TEST_F(StreamOutcomes, APositionThatTheSlotIsPastIsAPlaceLost) {
  follow({"s.t"});
  insert(1);
  ASSERT_TRUE(awaitInsert(1));
  const Position old = reader->last();
  insert(2);
  ASSERT_TRUE(awaitInsert(2));
  source->ack(reader->last());
  ASSERT_TRUE(servers::eventually([&] { return confirmed() > placeOf(old).commit + 1; }));
  reader->stop();
  make();
  reader->start({"s.t"}, old);
  const auto error = reader->awaitFailure();
  ASSERT_TRUE(error) << "row 2 would be missing for ever";
  EXPECT_EQ(error->code(), ErrorCode::positionLost) << error->what();
  EXPECT_NE(error->message().find("backup"), std::string::npos) << error->message();
}

TEST_F(StreamOutcomes, AnInvalidatedSlotIsAPlaceLost) {
  follow({"s.t"});
  insert(1);
  ASSERT_TRUE(awaitInsert(1));
  reader->stop();
  ASSERT_TRUE(slotsFree());
  db().execute({"ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'", "SELECT pg_reload_conf()"});
  const bool lost = servers::eventually([&] {
    db().execute({"SELECT pg_switch_wal()", "INSERT INTO s.t SELECT max(id) + 1 FROM s.t", "CHECKPOINT"});
    return db().ask("SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'tidegate_test'") == "lost";
  });
  db().execute({"ALTER SYSTEM RESET max_slot_wal_keep_size", "SELECT pg_reload_conf()"});
  ASSERT_TRUE(lost);
  reader->start({"s.t"}, reader->last());
  const auto error = reader->awaitFailure();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::positionLost) << error->what();
  EXPECT_NE(error->message().find("max_slot_wal_keep_size"), std::string::npos) << error->message();
  reader->forget();
  reader->start({"s.t"}, reader->baseline({"s.t"}));
  insert(1000);
  ASSERT_TRUE(awaitInsert(1000)) << "a baseline makes the slot anew: " << reader->error();
}

TEST_F(StreamOutcomes, ASlotInUseIsAwaitedThenNamedWithItsProcess) {
  follow({"s.t"});
  insert(1);
  ASSERT_TRUE(awaitInsert(1));
  SourceOptions options = testSource();
  options.backoff = {
      .firstDelay = std::chrono::milliseconds(1), .maxDelay = std::chrono::milliseconds(5), .maxRetries = 3};
  const auto second = makeSource(options);
  second->init({.name = "second"});
  StreamReaderForTest other(*second);
  other.start({"s.t"}, reader->last());
  const auto error = other.awaitFailure();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::slotInvalid);
  const std::string pid = db().ask("SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'tidegate_test'");
  EXPECT_NE(error->message().find(pid), std::string::npos) << error->message();
}

TEST_F(StreamOutcomes, ASlotOfAnotherKindIsRefused) {
  make();
  db().run("SELECT pg_create_physical_replication_slot('tidegate_test')");
  const auto issues = source->validateTables({});
  ASSERT_EQ(issues.size(), 1u);
  EXPECT_EQ(issues[0].code, ErrorCode::slotInvalid);
  EXPECT_TRUE(issues[0].fatal);
  EXPECT_EQ(servers::errorOf([&] { reader->baseline({"s.t"}); }).code(), ErrorCode::slotInvalid);
  EXPECT_EQ(servers::errorOf([&] { source->reset(); }).code(), ErrorCode::slotInvalid) << "it is not ours to drop";
  EXPECT_EQ(db().ask("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'tidegate_test'"), "1");
}

TEST_F(StreamOutcomes, ADroppedPublicationIsAPlaceLostOnceChangesWereMadeWithoutIt) {
  follow({"s.t"});
  insert(1);
  ASSERT_TRUE(awaitInsert(1));
  reader->stop();
  db().run("DROP PUBLICATION tidegate_test");
  insert(2);
  reader->start({"s.t"}, reader->last());
  const auto error = reader->awaitFailure();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::positionLost) << error->what();
  EXPECT_TRUE(warned("made anew"));
  reader->forget();
  reader->start({"s.t"}, reader->baseline({"s.t"}));
  insert(3);
  ASSERT_TRUE(awaitInsert(3)) << "a new slot does not stumble over the old gap: " << reader->error();
}

TEST_F(StreamOutcomes, APublicationThatIsTheOperatorsIsAskedFor) {
  SourceOptions options = testSource();
  options.publication.manage = PublicationMode::leaveAlone;
  make(options);
  const auto issues = source->validateTables({});
  ASSERT_EQ(issues.size(), 1u);
  EXPECT_NE(issues[0].message.find("CREATE PUBLICATION"), std::string::npos);
  db().run("CREATE PUBLICATION tidegate_test FOR TABLE s.t");
  EXPECT_TRUE(source->validateTables({}).empty());
  const Position at = reader->baseline({"s.t"});
  reader->forget();
  db().run("DROP PUBLICATION tidegate_test");
  reader->start({"s.t"}, at);
  const auto error = reader->awaitFailure();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::slotInvalid);
  EXPECT_EQ(error->retry(), Retry::afterOperator);
  db().run("CREATE PUBLICATION tidegate_test FOR TABLE s.t");
  insert(1);
  reader->start({"s.t"}, at);
  ASSERT_TRUE(awaitInsert(1)) << reader->error();
}

TEST_F(StreamOutcomes, ATableTakenOutOfThePublicationIsNoSilentGap) {
  follow({"s.t"});
  insert(1);
  ASSERT_TRUE(awaitInsert(1));
  reader->stop();
  db().run("ALTER PUBLICATION tidegate_test DROP TABLE s.t");
  insert(2);
  reader->start({"s.t"}, reader->last());
  const auto error = reader->awaitFailure();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::positionLost) << error->what();
}

TEST_F(StreamOutcomes, ChangedCredentialsEndTheStreamAtOnce) {
  db().execute({"DROP ROLE IF EXISTS tidegate_role", "CREATE ROLE tidegate_role LOGIN SUPERUSER PASSWORD 'first'"});
  SourceOptions options = testSource();
  options.connect.user = "tidegate_role";
  options.connect.password = "first";
  follow({"s.t"}, options);
  insert(1);
  ASSERT_TRUE(awaitInsert(1));
  db().run("ALTER ROLE tidegate_role PASSWORD 'second'");
  db().run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'tidegate_role'");
  const auto error = reader->awaitFailure();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::authenticationFailed) << error->what();
  EXPECT_EQ(error->retry(), Retry::afterOperator);
  EXPECT_EQ(error->message().find("first"), std::string::npos) << "no secret in a message";
  EXPECT_EQ(source->state(), SourceState::error);
  make();
  reader.reset();
  source.reset();
  db().execute({"DROP PUBLICATION tidegate_test", "DROP ROLE tidegate_role"});
}

TEST_F(StreamOutcomes, AnEphemeralSlotEndsWithItsConnectionAndIsMadeAgain) {
  SourceOptions options = testSource();
  options.mode = SlotMode::ephemeral;
  follow({"s.t"}, options);
  EXPECT_FALSE(source->supportsResume());
  insert(1);
  ASSERT_TRUE(awaitInsert(1));
  // A stream that is only stopped keeps it.
  reader->stop();
  insert(2);
  reader->start({"s.t"}, reader->last());
  ASSERT_TRUE(awaitInsert(2)) << reader->error();
  killSender();
  const auto error = reader->awaitFailure();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::positionLost) << error->what();
  reader->forget();
  reader->start({"s.t"}, reader->baseline({"s.t"}));
  insert(3);
  ASSERT_TRUE(awaitInsert(3)) << reader->error();
  source->pause();
  reader.reset();
  source->close();
  EXPECT_TRUE(servers::eventually([&] {
    return db().ask("SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE 'tidegate%'") == "0";
  })) << "nothing is left behind";
}

TEST_F(StreamOutcomes, APositionOfAnotherServerIsAPlaceLost) {
  follow({"s.t"});
  insert(1);
  ASSERT_TRUE(awaitInsert(1));
  reader->stop();
  reader->start({"s.t"}, positionOf({Lsn{1} << 60, 3}));
  const auto error = reader->awaitFailure();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::positionLost) << error->what();
}

TEST_F(StreamOutcomes, ResetLeavesNothingBehind) {
  follow({"s.t"});
  insert(1);
  ASSERT_TRUE(awaitInsert(1));
  reader->stop();
  source->reset();
  EXPECT_EQ(db().ask("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'tidegate_test'"), "0");
  EXPECT_EQ(db().ask("SELECT count(*) FROM pg_publication WHERE pubname = 'tidegate_test'"), "0");
}

}  // namespace
}  // namespace tidegate::postgres::detail
