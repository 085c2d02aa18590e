/// What the reference sync service (thesampaton/durable-streams-reference, e2e/sync) gets wrong, each shown to be right
/// here: through the engine, with a Durable Streams server behind a relay and SQLite as the database.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "durable_streams/stream_rig.h"
#include "sqlite/temp_database.h"
#include "tidegate/durable_streams/sink.h"
#include "tidegate/durable_streams/source.h"
#include "tidegate/durable_streams/state_protocol.h"
#include "tidegate/engine/engine.h"
#include "tidegate/sink/memory_sink.h"
#include "tidegate/source/test_database.h"
#include "tidegate/source/test_source.h"
#include "tidegate/sqlite/query_fn.h"
#include "tidegate/sqlite/sink.h"

namespace tidegate::durable_streams {
namespace {

using tidegate::test::StreamRig;

template <class Holds>
bool eventually(Holds&& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

BackoffOptions quickBackoff() {
  return {
      .firstDelay = std::chrono::milliseconds(1), .maxDelay = std::chrono::milliseconds(20), .maxRetries = UINT32_MAX};
}

/// Stream -> database: session events into SQLite.
class StreamToDatabase : public ::testing::Test {
 protected:
  void SetUp() override { rig.create("events"); }

  SourceOptions sourceOptions() const {
    SourceOptions options{.server = {.url = rig.url()}, .stream = "events", .tables = {sessionEvents()}};
    options.backoff = quickBackoff();
    return options;
  }
  std::unique_ptr<Engine> run(SourceOptions options) {
    stream = source(std::move(options));
    auto engine =
        std::make_unique<Engine>(EngineOptions{.sources = {{.name = "events", .source = stream}},
                                               .pipelines = {{.name = "to database",
                                                              .source = "events",
                                                              .tables = {{.table = "session_events"}},
                                                              .sink = sqlite::sink({.path = dir / "db"}),
                                                              .retry = {.firstDelay = std::chrono::milliseconds(1)}}}});
    engine->start();
    return engine;
  }
  std::unique_ptr<Engine> run() { return run(sourceOptions()); }

  /// The messages' numbers that are in the database, in the stream's order.
  std::vector<std::int64_t> stored() {
    try {
      QueryFn ask = sqlite::queryFn({.path = dir / "db"});
      ResultSet rows = ask({.sql = "SELECT json_extract(payload, '$.n') FROM session_events ORDER BY ds_offset = '-1' "
                                   "DESC, ds_offset, ds_index"});
      std::vector<std::int64_t> all;
      for (std::vector<Value> row; rows.next(row);) all.push_back(row[0].as<std::int64_t>());
      return all;
    } catch (const Error&) {
      return {};  // not made yet
    }
  }
  void post(int from, int until) {
    std::vector<std::string> messages;
    for (int n = from; n < until; ++n) {
      messages.push_back(R"({"key":"k)" + std::to_string(n) + R"(","type":"message","operation":"insert","n":)" +
                         std::to_string(n) + "}");
    }
    rig.append("events", messages);
  }
  static std::vector<std::int64_t> upTo(int count) {
    std::vector<std::int64_t> all;
    for (int n = 0; n < count; ++n) all.push_back(n);
    return all;
  }

  tidegate::testing::TempDir dir;
  StreamRig rig;
  std::shared_ptr<SyncSource> stream;
};

TEST_F(StreamToDatabase, AReconnectReplaysNothingAndLosesNothing) {
  const auto engine = run();
  for (int n = 0; n < 40; n += 4) {
    post(n, n + 4);
    rig.proxy().cut();
    ASSERT_TRUE(eventually([&] { return stored().size() >= static_cast<std::size_t>(n + 4); }));
  }
  EXPECT_EQ(stored(), upTo(40));
}

TEST_F(StreamToDatabase, ARestartGoesOnFromThePersistedOffset) {
  post(0, 10);
  {
    const auto engine = run();
    ASSERT_TRUE(eventually([&] { return stored().size() == 10; }));
    engine->stop();
  }
  post(10, 20);
  const std::uint64_t before = rig.proxy().relayed();
  const auto engine = run();
  ASSERT_TRUE(eventually([&] { return stored().size() == 20; }));
  EXPECT_EQ(stored(), upTo(20));
  EXPECT_GT(rig.proxy().relayed(), before);
}

/// The database refuses for a while: its insert is not dropped but made again.
TEST_F(StreamToDatabase, AnInsertThatFailedIsMadeAgain) {
  auto faulty = std::make_shared<MemorySink>();
  std::atomic<int> refusals{5};
  class Refusing final : public Sink {
   public:
    Refusing(std::shared_ptr<MemorySink> inner, std::atomic<int>& left) : inner_(std::move(inner)), left_(left) {}
    SinkTraits traits() const override { return inner_->traits(); }
    std::optional<std::string> open(const SinkContext& c) override { return inner_->open(c); }
    void prepareTable(const Shape& s) override { inner_->prepareTable(s); }
    void apply(const ChangeBatch& b) override {
      if (left_.fetch_sub(1) > 0) throw Error(ErrorCode::storeUnavailable, Retry::later, "the disk is full");
      inner_->apply(b);
    }
    void commit(std::string_view c) override { inner_->commit(c); }
    void rollback() noexcept override { inner_->rollback(); }
    void close() noexcept override { inner_->close(); }

   private:
    std::shared_ptr<MemorySink> inner_;
    std::atomic<int>& left_;
  };
  post(0, 5);
  Engine engine({.sources = {{.name = "events", .source = source(sourceOptions())}},
                 .pipelines = {{.name = "p",
                                .source = "events",
                                .tables = {{.table = "session_events"}},
                                .sink = std::make_shared<Refusing>(faulty, refusals),
                                .retry = {.firstDelay = std::chrono::milliseconds(1)}}}});
  engine.start();
  post(5, 9);
  EXPECT_TRUE(eventually([&] {
    const MemoryView now = faulty->view();
    return now.has("session_events") && now.count("session_events") == 9;
  }));
  EXPECT_LE(refusals.load(), 0);
}

/// Events far larger than what a connection delivers at once are cut for certain; and wherever the relay was frozen.
TEST_F(StreamToDatabase, EventsThatAreCutIntoPiecesArriveWhole) {
  SourceOptions options = sourceOptions();
  options.live = Live::sse;
  const auto engine = run(options);
  ASSERT_TRUE(engine->awaitReady(std::chrono::seconds(30)));
  const std::string filling(300'000, 'x');
  for (int n = 0; n < 12; ++n) {
    rig.proxy().freeze(n % 3 == 0);
    rig.append("events", {R"({"key":"k","n":)" + std::to_string(n) + R"(,"text":")" + filling + "\"}"});
    rig.proxy().freeze(false);
  }
  ASSERT_TRUE(eventually([&] { return stored().size() >= 12; }));
  EXPECT_EQ(stored(), upTo(12));
}

TEST_F(StreamToDatabase, AClosedStreamIsReadToItsEndAndSaidToBeClosed) {
  std::atomic<int> warnings{0};
  const auto closed = source(sourceOptions());
  closed->init({.name = "events", .onWarning = [&](const std::string& text) {
                  if (text.find("closed") != std::string::npos) ++warnings;
                }});
  const tidegate::Position at = closed->baseline({"session_events"}, [](ChangeBatch&) { return Taken::yes; }, {});
  std::stop_source stop;
  std::atomic<int> rows{0};
  std::thread reading([&] {
    closed->stream(
        {"session_events"}, at,
        [&](ChangeBatch& batch) {
          rows += static_cast<int>(batch.size());
          return Taken::yes;
        },
        stop.get_token());
  });
  post(0, 3);
  rig.close("events");
  EXPECT_TRUE(eventually([&] { return warnings.load() == 1 && rows.load() == 3; }));
  stop.request_stop();
  reading.join();
  EXPECT_EQ(warnings.load(), 1) << "once, and not again and again";
}

TEST_F(StreamToDatabase, AStreamThatIsNotThereIsSaidToBeMissing) {
  rig.remove("events");
  auto options = sourceOptions();
  const auto missing = source(options);
  missing->init({.name = "events"});
  const auto issues = missing->validateTables({"session_events"});
  ASSERT_EQ(issues.size(), 1u);
  EXPECT_EQ(issues[0].code, ErrorCode::tableNotFound);
  EXPECT_NE(issues[0].message.find("createMissing"), std::string::npos) << issues[0].message;
  options.createMissing = true;
  const auto made = source(options);
  made->init({.name = "events"});
  EXPECT_TRUE(made->validateTables({"session_events"}).empty());
}

/// Deleted while it is read: nothing that was stored goes away, and the operator is told.
TEST_F(StreamToDatabase, AStreamThatWasDeletedStopsTheSourceAndKeepsWhatWasStored) {
  post(0, 3);
  auto options = sourceOptions();
  options.live = Live::longPoll;
  const auto engine = run(options);
  ASSERT_TRUE(eventually([&] { return stored().size() == 3; }));
  rig.remove("events");
  ASSERT_TRUE(eventually([&] { return stream->state() == SourceState::error; }));
  engine->stop();
  EXPECT_EQ(stored(), upTo(3));
}

TEST_F(StreamToDatabase, APlaceThatIsGoneIsLostOrStopsAsTheOptionSays) {
  post(0, 3);
  for (const Lost lost : {Lost::stop, Lost::rebaseline}) {
    auto options = sourceOptions();
    options.lost = lost;
    const auto read = source(options);
    read->init({.name = "events"});
    const tidegate::Position far = read->positionFromText("9+0@0000000000000000_0000000000009999");
    try {
      read->stream({"session_events"}, far, [](ChangeBatch&) { return Taken::yes; }, {});
      ADD_FAILURE() << "an offset that the stream never had was read from";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), lost == Lost::stop ? ErrorCode::tableNotFound : ErrorCode::positionLost) << e.what();
      EXPECT_EQ(e.retry(), Retry::afterOperator);
    }
  }
}

TEST_F(StreamToDatabase, AMessageThatDoesNotFitStopsOrIsSkippedAndSaid) {
  rig.create("typed");
  rig.append("typed", {R"({"n":1})", R"({"n":"x"})", R"({"n":3})"});
  auto options = sourceOptions();
  options.stream = "typed";
  options.tables = {eventTable("t",
                               {{.column = "id", .kind = ValueKind::int64, .part = EventPart::number},
                                {.column = "n", .kind = ValueKind::int64, .pointers = {"/n"}, .required = true}},
                               {"id"})};
  std::vector<std::string> warnings;
  const auto baseline = [&](SourceOptions with) {
    const auto read = source(std::move(with));
    read->init({.name = "typed", .onWarning = [&](const std::string& text) { warnings.push_back(text); }});
    std::vector<std::int64_t> rows;
    read->baseline({"t"},
                   [&](ChangeBatch& batch) {
                     for (const ChangeEvent& e : batch) {
                       if (e.op == ChangeOp::read) rows.push_back(e.after[1].as<std::int64_t>());
                     }
                     return Taken::yes;
                   },
                   {});
    return rows;
  };
  try {
    baseline(options);
    ADD_FAILURE() << "a text was taken for an integer";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::parseError);
    EXPECT_NE(e.message().find("message 1 from offset -1"), std::string::npos) << e.what();
  }
  options.malformed = Malformed::skip;
  EXPECT_EQ(baseline(options), (std::vector<std::int64_t>{1, 3}));
  EXPECT_EQ(warnings.size(), 1u);
}

/// Database -> stream.
class DatabaseToStream : public ::testing::Test {
 protected:
  void SetUp() override { database->createTable(itemsTable()); }

  static TableSchema itemsTable() {
    return {.table = "items",
            .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                        {.name = "title", .kind = ValueKind::text}},
            .primaryKey = {"id"}};
  }
  std::unique_ptr<Engine> run(std::shared_ptr<Sink> to) {
    auto engine = std::make_unique<Engine>(
        EngineOptions{.sources = {{.name = "db", .source = std::make_shared<TestSource>(database)}},
                      .pipelines = {{.name = "items",
                                     .source = "db",
                                     .tables = {{.table = "items"}},
                                     .sink = std::move(to),
                                     .commitEvents = 5,
                                     .retry = {.firstDelay = std::chrono::milliseconds(1)}}}});
    engine->start();
    return engine;
  }
  std::shared_ptr<Sink> streamSink() {
    SinkOptions options{.server = {.url = rig.url()}};
    options.server.retry = {
        .maxRetries = 2, .initialDelay = std::chrono::milliseconds(1), .maxDelay = std::chrono::milliseconds(5)};
    return sink(options);
  }
  /// Every message of the stream: its key and operation.
  std::vector<std::string> told() {
    std::vector<std::string> all;
    try {
      detail::storeLog(rig.store())
          ->read("items", {},
                 [&](std::string_view text) {
                   const StateMessage message = parseStateMessage(text);
                   if (const auto* change = std::get_if<ChangeMessage>(&message)) {
                     all.push_back(std::string(toString(change->operation)) + " " + change->key);
                   }
                 },
                 {});
    } catch (const Error&) {
    }
    return all;
  }

  std::shared_ptr<TestDatabase> database = std::make_shared<TestDatabase>();
  StreamRig rig;
};

TEST_F(DatabaseToStream, APostThatFailedIsMadeAgainAndNeverTwice) {
  const auto engine = run(streamSink());
  ASSERT_TRUE(engine->awaitReady(std::chrono::seconds(30)));
  std::vector<std::string> expected;
  for (int id = 0; id < 60; ++id) {
    if (id % 10 == 3) rig.proxy().accept(false);
    if (id % 4 == 0) rig.proxy().cut();
    database->insert("items", {id, "x"});
    if (id % 10 == 6) rig.proxy().accept(true);
    // At some of them all that was posted must have come before it is broken again.
    if (id % 20 == 19) {
      ASSERT_TRUE(eventually([&] { return told().size() > static_cast<std::size_t>(id); }));
    }
    expected.push_back("insert " + std::to_string(id));
  }
  rig.proxy().accept(true);
  ASSERT_TRUE(eventually([&] { return told().size() >= expected.size(); }));
  engine->stop();
  EXPECT_EQ(told(), expected);
}

TEST_F(DatabaseToStream, DeletesMadeWhileNobodyFollowedAreTold) {
  database->insert("items", {1, "stays"});
  database->insert("items", {2, "goes"});
  {
    const auto engine = run(streamSink());
    ASSERT_TRUE(engine->awaitReady(std::chrono::seconds(30)));
    engine->stop();
  }
  database->erase("items", {2});
  database->loseLog();  // so the source must read the table anew, as after a 409 must-refetch
  const auto engine = run(streamSink());
  ASSERT_TRUE(eventually([&] { return !told().empty() && told().back() == "delete 2"; })) << told().size();
  engine->stop();
}

TEST_F(DatabaseToStream, ASourceLeavesOutWhatItsOwnDatabaseSaid) {
  SinkOptions options{.server = {.url = rig.url()}};
  options.originMark = "db";
  const auto engine = run(sink(options));
  ASSERT_TRUE(engine->awaitReady(std::chrono::seconds(30)));
  database->insert("items", {1, "from the database"});
  ASSERT_TRUE(eventually([&] { return told().size() == 1; }));
  std::string foreign;
  appendStateMessage(ChangeMessage{.operation = StateOperation::insert,
                                   .type = "items",
                                   .key = "2",
                                   .value = R"({"id":2,"title":"from a client"})"},
                     foreign);
  rig.append("items", {foreign});
  const auto back = source(
      {.server = {.url = rig.url()}, .stream = "items", .tables = {entityTable(itemsTable())}, .skipOrigins = {"db"}});
  back->init({.name = "back"});
  std::vector<std::int64_t> ids;
  back->baseline({"items"},
                 [&](ChangeBatch& batch) {
                   for (const ChangeEvent& e : batch) {
                     if (e.op == ChangeOp::read) ids.push_back(e.after[0].as<std::int64_t>());
                   }
                   return Taken::yes;
                 },
                 {});
  EXPECT_EQ(ids, std::vector<std::int64_t>{2});
}

}  // namespace
}  // namespace tidegate::durable_streams
