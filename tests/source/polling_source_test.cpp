#include "tidegate/source/polling_source.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "contract/sync_source_contract.h"
#include "sqlite/temp_database.h"
#include "support/manual_clock.h"
#include "tidegate/sqlite/query_fn.h"
#include "tidegate/sqlite/snapshot_store.h"
#include "tidegate/sqlite/state_store.h"

namespace tidegate {
namespace {

using namespace std::chrono_literals;

/// A SQLite file that an app writes to, and the connections that a poller asks it over, which can break.
class PolledFile {
 public:
  PolledFile() {
    run("PRAGMA journal_mode = WAL");
    run("PRAGMA synchronous = OFF");
    for (const char* table : {"first", "second"}) {
      run(std::string("CREATE TABLE ") + table +
          " (id INTEGER PRIMARY KEY, name TEXT, amount INTEGER, rev INTEGER NOT NULL)");
      run(std::string("CREATE INDEX ") + table + "_rev ON " + table + " (rev, id)");
    }
  }
  void run(const std::string& sql, std::vector<Value> params = {}) {
    ResultSet rows = writer_({.sql = sql, .params = std::move(params)});
    std::vector<Value> row;
    while (rows.next(row)) {
    }
  }
  QueryFn connection() {
    const QueryFn query = sqlite::queryFn({.path = path()});
    return QueryFn(Dialect::sqlite, [query, broken = broken](const Query& asked) {
      if (broken->exchange(false)) throw Error(ErrorCode::connectionFailed, Retry::later, "the test broke it");
      return query(asked);
    });
  }
  std::string path() const { return dir_ / "polled.db"; }
  std::string storePath() const { return dir_ / "state.db"; }
  std::int64_t nextRevision() { return ++revision_; }

  const std::shared_ptr<std::atomic<bool>> broken = std::make_shared<std::atomic<bool>>(false);

 private:
  testing::TempDir dir_;
  QueryFn writer_ = sqlite::queryFn({.path = path(), .readOnly = false, .create = true});
  std::int64_t revision_ = 0;
};

IngestTableConfig tableBy(const std::string& name, std::variant<CursorStrategy, DiffStrategy> strategy) {
  return {.table = name, .query = "SELECT * FROM " + name, .strategy = std::move(strategy)};
}

const CursorStrategy kByRevision{.cursorColumn = "rev", .lookbackRows = 5, .pageRows = 7};
const DiffStrategy kByDiff{.maxDeleteFraction = 1.0};

}  // namespace

namespace contract {
namespace {

class PolledDatabase final : public SourceDatabase {
 public:
  /// @param inFiles keeps the source's state in SQLite too; else in memory, over restarts.
  explicit PolledDatabase(std::variant<CursorStrategy, DiffStrategy> strategy, bool inFiles = false)
      : strategy_(std::move(strategy)), inFiles_(inFiles) {}
  std::vector<std::string> tables() const override { return {"first", "second"}; }
  void commit(const std::vector<SourceChange>& changes) override {
    file_.run("BEGIN IMMEDIATE");
    for (const SourceChange& change : changes) {
      const std::string table = tables()[change.table];
      const Value amount = change.row.amount ? Value(*change.row.amount) : Value();
      if (change.op == SourceChange::Op::erase) {
        file_.run("DELETE FROM " + table + " WHERE id = ?", {change.id});
      } else {
        file_.run("INSERT OR REPLACE INTO " + table + " VALUES (?, ?, ?, ?)",
                  {change.id, change.row.name, amount, file_.nextRevision()});
      }
    }
    file_.run("COMMIT");
  }
  std::unique_ptr<SyncSource> source() override {
    IngestSourceConfig config{.name = "polled",
                              .query = file_.connection(),
                              .tables = {tableBy("first", strategy_), tableBy("second", strategy_),
                                         tableBy("gone", strategy_), tableBy("keyless", strategy_)},
                              .interval = 1ms,
                              .maxBackoff = 5ms};
    config.tables[3].query = "SELECT name, rev FROM first";
    PollingSourceOptions options{
        .state = inFiles_ ? sqlite::stateStore(file_.storePath()) : state_,
        .snapshots = inFiles_ ? sqlite::snapshotStore(file_.storePath() + ".rows") : snapshots_,
        .batchEvents = 7,
        .backoff = {.firstDelay = 1ms, .maxDelay = 2ms},
        .readQuery = file_.connection()};
    return std::make_unique<PollingSource>(std::move(config), std::move(options));
  }
  bool disconnect() override {
    file_.broken->store(true);
    return true;
  }
  std::vector<std::pair<std::string, ErrorCode>> makeFaultyTables() override {
    return {{"gone", ErrorCode::tableNotFound}, {"keyless", ErrorCode::columnNotFound}};
  }

 private:
  const std::variant<CursorStrategy, DiffStrategy> strategy_;
  const bool inFiles_;
  std::shared_ptr<StateStore> state_ = std::make_shared<MemoryStateStore>();
  std::shared_ptr<SnapshotStore> snapshots_ = memorySnapshotStore();
  PolledFile file_;
};

SourceAbilities polling(bool erases, std::uint64_t seeds = 5) {
  return {.everyChange = false,
          .transactions = false,
          .exactResume = false,
          .meetsExactly = false,
          .seesErases = erases,
          .seesTruncates = false,
          .lagBytes = false,
          .seeds = seeds};
}

const auto kPolled =
    ::testing::Values(SourceCase{.name = "PollingByCursor",
                                 .make = [] { return std::make_unique<PolledDatabase>(kByRevision); },
                                 .can = polling(false)},
                      SourceCase{.name = "PollingByDiff",
                                 .make = [] { return std::make_unique<PolledDatabase>(kByDiff); },
                                 .can = polling(true)},
                      SourceCase{.name = "PollingByDiffInFiles",
                                 .make = [] { return std::make_unique<PolledDatabase>(kByDiff, true); },
                                 .can = polling(true, 1)});

INSTANTIATE_TEST_SUITE_P(Polling, SyncSourceContract, kPolled, sourceCaseName);
INSTANTIATE_TEST_SUITE_P(Polling, SourceHistories, kPolled, sourceCaseName);
INSTANTIATE_TEST_SUITE_P(Polling, SourcePositions, kPolled, sourceCaseName);
INSTANTIATE_TEST_SUITE_P(Polling, SourceFailures, kPolled, sourceCaseName);

}  // namespace
}  // namespace contract

namespace {

/// Polls as often as asked, in virtual time, on one thread.
class PollingSourceTest : public ::testing::Test, private Scheduler {
 protected:
  void make(IngestTableConfig table, PollingSourceOptions options = {}) {
    if (!options.state) options.state = state;
    if (!options.snapshots) options.snapshots = snapshots;
    source = std::make_unique<PollingSource>(
        IngestSourceConfig{.name = "shop", .query = query, .tables = {std::move(table)}}, std::move(options));
    SourceContext context;
    context.clock = &clock;
    context.scheduler = this;
    context.jitterSeed = 1;
    context.onWarning = [this](const std::string& message) { warnings.push_back(message); };
    source->init(context);
  }
  void run(const std::string& sql) {
    ResultSet rows = query({.sql = sql});
    for (std::vector<Value> row; rows.next(row);) {
    }
  }
  ChangeHandler collect() {
    return [this](ChangeBatch& batch) {
      for (const ChangeEvent& event : batch) got.push_back(event);
      return Taken::yes;
    };
  }
  Position baseline() {
    const Position at = source->baseline({"t"}, collect(), {});
    got.clear();
    return at;
  }
  void poll(const Position& from, int polls = 1) {
    pollsLeft = polls;
    stop = std::stop_source();
    source->stream({"t"}, from, collect(), stop.get_token());
  }
  static IngestTableConfig byCursor() { return tableBy("t", CursorStrategy{.cursorColumn = "rev", .lookbackRows = 2}); }
  static IngestTableConfig byDiff() { return tableBy("t", kByDiff); }

  test::ManualClock clock;
  QueryFn query = sqlite::queryFn({.path = ":memory:", .readOnly = false});
  std::shared_ptr<StateStore> state = std::make_shared<MemoryStateStore>();
  std::shared_ptr<SnapshotStore> snapshots = memorySnapshotStore();
  std::unique_ptr<PollingSource> source;
  std::vector<ChangeEvent> got;
  std::vector<std::string> warnings;
  std::function<void()> betweenPolls;
  std::stop_source stop;
  int pollsLeft = 0;

 private:
  bool waitFor(std::chrono::microseconds duration, std::stop_token token) override {
    clock.advance(duration);
    if (betweenPolls) betweenPolls();
    if (--pollsLeft <= 0) stop.request_stop();
    return !token.stop_requested();
  }
};

TEST_F(PollingSourceTest, ADiffPollSaysWhatWasBeforeAndAfter) {
  run("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER)");
  run("INSERT INTO t VALUES (1, 'x', 10), (2, 'y', 20)");
  make(byDiff());
  const Position at = baseline();
  run("UPDATE t SET b = 11 WHERE id = 1");
  run("DELETE FROM t WHERE id = 2");
  run("INSERT INTO t VALUES (3, 'z', 30)");
  poll(at);
  std::map<ChangeOp, ChangeEvent> byOp;
  for (const ChangeEvent& event : got) byOp[event.op] = event;
  ASSERT_EQ(byOp.size(), 3u);
  EXPECT_EQ(byOp[ChangeOp::update].before, (std::vector<Value>{1, "x", 10}));
  EXPECT_EQ(byOp[ChangeOp::update].after, (std::vector<Value>{1, "x", 11}));
  EXPECT_EQ(byOp[ChangeOp::erase].before, (std::vector<Value>{2, "y", 20}));
  EXPECT_TRUE(byOp[ChangeOp::erase].beforeAbsent.empty());
  EXPECT_EQ(byOp[ChangeOp::insert].after, (std::vector<Value>{3, "z", 30}));
}

TEST_F(PollingSourceTest, ACursorPollSaysOnlyHowTheRowIsNow) {
  run("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, rev INTEGER)");
  make(byCursor());
  const Position at = baseline();
  run("INSERT INTO t VALUES (1, 'x', 1)");
  poll(at);
  ASSERT_FALSE(got.empty());
  EXPECT_EQ(got.back().op, ChangeOp::update) << "it may have been there or not";
  EXPECT_TRUE(got.back().before.empty());
  EXPECT_EQ(got.back().after, (std::vector<Value>{1, "x", 1}));
}

TEST_F(PollingSourceTest, StateReachesTheStoreOnlyOnceItIsAcknowledged) {
  run("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)");
  make(byDiff());
  const Position at = baseline();
  run("INSERT INTO t VALUES (1, 'x')");
  poll(at);
  ASSERT_EQ(got.back().op, ChangeOp::insert);
  const Position delivered = got.back().position;
  make(byDiff());  // the process died before anything was durable
  got.clear();
  poll(at);
  ASSERT_EQ(got.size(), 1u) << "it comes again";
  EXPECT_EQ(got.back().op, ChangeOp::update) << "whether it had arrived is not known";
  EXPECT_EQ(source->comparePositions(delivered, got.back().position), std::partial_ordering::less)
      << "a reader that has a later place must not drop it";
  const Position again = got.back().position;
  source->ack(again);
  source->close();
  make(byDiff());
  got.clear();
  poll(again);
  EXPECT_TRUE(got.empty());
}

TEST_F(PollingSourceTest, AnAcknowledgedPlaceIsKeptWhileItWaitsForTheNextPoll) {
  run("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)");
  make(byDiff());
  const Position at = baseline();
  run("INSERT INTO t VALUES (1, 'x')");
  bool acked = false;
  betweenPolls = [&] {
    if (!std::exchange(acked, true)) source->ack(got.back().position);
  };
  poll(at, 2);
  const Position last = got.back().position;
  make(byDiff());  // a crash
  EXPECT_EQ(source->lastAckedPosition(), last);
  got.clear();
  poll(last);
  EXPECT_TRUE(got.empty());
}

TEST_F(PollingSourceTest, APlaceBeforeWhatWasAcknowledgedIsLost) {
  run("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)");
  make(byDiff());
  const Position at = baseline();
  run("INSERT INTO t VALUES (1, 'x')");
  poll(at);
  source->ack(got.back().position);
  try {
    poll(at);
    FAIL() << "what was known at that place is forgotten";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::positionLost);
  }
}

TEST_F(PollingSourceTest, APlaceOfOtherStoresIsLost) {
  run("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)");
  make(byDiff());
  const Position at = baseline();
  clock.advance(1s);
  make(byDiff(), {.state = std::make_shared<MemoryStateStore>(), .snapshots = memorySnapshotStore()});
  EXPECT_THROW(poll(at), Error);
  EXPECT_FALSE(source->supportsResume()) << "pictures in memory do not outlive the process";
}

TEST_F(PollingSourceTest, LearnsKindsFromRowsThatComeLaterAndSaysSo) {
  run("CREATE TABLE t (id INTEGER PRIMARY KEY, a)");
  make(byDiff());
  EXPECT_EQ(source->describeTable("t")->schema.find("id")->kind, ValueKind::null) << "not known: the table is empty";
  const Position at = baseline();
  run("INSERT INTO t VALUES (1, 'x')");
  poll(at);
  EXPECT_EQ(got[0].op, ChangeOp::schemaChange);
  EXPECT_EQ(got.back().shape->schema.find("id")->kind, ValueKind::int64);
  EXPECT_EQ(got.back().after, (std::vector<Value>{1, "x"}));
  // The next process looks while the table is empty, and must still name the key of what was deleted.
  const Position before = got.back().position;
  run("DELETE FROM t");
  make(byDiff());
  got.clear();
  poll(before);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].op, ChangeOp::erase);
  EXPECT_EQ(got[0].before[0], Value(1));
}

TEST_F(PollingSourceTest, ANewColumnArrivesAsASchemaChange) {
  run("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, rev INTEGER)");
  run("INSERT INTO t VALUES (1, 'x', 1)");
  make(byCursor());
  const Position at = baseline();
  run("ALTER TABLE t ADD COLUMN c TEXT");
  run("UPDATE t SET c = 'new', rev = 2");
  poll(at);
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[0].op, ChangeOp::schemaChange);
  EXPECT_EQ(got[1].after, (std::vector<Value>{1, "x", 2, "new"}));
}

TEST_F(PollingSourceTest, AFailingTableIsWarnedOfOnceAndTheScheduleGoesOn) {
  run("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)");
  make(byDiff());
  const Position at = baseline();
  run("ALTER TABLE t RENAME TO elsewhere");
  int polls = 0;
  betweenPolls = [&] {
    if (++polls == 3) run("ALTER TABLE elsewhere RENAME TO t");
    if (polls == 3) run("INSERT INTO t VALUES (1, 'x')");
  };
  poll(at, 4);
  EXPECT_EQ(warnings.size(), 1u);
  ASSERT_FALSE(got.empty());
  EXPECT_EQ(got.back().after[1], Value("x"));
}

TEST_F(PollingSourceTest, AReloadReadsTheWholeTableAndForgetsNothingOfTheStream) {
  run("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)");
  run("INSERT INTO t VALUES (1, 'x'), (2, 'y')");
  make(byDiff());
  const Position at = baseline();
  run("DELETE FROM t WHERE id = 1");
  source->baseline({"t"}, collect(), {});
  ASSERT_EQ(got.size(), 3u);
  EXPECT_EQ(got[1].after[0], Value(2));
  got.clear();
  poll(at);  // for somebody who is not as far as the reload
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].op, ChangeOp::erase);
}

TEST_F(PollingSourceTest, ARowThatComesAndGoesBesideAReloadIsErased) {
  run("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)");
  run("INSERT INTO t VALUES (1, 'x')");
  make(byDiff());
  baseline();
  run("INSERT INTO t VALUES (2, 'passing')");
  const Position reloaded = source->baseline({"t"}, collect(), {});
  run("DELETE FROM t WHERE id = 2");
  got.clear();
  poll(reloaded);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].op, ChangeOp::erase);
}

TEST_F(PollingSourceTest, RefusesASchemaWithAnotherKey) {
  const TableSchema schema{.table = "t", .columns = {{.name = "id"}, {.name = "a"}}, .primaryKey = {"a"}};
  EXPECT_THROW(make(byDiff(), {.schemas = {schema}}), Error);
}

}  // namespace
}  // namespace tidegate
