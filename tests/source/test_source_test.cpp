#include "tidegate/source/test_source.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "support/manual_clock.h"
#include "tidegate/core/error.h"

namespace tidegate {
namespace {

using namespace std::chrono_literals;

TableSchema personSchema() {
  return {.table = "users",
          .columns = {{.name = "id", .kind = ValueKind::int64}, {.name = "name"}, {.name = "bio"}},
          .primaryKey = {"id"}};
}

/// One thread, virtual time: `run` delivers everything that is committed and returns.
class TestSourceTest : public ::testing::Test {
 protected:
  TestSourceTest() { db->createTable(personSchema()); }

  TestSource& make(TestSourceOptions options = {}) {
    if (!options.onIdle) options.onIdle = [] { return false; };
    source = std::make_unique<TestSource>(db, std::move(options));
    SourceContext context;
    context.clock = &clock;
    context.scheduler = &scheduler;
    context.jitterSeed = 1;
    context.onState = [this](const SourceStateChange& step) { states.push_back(step.to); };
    source->init(context);
    return *source;
  }
  ChangeHandler collect() {
    return [this](ChangeBatch& batch) {
      for (const ChangeEvent& event : batch) got.push_back(event);
      return Taken::yes;
    };
  }
  void run(const Position& from, std::vector<std::string> tables = {"users"}) {
    source->stream(tables, from, collect(), {});
  }
  std::vector<std::string> ops() const {
    std::vector<std::string> all;
    for (const ChangeEvent& e : got) all.emplace_back(toString(e.op));
    return all;
  }
  using Ops = std::vector<std::string>;

  test::ManualClock clock;
  test::ManualScheduler scheduler{clock};
  std::shared_ptr<TestDatabase> db = std::make_shared<TestDatabase>(&clock);
  std::unique_ptr<TestSource> source;
  std::vector<SourceState> states;
  std::vector<ChangeEvent> got;
};

TEST_F(TestSourceTest, DeliversABaselineAndThenWhatFollows) {
  db->insert("users", {1, "Ada", "x"});
  const Position at = make().baseline({"users"}, collect(), {});
  EXPECT_EQ(ops(), (Ops{"baselineBegin", "read", "baselineEnd"}));
  got.clear();
  db->commit([](TestTransaction& t) { t.update("users", {1, "Ada L.", "x"}).insert("users", {2, "Bob", "y"}); });
  db->erase("users", {1});
  run(at);
  EXPECT_EQ(ops(), (Ops{"update", "insert", "erase"}));
  EXPECT_TRUE(got[0].transactionBegin && !got[0].transactionEnd);
  EXPECT_TRUE(!got[1].transactionBegin && got[1].transactionEnd);
  EXPECT_TRUE(got[2].transactionBegin && got[2].transactionEnd);
  EXPECT_EQ(got[0].before[1].as<std::string>(), "Ada");
  EXPECT_EQ(got[0].transactionId, got[1].transactionId);
}

TEST_F(TestSourceTest, AFailedTransactionLeavesNothing) {
  db->insert("users", {1, "Ada", "x"});
  const auto before = db->rows("users");
  EXPECT_THROW(db->commit([](TestTransaction& t) {
    t.update("users", {1, "Bob", "y"}).insert("users", {2, "C", "z"}).erase("users", {1}).truncate("users");
    t.insert("users", {3, "D", "z"}).insert("users", {3, "D", "z"});
  }),
               Error);
  EXPECT_EQ(db->rows("users"), before);
  EXPECT_EQ(db->commits(), 1u);
}

TEST_F(TestSourceTest, AKeyChangeIsAnEraseAndAnInsert) {
  const Position at = make().end();
  db->insert("users", {1, "Ada", "x"});
  db->commit([](TestTransaction& t) { t.rekey("users", {1}, {2, "Ada", "x"}); });
  run(at);
  EXPECT_EQ(ops(), (Ops{"insert", "erase", "insert"}));
}

TEST_F(TestSourceTest, ColumnsThatWereNotSetAreMarkedAsUnchanged) {
  const Position at = make().end();
  db->insert("users", {1, "Ada", "long"});
  db->commit([](TestTransaction& t) { t.updateColumns("users", {1}, {{"name", "Eva"}}); });
  run(at);
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[1].unchanged, (std::vector<std::uint32_t>{2}));
  EXPECT_TRUE(got[1].after[2].isNull());
  EXPECT_EQ(db->rows("users")[0][2].as<std::string>(), "long");
}

TEST_F(TestSourceTest, KeyOnlyImagesSayWhatTheyLack) {
  db = std::make_shared<TestDatabase>(&clock, BeforeImage::key);
  db->createTable(personSchema());
  const Position at = make().end();
  db->insert("users", {1, "Ada", "x"});
  db->update("users", {1, "Eva", "x"});
  db->erase("users", {1});
  run(at);
  EXPECT_TRUE(got[1].before.empty());
  EXPECT_EQ(got[2].beforeAbsent, (std::vector<std::uint32_t>{1, 2}));
}

TEST_F(TestSourceTest, ASchemaChangeComesInItsPlaceWithWhatBecameOfTheColumns) {
  const Position at = make().end();
  db->insert("users", {1, "Ada", "x"});
  TableSchema next = personSchema();
  next.columns[1].name = "full_name";
  next.columns.push_back({.name = "age", .kind = ValueKind::int64});
  db->commit([&](TestTransaction& t) {
    t.alter({.schema = next, .renamed = {{"name", "full_name"}}, .defaults = {{"age", 7}}});
    t.insert("users", {2, "Bob", "y", 8});
    t.truncate("users");
  });
  run(at);
  EXPECT_EQ(ops(), (Ops{"insert", "schemaChange", "insert", "truncate"}));
  EXPECT_EQ(got[1].shape->columns->names(), (std::vector<std::string>{"id", "full_name", "bio", "age"}));
  EXPECT_TRUE(got[1].schemaChange->rowsChanged);
  EXPECT_EQ(got[1].schemaChange->before, got[0].shape);
  EXPECT_EQ(got[2].shape, got[1].shape);
}

TEST_F(TestSourceTest, TransactionsOfOtherTablesAreProgress) {
  db->createTable({.table = "other", .columns = {{.name = "id"}}, .primaryKey = {"id"}});
  const Position at = make().end();
  db->insert("other", {"a"});
  db->insert("other", {"b"});
  run(at);
  EXPECT_EQ(ops(), Ops{"progress"});
  EXPECT_EQ(got[0].position, source->end());
}

TEST_F(TestSourceTest, ADisconnectIsMendedAndSeenInTheStates) {
  TestSource& s = make();
  const Position at = s.end();
  db->insert("users", {1, "Ada", "x"});
  s.disconnect();
  s.failCalls(TestCall::connect, Error(ErrorCode::connectionFailed, Retry::later, "refused"), 3);
  run(at);
  EXPECT_EQ(ops(), Ops{"insert"});
  using enum SourceState;
  EXPECT_EQ(states, (std::vector{connected, reconnecting, connected, streaming, connected}));
  EXPECT_EQ(s.connects(), 2u);
  EXPECT_GT(scheduler.waited(), 100ms);
}

TEST_F(TestSourceTest, UsedUpRetriesEndInErrorAndTheNextStreamConnectsAnew) {
  TestSource& s = make({.backoff = {.maxRetries = 2}});
  const Position at = s.end();
  db->insert("users", {1, "Ada", "x"});
  s.disconnect();
  s.failCalls(TestCall::connect, Error(ErrorCode::connectionFailed, Retry::later, "refused"), 3);
  EXPECT_THROW(run(at), Error);
  EXPECT_EQ(s.state(), SourceState::error);
  run(at);
  EXPECT_EQ(ops(), Ops{"insert"});
}

TEST_F(TestSourceTest, FailsAfterExactlyTheEventAskedFor) {
  TestSource& s = make();
  const Position at = s.end();
  for (int i = 0; i < 5; ++i) db->insert("users", {i, "n", "b"});
  s.failAtEvent(3, Error(ErrorCode::queryFailed, Retry::later, "as scripted"));
  EXPECT_THROW(run(at), Error);
  EXPECT_EQ(got.size(), 3u);
  run(got.back().position);
  EXPECT_EQ(got.size(), 5u);
}

TEST_F(TestSourceTest, ALostLogIsPositionLost) {
  TestSource& s = make();
  const Position at = s.end();
  db->insert("users", {1, "Ada", "x"});
  db->loseLog();
  try {
    run(at);
    FAIL() << "the log is gone";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::positionLost);
    EXPECT_EQ(e.retry(), Retry::afterOperator);
  }
  EXPECT_EQ(s.state(), SourceState::error);
}

TEST_F(TestSourceTest, AcknowledgedLogCanBeForgotten) {
  TestSource& s = make({.forgetsAcknowledged = true});
  const Position at = s.end();
  db->insert("users", {1, "Ada", "x"});
  run(at);
  s.ack(got.back().position);
  make({.forgetsAcknowledged = true});
  EXPECT_EQ(source->lastAckedPosition(), got.back().position) << "the database remembers";
  EXPECT_THROW(run(at), Error);
}

TEST_F(TestSourceTest, DeliversAgainWhenAsked) {
  TestSource& s = make();
  const Position at = s.end();
  db->insert("users", {1, "Ada", "x"});
  run(at);
  s.redeliverFrom(at);
  run(s.end());
  EXPECT_EQ(ops(), (Ops{"insert", "insert"}));
  EXPECT_EQ(got[0].position, got[1].position);
}

TEST_F(TestSourceTest, LagIsTheTruthOrAsScripted) {
  TestSource& s = make();
  const Position at = s.end();
  run(at);
  EXPECT_EQ(s.lag().bytes, 0u);
  EXPECT_EQ(s.lag().time, 0ms);
  db->insert("users", {1, "Ada", "x"});
  clock.advance(5s);
  EXPECT_GT(s.lag().bytes, 0u);
  EXPECT_EQ(s.lag().time, 5s);
  EXPECT_EQ(s.lag().retainedBytes, s.lag().bytes);
  s.setLag(SourceLag{1, 2ms, 3});
  EXPECT_EQ(s.lag().bytes, 1u);
  EXPECT_EQ(s.lag().time, 2ms);
}

TEST_F(TestSourceTest, EachBatchCanBeDelayed) {
  TestSource& s = make({.batchEvents = 1, .delay = 1s});
  const Position at = s.end();
  db->commit([](TestTransaction& t) { t.insert("users", {1, "a", "b"}).insert("users", {2, "a", "b"}); });
  run(at);
  EXPECT_EQ(scheduler.waited(), 2s);
}

TEST_F(TestSourceTest, TheHostMayCommitMoreWhenThereIsNothingToDeliver) {
  int more = 3;
  TestSource& s = make({.onIdle = [&] {
    if (more == 0) return false;
    db->insert("users", {more--, "n", "b"});
    return true;
  }});
  run(s.end());
  EXPECT_EQ(got.size(), 3u);
}

TEST_F(TestSourceTest, ScriptedCallsFailAsOftenAsAsked) {
  TestSource& s = make();
  s.failCalls(TestCall::describeTable, Error(ErrorCode::permissionDenied, Retry::afterOperator, "no"), 2);
  EXPECT_THROW(s.describeTable("users"), Error);
  EXPECT_THROW(s.describeTable("users"), Error);
  EXPECT_EQ(s.describeTable("users")->schema.table, "users");
}

TEST_F(TestSourceTest, AThreadMayCommitWhileAnotherStreams) {
  source = std::make_unique<TestSource>(db);
  source->init({});
  const Position at = source->end();
  std::stop_source stop;
  std::thread streaming([&] { source->stream({"users"}, at, collect(), stop.get_token()); });
  for (int i = 0; i < 500; ++i) {
    db->insert("users", {i, "n", "b"});
    if (i % 100 == 50) source->disconnect();
    if (i % 100 == 70) source->pause();
    if (i % 100 == 90) source->resume();
  }
  EXPECT_TRUE(source->awaitDelivered(30s));
  stop.request_stop();
  streaming.join();
  EXPECT_EQ(got.size(), 500u);
}

}  // namespace
}  // namespace tidegate
