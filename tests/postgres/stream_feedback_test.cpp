#include "postgres/stream_support.h"

namespace tidegate::postgres::detail {
namespace {

/// What the server is told, and how it is kept company.
class StreamFeedback : public StreamTest {
 protected:
  void SetUp() override {
    StreamTest::SetUp();
    db().execute({"CREATE TABLE s.t (id int PRIMARY KEY)", "CREATE TABLE s.other (id int)"});
  }
  void insert(int id) { db().execute({"INSERT INTO s.t VALUES (" + std::to_string(id) + ")"}); }
  Lsn logEnd() { return lsnFromText(db().ask("SELECT pg_current_wal_flush_lsn()")).value_or(0); }
  /// Whether what is confirmed stays as it is although the log goes on.
  bool staysAt(Lsn lsn) {
    for (int i = 0; i < 20; ++i) {
      db().execute({"INSERT INTO s.other VALUES (1)"});
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      if (confirmed() != lsn) return false;
    }
    return true;
  }
};

TEST_F(StreamFeedback, ConfirmsOnlyWhatWasAcknowledged) {
  follow({"s.t"});
  insert(1);
  insert(2);
  ASSERT_TRUE(reader->awaitEvents(2));
  const auto events = reader->events();
  source->ack(events[0].position);
  const Lsn first = confirmedBy(placeOf(events[0].position));
  ASSERT_TRUE(servers::eventually([&] { return confirmed() == first; }));
  EXPECT_TRUE(staysAt(first)) << "the second was received, and is durable nowhere";
  EXPECT_TRUE(source->lastAckedPosition() == events[0].position);
  source->ack(events[1].position);
  const Lsn second = confirmedBy(placeOf(events[1].position));
  EXPECT_TRUE(servers::eventually([&] { return confirmed() == second; }));
  EXPECT_TRUE(staysAt(second)) << "how far the log went on without us is in no checkpoint yet";
  source->ack(events[0].position);
  EXPECT_TRUE(source->lastAckedPosition() == events[1].position) << "it never goes back";
  reader->acknowledgeAll();
  EXPECT_TRUE(servers::eventually([&] { return confirmed() > second; }));
}

/// Another slot of the name, perhaps on another server: what was durable of the one before says nothing of it.
TEST_F(StreamFeedback, ANewSlotIsNotConfirmedByWhatTheOldOneWasTold) {
  follow({"s.t"});
  source->ack(positionOf({Lsn{1} << 60, 3}));
  reader->stop();
  ASSERT_TRUE(slotsFree());
  db().run("SELECT pg_drop_replication_slot('tidegate_test')");
  reader->start({"s.t"}, reader->baseline({"s.t"}));
  const Lsn begin = confirmed();
  insert(1);
  ASSERT_TRUE(reader->awaitEvents(1)) << reader->error();
  EXPECT_TRUE(staysAt(begin)) << "the insert is durable nowhere";
  source->ack(reader->last());
  EXPECT_TRUE(servers::eventually([&] { return confirmed() > begin; }));
}

TEST_F(StreamFeedback, TheNextProcessKnowsWhatTheSlotWasTold) {
  follow({"s.t"});
  insert(1);
  insert(2);
  insert(3);
  ASSERT_TRUE(reader->awaitEvents(3));
  const auto events = reader->events();
  source->ack(events[1].position);
  ASSERT_TRUE(servers::eventually([&] { return confirmed() == confirmedBy(placeOf(events[1].position)); }));
  make();
  ASSERT_TRUE(slotsFree());
  EXPECT_TRUE(source->validateTables({}).empty());
  const Position told = source->lastAckedPosition();
  EXPECT_TRUE(source->comparePositions(events[0].position, told) < 0) << "a checkpoint there is behind";
  EXPECT_TRUE(source->comparePositions(events[1].position, told) >= 0) << "and one there is not";
}

TEST_F(StreamFeedback, WithinATransactionConfirmsWhatCameBeforeIt) {
  follow({"s.t"});
  db().execute({"BEGIN", "INSERT INTO s.t VALUES (1), (2), (3)", "COMMIT"});
  ASSERT_TRUE(reader->awaitEvents(3));
  const auto events = reader->events();
  source->ack(events[1].position);
  ASSERT_TRUE(servers::eventually([&] { return confirmed() == placeOf(events[1].position).commit; }));
  reader->stop();
  ASSERT_TRUE(slotsFree());
  make();
  reader->start({"s.t"}, events[1].position);
  ASSERT_TRUE(reader->awaitEvents(1));
  EXPECT_EQ(reader->texts(), (std::vector<std::string>{"insert s.t (3)"}))
      << "the rest of the transaction, and no more";
}

TEST_F(StreamFeedback, AnIdleSourceHoldsNoLog) {
  follow({"s.t"});
  const Lsn busy = [&] {
    for (int i = 0; i < 50; ++i) db().execute({"INSERT INTO s.other SELECT generate_series(1, 1000)"});
    return logEnd();
  }();
  reader->acknowledgeAll();
  EXPECT_TRUE(servers::eventually([&] { return confirmed() >= busy; }))
      << lsnToText(confirmed()) << " " << lsnToText(busy);
  EXPECT_TRUE(servers::eventually([&] { return source->lag().bytes == std::uint64_t{0}; }));
}

TEST_F(StreamFeedback, AnIdleSourceTellsHowFarItIs) {
  follow({"s.t"});
  const Position before = reader->last();
  const Lsn busy = [&] {
    db().execute({"INSERT INTO s.other SELECT generate_series(1, 1000)"});
    return logEnd();
  }();
  EXPECT_TRUE(reader->await([&] { return false; }, std::chrono::seconds(0)) ||
              servers::eventually([&] { return !reader->last().empty() && placeOf(reader->last()).commit >= busy; }))
      << "by a progress event, so that checkpoints follow";
  reader->stop();
  reader->start({"s.t"}, reader->last());
  insert(1);
  EXPECT_TRUE(reader->awaitEvents(1)) << reader->error();
}

TEST_F(StreamFeedback, HeartbeatsMoveAQuietSource) {
  SourceOptions options = testSource();
  options.heartbeatInterval = std::chrono::milliseconds(20);
  follow({"s.t"}, options);
  reader->acknowledgeAll();
  const Lsn before = confirmed();
  EXPECT_TRUE(servers::eventually([&] { return confirmed() > before; }));
}

TEST_F(StreamFeedback, ASlowReaderKeepsItsConnection) {
  db().execute({"ALTER SYSTEM SET wal_sender_timeout = '500ms'", "SELECT pg_reload_conf()"});
  follow({"s.t"});
  insert(1);
  ASSERT_TRUE(reader->awaitEvents(1));
  reader->setFull(true);
  insert(2);
  const std::string pid = db().ask("SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'tidegate_test'");
  ASSERT_TRUE(servers::eventually([&] { return reader->offers() > 3; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  EXPECT_EQ(db().ask("SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'tidegate_test'"), pid);
  reader->setFull(false);
  ASSERT_TRUE(reader->awaitEvents(2));
  EXPECT_FALSE(wentThrough(SourceState::reconnecting));
  EXPECT_EQ(reader->texts(), (std::vector<std::string>{"insert s.t (1)", "insert s.t (2)"}));
  // The same holds while paused.
  source->pause();
  ASSERT_TRUE(servers::eventually([&] { return source->state() == SourceState::paused; }));
  insert(3);
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  EXPECT_EQ(db().ask("SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'tidegate_test'"), pid);
  EXPECT_EQ(reader->events().size(), 2u) << "paused";
  source->resume();
  ASSERT_TRUE(reader->awaitEvents(3));
  db().execute({"ALTER SYSTEM RESET wal_sender_timeout", "SELECT pg_reload_conf()"});
}

TEST_F(StreamFeedback, AStuckSinkDoesNotKeepTheServerFromEnding) {
  follow({"s.t"});
  reader->setFull(true);
  insert(1);
  ASSERT_TRUE(servers::eventually([&] { return reader->offers() > 3; }));
  servers::control("postgres", "stop");
  servers::control("postgres", "start");
  reader->setFull(false);
  ASSERT_TRUE(reader->awaitEvents(1)) << reader->error();
}

TEST_F(StreamFeedback, LogRetainedPastTheThresholdIsToldOnce) {
  SourceOptions options = testSource();
  options.retainedWalWarnBytes = 1u << 20;
  follow({"s.t"}, options);
  reader->setFull(true);
  insert(1);
  db().execute({"INSERT INTO s.other SELECT generate_series(1, 50000)"});
  EXPECT_TRUE(servers::eventually([&] { return warned("retainedWalWarnBytes"); }));
  const SourceLag lag = source->lag();
  EXPECT_GT(lag.retainedBytes.value_or(0), 1u << 20);
  EXPECT_GT(lag.bytes.value_or(0), 1u << 20);
}

TEST_F(StreamFeedback, TheTimeOfTheLagGrowsWhileSomethingWaits) {
  follow({"s.t"});
  insert(1);
  ASSERT_TRUE(reader->awaitEvents(1));
  EXPECT_TRUE(servers::eventually([&] { return source->lag().time == std::chrono::milliseconds(0); }));
  reader->setFull(true);
  insert(2);
  EXPECT_TRUE(
      servers::eventually([&] { return source->lag().time.value_or(std::chrono::milliseconds(0)).count() > 50; }));
}

}  // namespace
}  // namespace tidegate::postgres::detail
