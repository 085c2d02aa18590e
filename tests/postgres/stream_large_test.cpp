#include "postgres/stream_support.h"

namespace tidegate::postgres::detail {
namespace {

using Texts = std::vector<std::string>;

/// Transactions that the server sends while they run: with the least logical_decoding_work_mem every one of some size.
class StreamLarge : public StreamTest {
 protected:
  void SetUp() override {
    StreamTest::SetUp();
    db().execute({"CREATE TABLE s.t (id int PRIMARY KEY, v text)",
                  "ALTER SYSTEM SET logical_decoding_work_mem = '64kB'", "SELECT pg_reload_conf()"});
  }
  void TearDown() override {
    db().execute({"ALTER SYSTEM RESET logical_decoding_work_mem", "SELECT pg_reload_conf()"});
    StreamTest::TearDown();
  }
  static std::string many(int from, int to) {
    return "INSERT INTO s.t SELECT i, repeat('x', 100) FROM generate_series(" + std::to_string(from) + ", " +
           std::to_string(to) + ") i";
  }
  /// Ids of the inserts, in order.
  std::vector<std::int64_t> ids() const {
    std::vector<std::int64_t> out;
    for (const ChangeEvent& event : reader->events()) {
      if (event.op == ChangeOp::insert) out.push_back(event.after[0].as<std::int64_t>());
    }
    return out;
  }
  std::uint64_t streamedTransactions() {
    return std::stoull("0" +
                       db().ask("SELECT stream_txns FROM pg_stat_replication_slots WHERE slot_name = 'tidegate_test'"));
  }
};

std::vector<std::int64_t> numbers(std::int64_t from, std::int64_t to) {
  std::vector<std::int64_t> out;
  for (std::int64_t i = from; i <= to; ++i) out.push_back(i);
  return out;
}

TEST_F(StreamLarge, ArriveWholeAtTheirCommit) {
  SourceOptions options = testSource();
  options.spillMemoryBytes = 100'000;  // most of it goes to a file
  follow({"s.t"}, options);
  TestLink large;
  large.execute({"BEGIN", many(1, 20'000)});
  db().execute({"INSERT INTO s.t VALUES (100000, 'meanwhile')"});
  ASSERT_TRUE(reader->awaitEvents(1));
  EXPECT_EQ(ids(), numbers(100'000, 100'000)) << "nothing of a transaction that runs";
  large.execute({"COMMIT"});
  ASSERT_TRUE(reader->awaitEvents(20'001)) << reader->error();
  auto wanted = numbers(1, 20'000);
  wanted.insert(wanted.begin(), 100'000);
  EXPECT_TRUE(ids() == wanted);
  const auto events = reader->events();
  for (std::size_t i = 1; i < events.size(); ++i) {
    ASSERT_EQ(events[i].transactionBegin, i == 1);
    ASSERT_EQ(events[i].transactionEnd, i == 20'000);
    ASSERT_TRUE(source->comparePositions(events[i - 1].position, events[i].position) == std::partial_ordering::less);
  }
  EXPECT_TRUE(servers::eventually([&] { return streamedTransactions() > 0; })) << "the server did stream it";
}

TEST_F(StreamLarge, UndoneOnesNeverArrive) {
  follow({"s.t"});
  db().execute({"BEGIN", many(1, 5'000), "ROLLBACK", "INSERT INTO s.t VALUES (1, 'after')"});
  ASSERT_TRUE(reader->awaitEvents(1));
  EXPECT_EQ(reader->texts(), (Texts{"insert s.t (1, after)"}));
}

TEST_F(StreamLarge, UndoneSavepointsAreLeftOut) {
  follow({"s.t"});
  db().execute({"BEGIN", many(1, 3'000), "SAVEPOINT a", many(3'001, 6'000), "ROLLBACK TO a", many(6'001, 9'000),
                "SAVEPOINT b", many(9'001, 12'000), "RELEASE b", "COMMIT"});
  ASSERT_TRUE(reader->awaitEvents(9'000)) << reader->error();
  auto wanted = numbers(1, 3'000);
  for (const std::int64_t id : numbers(6'001, 12'000)) wanted.push_back(id);
  EXPECT_TRUE(ids() == wanted);
}

TEST_F(StreamLarge, SchemaChangesOfUndoneSavepointsAreLeftOutToo) {
  follow({"s.t"});
  db().execute({"BEGIN", "SAVEPOINT a", "ALTER TABLE s.t ADD c int",
                "INSERT INTO s.t SELECT i, repeat('x', 100), 1 FROM generate_series(1, 3000) i", "ROLLBACK TO a",
                many(3'001, 6'000), "COMMIT"});
  ASSERT_TRUE(reader->awaitEvents(3'000)) << reader->error();
  EXPECT_TRUE(ids() == numbers(3'001, 6'000));
  for (const ChangeEvent& event : reader->events()) ASSERT_EQ(event.shape->columns->size(), 2u);
}

TEST_F(StreamLarge, SeveralAtOnceComeOneAfterTheOther) {
  follow({"s.t"});
  TestLink first, second;
  first.execute({"BEGIN", many(1, 2'000)});
  second.execute({"BEGIN", many(10'001, 12'000)});
  first.execute({many(2'001, 4'000)});
  second.execute({many(12'001, 14'000), "COMMIT"});
  first.execute({"COMMIT"});
  ASSERT_TRUE(reader->awaitEvents(8'000)) << reader->error();
  auto wanted = numbers(10'001, 14'000);
  for (const std::int64_t id : numbers(1, 4'000)) wanted.push_back(id);
  EXPECT_TRUE(ids() == wanted) << "in the order of their commits";
}

TEST_F(StreamLarge, ABrokenConnectionInTheMiddleLosesAndRepeatsNothing) {
  SourceOptions options = testSource();
  options.batchEvents = 100;
  follow({"s.t"}, options);
  TestLink large;
  large.execute({"BEGIN", many(1, 10'000)});
  ASSERT_TRUE(servers::eventually([&] { return streamedTransactions() > 0; }));
  db().run(
      "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active AND slot_name LIKE 'tidegate%'");
  reader->setFull(true);
  large.execute({many(10'001, 20'000), "COMMIT"});
  ASSERT_TRUE(servers::eventually([&] { return reader->offers() > 2; }));
  reader->setFull(false);
  ASSERT_TRUE(reader->awaitEvents(1'000)) << reader->error();
  // In the middle of its delivery.
  db().run(
      "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active AND slot_name LIKE 'tidegate%'");
  ASSERT_TRUE(reader->awaitEvents(20'000)) << reader->error();
  db().execute({"INSERT INTO s.t VALUES (100000, 'after')"});
  ASSERT_TRUE(reader->awaitEvents(20'001));
  auto wanted = numbers(1, 20'000);
  wanted.push_back(100'000);
  EXPECT_TRUE(ids() == wanted);
}

TEST_F(StreamLarge, AFullDiskIsToldAndMended) {
  SourceOptions options = testSource();
  options.spillMemoryBytes = 10'000;
  options.spillDirectory = "/nonexistent";
  options.backoff.maxRetries = 2;
  follow({"s.t"}, options);
  db().execute({"BEGIN", many(1, 10'000), "COMMIT"});
  const auto error = reader->awaitFailure();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::storeUnavailable) << error->what();
  EXPECT_NE(error->message().find("spillDirectory"), std::string::npos);
  const Position at = reader->last();
  options.spillDirectory.clear();
  make(options);
  reader->start({"s.t"}, at.empty() ? source->positionFromText("") : at);
  ASSERT_TRUE(reader->awaitEvents(10'000)) << reader->error();
}

TEST_F(StreamLarge, EveryProtocolVersionGivesTheSame) {
  const std::uint32_t newest = PQserverVersion(db().raw()) >= 160'000 ? 4 : 3;
  for (std::uint32_t version = 1; version <= newest; ++version) {
    for (const bool streaming : {true, false}) {
      make();  // a stream that still ran would take its slot again and again
      clean();
      db().execute({"CREATE TABLE s.t (id int PRIMARY KEY, v text)"});
      SourceOptions options = testSource();
      options.protocolVersion = version;
      options.streamLargeTransactions = streaming;
      follow({"s.t"}, options);
      db().execute({"BEGIN", many(1, 3'000), "COMMIT", "UPDATE s.t SET v = 'z' WHERE id = 7"});
      ASSERT_TRUE(reader->awaitEvents(3'001)) << reader->error();
      EXPECT_TRUE(ids() == numbers(1, 3'000)) << version;
      EXPECT_EQ(reader->texts().back(), "update s.t (7, z)");
    }
  }
  if (newest == 4) return;
  SourceOptions options = testSource();
  options.protocolVersion = 4;
  make(options);
  const Position at = reader->baseline({"s.t"});
  reader->start({"s.t"}, at);
  const auto error = reader->awaitFailure();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::invalidConfig) << "this server has 3";
}

}  // namespace
}  // namespace tidegate::postgres::detail
